/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of proto/wbuf.h: the expected bytes are those of term_to_binary(Term, [{minor_version, 2}]). */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "etf.h"
#include "wbuf.h"

static struct ph_wbuf w;
static int released;

static void release(void *owner)
{
    released += owner == &released;
}

static void setup(void)
{
    released = 0;
    ph_wbuf_init(&w, release);
}

static void teardown(void)
{
    ph_wbuf_free(&w);
}

static void assert_bytes(const char *bytes, size_t len, const char *what)
{
    ck_assert_msg(!w.failed && w.len == len && memcmp(w.buf, bytes, len) == 0, "%s", what);
}
#define ASSERT_BYTES(literal) assert_bytes(literal, sizeof literal - 1, #literal)

/* What is in w is well-formed: passes exactly `terms` terms. */
static void assert_terms(int terms)
{
    struct ph_cur c = {w.buf, w.buf + w.len};

    ck_assert(!w.failed);
    for (int i = 0; i < terms; i++)
        ck_assert_int_eq(ph_etf_skip(&c, 1000), 0);
    ck_assert_ptr_eq(c.p, c.end);
}

static const struct {
    int64_t v;
    const char *bytes;
    size_t len;
} ints[] = {
    {0, "\x61\0", 2},
    {255, "\x61\xff", 2},
    {256, "\x62\0\0\x01\0", 5},
    {-1, "\x62\xff\xff\xff\xff", 5},
    {INT32_MAX, "\x62\x7f\xff\xff\xff", 5},
    {INT32_MIN, "\x62\x80\0\0\0", 5},
    {INT64_C(2147483648), "\x6e\x04\0\0\0\0\x80", 7},
    {INT64_C(-2147483649), "\x6e\x04\x01\x01\0\0\x80", 7},
    {INT64_MAX, "\x6e\x08\0\xff\xff\xff\xff\xff\xff\xff\x7f", 11},
    {INT64_MIN, "\x6e\x08\x01\0\0\0\0\0\0\0\x80", 11},
};
#define NINTS ((int)(sizeof ints / sizeof ints[0]))

START_TEST(integers_are_written_as_otp_does)
{
    ph_w_int(&w, ints[_i].v);
    assert_bytes(ints[_i].bytes, ints[_i].len, "int");
    if (ints[_i].v < 0)
        return;
    ph_wbuf_reset(&w);
    ph_w_uint(&w, (uint64_t)ints[_i].v);
    assert_bytes(ints[_i].bytes, ints[_i].len, "uint");
}
END_TEST

START_TEST(the_largest_unsigned_integer_is_written)
{
    ph_w_uint(&w, UINT64_MAX);
    ASSERT_BYTES("\x6e\x08\0\xff\xff\xff\xff\xff\xff\xff\xff");
}
END_TEST

START_TEST(a_whole_term_is_written_as_otp_does)
{
    ph_w_version(&w);
    ph_w_tuple(&w, 6);
    ph_w_atom(&w, "ok");
    ph_w_list(&w, 2);
    ph_w_bool(&w, true);
    ph_w_bool(&w, false);
    ph_w_nil(&w);
    ph_w_list(&w, 0);
    ph_w_map(&w, 1);
    ph_w_atom_len(&w, "\xc3\xa5xyz", 2);
    ph_w_double(&w, 1.5);
    ph_w_binary(&w, "ab", 2);
    ph_w_string(&w, "ab", 2);
    ASSERT_BYTES("\x83\x68\x06\x77\x02ok\x6c\0\0\0\x02\x77\x04true\x77\x05"
                 "false\x6a\x6a\x74\0\0\0\x01\x77\x02\xc3\xa5\x46\x3f\xf8\0\0\0\0\0\0\x6d\0\0\0\x02"
                 "ab\x6b\0\x02"
                 "ab");
}
END_TEST

