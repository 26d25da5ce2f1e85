/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/base/hash. Started with an argument, the program prints a hash of each kind: what another process has. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "runner.h"

static void hashes_of_another_process(char text[64])
{
    char self[4096], command[4200];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    ck_assert_int_gt(n, 0);
    self[n] = '\0';
    snprintf(command, sizeof command, "'%s' print", self);
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(text, 64, f));
    ck_assert_int_eq(pclose(f), 0);
}

START_TEST(each_process_has_a_secret_of_its_own)
{
    char one[64], another[64];
    hashes_of_another_process(one);
    hashes_of_another_process(another);
    ck_assert_str_ne(one, another);
    ck_assert_str_ne(strchr(one, ' '), strchr(another, ' '));
}
END_TEST

START_TEST(equal_keys_have_equal_hashes)
{
    char bytes[2][21] = {"twenty bytes of a key", "twenty bytes of a key"};
    ck_assert_uint_eq(ph_hash_word(17), ph_hash_word(17));
    for (size_t len = 0; len <= sizeof bytes[0]; len++)
        ck_assert_uint_eq(ph_hash_bytes(bytes[0], len), ph_hash_bytes(bytes[1], len));
    ck_assert_uint_eq(ph_hash_bytes(NULL, 0), ph_hash_bytes(bytes[0], 0));
}
END_TEST

/* About half of the 64 bits: less than 10 or more than 54 come once in some hundred million hashes. */
static void are_far_apart(uint64_t a, uint64_t b)
{
    int bits = __builtin_popcountll(a ^ b);
    ck_assert_int_ge(bits, 10);
    ck_assert_int_le(bits, 54);
}

START_TEST(each_bit_of_a_key_matters_to_all_of_its_hash)
{
    uint8_t bytes[24] = {0};
    for (unsigned bit = 0; bit < 64; bit++)
        are_far_apart(ph_hash_word(0), ph_hash_word(UINT64_C(1) << bit));
    uint64_t zeros = ph_hash_bytes(bytes, sizeof bytes);
    for (unsigned bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        are_far_apart(zeros, ph_hash_bytes(bytes, sizeof bytes));
        bytes[bit / 8] = 0;
    }
    for (size_t len = 1; len < sizeof bytes; len++)
        are_far_apart(zeros, ph_hash_bytes(bytes, len));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("hash");
    TCase *tc = runner_case(s, "hash");
    tcase_add_test(tc, each_process_has_a_secret_of_its_own);
    tcase_add_test(tc, equal_keys_have_equal_hashes);
    tcase_add_test(tc, each_bit_of_a_key_matters_to_all_of_its_hash);
    return s;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        printf("%llx %llx\n", (unsigned long long)ph_hash_word(1), (unsigned long long)ph_hash_bytes(argv[0], 0));
        return 0;
    }
    return runner_main(suite());
}
