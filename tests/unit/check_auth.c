/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of proto/auth (proofs, cookie files) and of conn/backoff. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth.h"
#include "conn/backoff.h"
#include "runner.h"

#define SECOND UINT64_C(1000000000)

/* Those of proto/vectors/auth-exchange.txt, which OTP's crypto has made. */
static const char cookie[] = "0123456789abcdef";
static const char client_proof[] = "\x8f\xd6\x1b\xd3\xff\x8c\x36\x66\xf3\x44\x8d\xa1\x57\x18\x8c\x23"
                                   "\xf2\xbc\xb2\x2b\x53\xd1\x8a\x41\x14\x0c\x1f\x94\xef\xec\x93\xff";
static const char host_proof[] = "\x24\x73\x92\x50\x8d\xd0\xd9\xa0\x40\x27\x4f\x80\xa4\xa3\x87\xa8"
                                 "\x8a\x40\x89\x11\x85\x6f\x7e\x99\x63\x39\x0f\xb3\x89\xac\xbb\x00";
static uint8_t ones[PH_NONCE], twos[PH_NONCE];

static void set_nonces(void)
{
    memset(ones, 1, sizeof ones);
    memset(twos, 2, sizeof twos);
}

START_TEST(the_proofs_are_those_of_the_vectors)
{
    uint8_t proof[PH_PROOF];
    set_nonces();
    ph_auth_proof(cookie, PH_AUTH_CLIENT, ones, twos, proof);
    ck_assert_mem_eq(proof, client_proof, PH_PROOF);
    ph_auth_proof(cookie, PH_AUTH_HOST, ones, twos, proof);
    ck_assert_mem_eq(proof, host_proof, PH_PROOF);
}
END_TEST