START_TEST(large_tuples_and_long_atoms_have_long_headers)
{
    char name[256];

    ph_w_tuple(&w, 255);
    ph_w_tuple(&w, 256);
    ASSERT_BYTES("\x68\xff\x69\0\0\x01\0");
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = "\xc3\xa5"[i % 2];
    ph_wbuf_reset(&w);
    ph_w_atom_len(&w, name, 254);
    ck_assert(w.buf[0] == 'w' && w.buf[1] == 254 && w.len == 256);
    ph_wbuf_reset(&w);
    ph_w_atom_len(&w, name, 256);
    ck_assert(memcmp(w.buf, "v\x01\0", 3) == 0 && w.len == 259);
    assert_terms(1);
}
END_TEST

START_TEST(a_float_that_is_no_number_fails_the_buffer)
{
    ph_w_double(&w, -0.0);
    ASSERT_BYTES("\x46\x80\0\0\0\0\0\0\0");
    ph_w_double(&w, (double)NAN);
    ck_assert(w.failed);
    ph_wbuf_reset(&w);
    ph_w_double(&w, (double)INFINITY);
    ck_assert(w.failed);
}
END_TEST

START_TEST(strings_are_nil_string_or_list_by_their_length)
{
    char *bytes = calloc(1, 65536);
    uint32_t n;

    ck_assert_ptr_nonnull(bytes);
    ph_w_string(&w, NULL, 0);
    ASSERT_BYTES("\x6a");
    ph_wbuf_reset(&w);
    ph_w_string(&w, bytes, 65535);
    ck_assert(w.buf[0] == 'k' && w.len == 3 + 65535);
    assert_terms(1);
    ph_wbuf_reset(&w);
    ph_w_string(&w, bytes, 65536);
    struct ph_cur c = {w.buf, w.buf + w.len};
    ck_assert(ph_etf_list(&c, &n) == 0 && n == 65536 && w.len == 5 + 2 * 65536 + 1);
    assert_terms(1);
    free(bytes);
}
END_TEST

START_TEST(an_open_list_of_bytes_takes_the_tail_written_next)
{
    ph_w_bytes_open(&w, "ab", 2, false);
    ph_w_binary(&w, "c", 1);
    ASSERT_BYTES("\x6c\0\0\0\x02\x61"
                 "a\x61"
                 "b\x6d\0\0\0\x01"
                 "c");
    ph_wbuf_reset(&w);
    ph_w_bytes_open(&w, NULL, 0, false);
    ph_w_binary(&w, "c", 1);
    ASSERT_BYTES("\x6d\0\0\0\x01"
                 "c");
}
END_TEST

START_TEST(an_open_list_that_ends_in_nil_is_a_string)
{
    ph_w_bytes_open(&w, "ab", 2, true);
    ph_w_bytes_open(&w, NULL, 0, true);
    ASSERT_BYTES("\x6b\0\x02"
                 "ab\x6a");
}
END_TEST

START_TEST(a_referenced_binary_is_not_copied_and_its_place_is_kept)
{
    static const char data[1000];

    ph_w_tuple(&w, 2);
    ph_w_binary_ref(&w, data, sizeof data, &released);
    ph_w_nil(&w);
    ASSERT_BYTES("\x68\x02\x6d\0\0\x03\xe8\x6a");
    ck_assert(w.nrefs == 1 && w.refs[0].at == 7 && w.refs[0].p == data && w.refs[0].len == 1000);
    ck_assert_uint_eq(ph_wbuf_total(&w), w.len + 1000);
    ck_assert_int_eq(released, 0);
    ph_wbuf_reset(&w);
    ck_assert_int_eq(released, 1);
    ck_assert_uint_eq(ph_wbuf_total(&w), 0);
}
END_TEST

START_TEST(truncation_goes_back_and_releases_later_references_only)
{
    for (int i = 0; i < 100; i++)
        ph_w_binary_ref(&w, "abcd", 4, &released);
    ck_assert_uint_eq(ph_wbuf_total(&w), 900);
    ph_wbuf_truncate(&w, 5 * 60, 60);
    ck_assert(released == 40 && w.nrefs == 60 && w.ref_bytes == 240 && w.len == 300);
    ph_w_nil(&w);
    ck_assert_uint_eq(ph_wbuf_total(&w), 541);
    ph_wbuf_free(&w);
    ck_assert_int_eq(released, 100);
}
END_TEST