START_TEST(a_proof_is_good_for_its_cookie_role_and_nonces_only)
{
    uint8_t proof[PH_PROOF];
    set_nonces();
    ph_auth_proof(cookie, PH_AUTH_CLIENT, ones, twos, proof);
    ck_assert(ph_auth_is_proof(cookie, PH_AUTH_CLIENT, ones, twos, proof));
    ck_assert(!ph_auth_is_proof(cookie, PH_AUTH_HOST, ones, twos, proof));
    ck_assert(!ph_auth_is_proof(cookie, PH_AUTH_CLIENT, twos, ones, proof));
    ck_assert(!ph_auth_is_proof(cookie, PH_AUTH_CLIENT, ones, ones, proof));
    ck_assert(!ph_auth_is_proof("0123456789abcdeF", PH_AUTH_CLIENT, ones, twos, proof));
    for (unsigned bit = 0; bit < PH_PROOF * 8; bit++) {
        proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert(!ph_auth_is_proof(cookie, PH_AUTH_CLIENT, ones, twos, proof));
        proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

START_TEST(nonces_differ)
{
    uint8_t a[PH_NONCE], b[PH_NONCE];
    ck_assert_int_eq(ph_auth_nonce(a), 0);
    ck_assert_int_eq(ph_auth_nonce(b), 0);
    ck_assert_mem_ne(a, b, PH_NONCE);
}
END_TEST

/* --- cookie files --- */

static char file[] = "/tmp/check_auth.XXXXXX";

static void write_file(const void *text, size_t len)
{
    int fd = mkostemp(file, O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
}

/* Reads the file and removes it. */
static void refused(const char *message)
{
    char why[512] = "";
    ck_assert_ptr_null(ph_cookie_read(file, why, sizeof why));
    ck_assert_msg(strncmp(why, file, strlen(file)) == 0 && strstr(why, message), "%s", why);
    unlink(file);
}

static void read_as(const char *text, size_t len, const char *expected)
{
    char why[512];
    char path[] = "/tmp/check_auth.XXXXXX";
    memcpy(file, path, sizeof file);
    write_file(text, len);
    char *got = ph_cookie_read(file, why, sizeof why);
    ck_assert_ptr_nonnull(got);
    ck_assert_str_eq(got, expected);
    free(got);
    unlink(file);
}

START_TEST(the_cookie_is_the_file_without_ends_of_lines)
{
    char longest[PH_COOKIE_MAX + 3];
    memset(longest, 'x', sizeof longest);
    read_as("0123456789abcdef", 16, "0123456789abcdef");
    read_as("0123456789abcdef\n", 17, "0123456789abcdef");
    read_as("\n0123456789\nabcdef \r\n", 21, "\n0123456789\nabcdef ");
    memcpy(longest + PH_COOKIE_MAX, "\n", 2);
    char *copy = strndup(longest, PH_COOKIE_MAX);
    read_as(longest, PH_COOKIE_MAX + 1, copy);
    free(copy);
}
END_TEST

START_TEST(a_file_with_no_cookie_is_refused)
{
    char many[PH_COOKIE_MAX + 1000];
    memset(many, 'x', sizeof many);
    switch (_i) {
    case 0:
        write_file("", 0);
        break;
    case 1:
        write_file("0123456789abcde\n", 16);
        break;
    case 2:
        write_file(many, PH_COOKIE_MAX + 1);
        break;
    default:
        write_file(many, sizeof many);
        break;
    }
    refused("the cookie must have 16 to 1024 bytes");
}
END_TEST

START_TEST(a_cookie_with_a_nul_byte_is_refused)
{
    write_file("0123456789\0abcdef", 17);
    refused("NUL");
}
END_TEST

START_TEST(a_file_that_others_have_access_to_is_refused)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0666};
    write_file(cookie, 16);
    ck_assert_int_eq(chmod(file, modes[_i]), 0);
    refused("its mode must be 0600");
}
END_TEST

START_TEST(a_file_of_another_user_is_refused)
{
    write_file(cookie, 16);
    if (chown(file, 65534, (gid_t)-1) == 0)
        refused("belongs to another user");
    unlink(file); /* only root can give files away */
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    snprintf(file, sizeof file, "/tmp/check_auth.%06u", (unsigned)getpid() % 1000000);
    refused("No such file");
    ck_assert_int_eq(mkfifo(file, 0600), 0);
    refused("not a regular file");
    ck_assert_int_eq(symlink("/", file), 0);
    refused("not a regular file");
}
END_TEST

/* --- delays --- */

static unsigned failed_at(const char *address, uint64_t second)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return ph_backoff_failed((struct sockaddr *)&v4, second * SECOND);
    ck_assert_int_eq(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return ph_backoff_failed((struct sockaddr *)&v6, second * SECOND);
}

START_TEST(each_failure_of_an_address_makes_it_wait_twice_as_long)
{
    for (unsigned i = 0, ms = PH_BACKOFF_FIRST_MS; i < 8; i++, ms *= 2)
        ck_assert_uint_eq(failed_at("192.0.2.1", 1000 + i), ms < PH_BACKOFF_MOST_MS ? ms : PH_BACKOFF_MOST_MS);
    ck_assert_uint_eq(failed_at("192.0.2.2", 1010), PH_BACKOFF_FIRST_MS);
    ck_assert_uint_eq(failed_at("192.0.2.1", 1011), PH_BACKOFF_MOST_MS);
}
END_TEST

START_TEST(failures_are_forgotten)
{
    failed_at("192.0.2.1", 1000);
    ck_assert_uint_eq(failed_at("192.0.2.1", 1599), 2 * PH_BACKOFF_FIRST_MS);
    ck_assert_uint_eq(failed_at("192.0.2.1", 2300), PH_BACKOFF_FIRST_MS);
}
END_TEST

START_TEST(a_network_of_ipv6_is_one_address)
{
    failed_at("2001:db8::1", 1000);
    ck_assert_uint_eq(failed_at("2001:db8::ffff:2", 1000), 2 * PH_BACKOFF_FIRST_MS);
    ck_assert_uint_eq(failed_at("2001:db8:0:1::1", 1000), PH_BACKOFF_FIRST_MS);
    failed_at("192.0.2.1", 1000);
    ck_assert_uint_eq(failed_at("::ffff:192.0.2.1", 1000), 2 * PH_BACKOFF_FIRST_MS);
    ck_assert_uint_eq(failed_at("::ffff:192.0.2.2", 1000), PH_BACKOFF_FIRST_MS);
}
END_TEST

START_TEST(only_the_addresses_that_failed_last_are_remembered)
{
    char address[32];
    for (unsigned i = 0; i < PH_BACKOFF_ADDRESSES; i++) {
        snprintf(address, sizeof address, "198.18.%u.%u", i / 100, i % 100);
        ck_assert_uint_eq(failed_at(address, 1000 + i), PH_BACKOFF_FIRST_MS);
    }
    ck_assert_uint_eq(failed_at("198.18.0.0", 1300), 2 * PH_BACKOFF_FIRST_MS);
    ck_assert_uint_eq(failed_at("192.0.2.1", 1301), PH_BACKOFF_FIRST_MS);
    ck_assert_uint_eq(failed_at("198.18.0.0", 1302), 4 * PH_BACKOFF_FIRST_MS);
    ck_assert_uint_eq(failed_at("198.18.0.1", 1303), PH_BACKOFF_FIRST_MS);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("auth");
    TCase *tc = runner_case(s, "proofs");
    tcase_add_test(tc, the_proofs_are_those_of_the_vectors);
    tcase_add_test(tc, a_proof_is_good_for_its_cookie_role_and_nonces_only);
    tcase_add_test(tc, nonces_differ);
    tc = runner_case(s, "cookie files");
    tcase_add_test(tc, the_cookie_is_the_file_without_ends_of_lines);
    tcase_add_loop_test(tc, a_file_with_no_cookie_is_refused, 0, 4);
    tcase_add_test(tc, a_cookie_with_a_nul_byte_is_refused);
    tcase_add_loop_test(tc, a_file_that_others_have_access_to_is_refused, 0, 7);
    tcase_add_test(tc, a_file_of_another_user_is_refused);
    tcase_add_test(tc, what_is_no_file_is_refused);
    tc = runner_case(s, "delays");
    tcase_add_test(tc, each_failure_of_an_address_makes_it_wait_twice_as_long);
    tcase_add_test(tc, failures_are_forgotten);
    tcase_add_test(tc, a_network_of_ipv6_is_one_address);
    tcase_add_test(tc, only_the_addresses_that_failed_last_are_remembered);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