START_TEST(reserved_room_counts_only_when_the_writer_says_so)
{
    ph_w_nil(&w);
    uint8_t *p = ph_w_reserve(&w, 100000);

    ck_assert_ptr_nonnull(p);
    memset(p, 'j', 100000);
    ck_assert_uint_eq(w.len, 1);
    w.len += 3;
    assert_terms(4);
}
END_TEST

START_TEST(memory_is_kept_by_reset_and_grows_by_doubling)
{
    size_t growths = 0, cap = 0;

    for (int i = 0; i < 1000000; i++) {
        ph_w_nil(&w);
        growths += w.cap != cap;
        cap = w.cap;
    }
    ck_assert_uint_le(growths, 16);
    const uint8_t *buf = w.buf;
    ph_wbuf_reset(&w);
    ph_w_binary(&w, "", 0);
    ck_assert(w.buf == buf && w.cap == cap);
}
END_TEST

START_TEST(lack_of_memory_marks_the_buffer_and_releases_what_it_was_given)
{
    ph_w_nil(&w);
    ck_assert_ptr_null(ph_w_reserve(&w, SIZE_MAX - 1));
    ck_assert(w.failed && w.len == 1);
    ph_w_string(&w, "ab", 2);
    ph_w_int(&w, INT64_MIN);
    ph_w_bytes_open(&w, "ab", 2, false);
    ph_w_binary_ref(&w, "ab", 2, &released);
    ck_assert(w.failed && w.len == 1 && w.nrefs == 0 && released == 1);
    ph_wbuf_reset(&w);
    ph_w_nil(&w);
    ASSERT_BYTES("\x6a");
}
END_TEST

START_TEST(a_binary_longer_than_the_format_allows_fails_the_buffer)
{
    ph_w_binary_ref(&w, "", (size_t)UINT32_MAX + 1, &released);
    ck_assert(w.failed && released == 1 && w.nrefs == 0);
}
END_TEST

START_TEST(a_buffer_without_release_function_only_forgets_its_references)
{
    struct ph_wbuf plain;

    ph_wbuf_init(&plain, NULL);
    ph_w_binary_ref(&plain, "ab", 2, NULL);
    ck_assert_uint_eq(ph_wbuf_total(&plain), 7);
    ph_wbuf_free(&plain);
    ck_assert(plain.buf == NULL && plain.refs == NULL && ph_wbuf_total(&plain) == 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("wbuf");
    TCase *tc = tcase_create("wbuf");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, integers_are_written_as_otp_does, 0, NINTS);
    tcase_add_test(tc, the_largest_unsigned_integer_is_written);
    tcase_add_test(tc, a_whole_term_is_written_as_otp_does);
    tcase_add_test(tc, large_tuples_and_long_atoms_have_long_headers);
    tcase_add_test(tc, a_float_that_is_no_number_fails_the_buffer);
    tcase_add_test(tc, strings_are_nil_string_or_list_by_their_length);
    tcase_add_test(tc, an_open_list_of_bytes_takes_the_tail_written_next);
    tcase_add_test(tc, an_open_list_that_ends_in_nil_is_a_string);
    tcase_add_test(tc, a_referenced_binary_is_not_copied_and_its_place_is_kept);
    tcase_add_test(tc, truncation_goes_back_and_releases_later_references_only);
    tcase_add_test(tc, reserved_room_counts_only_when_the_writer_says_so);
    tcase_add_test(tc, memory_is_kept_by_reset_and_grows_by_doubling);
    tcase_add_test(tc, lack_of_memory_marks_the_buffer_and_releases_what_it_was_given);
    tcase_add_test(tc, a_binary_longer_than_the_format_allows_fails_the_buffer);
    tcase_add_test(tc, a_buffer_without_release_function_only_forgets_its_references);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());

    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
