/* SPDX-License-Identifier: Apache-2.0 */
/* Building terms: what a table of specifications and results cannot show. The rules of the format themselves are in
 * tests/parity/term_cases.erl. */
#include <ei.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bin.h"
#include "runner.h"
#include "term/build.h"
#include "term/words.h"

#define W(x) ((ErlDrvTermData)(x))
#define LENGTH(a) ((int)(sizeof(a) / sizeof((a)[0])))
/* A specification as an array: checks and builds it. */
#define BUILD(...) build_words((ErlDrvTermData[]){__VA_ARGS__}, LENGTH(((ErlDrvTermData[]){__VA_ARGS__})))
#define CHECK(...) check_words((ErlDrvTermData[]){__VA_ARGS__}, LENGTH(((ErlDrvTermData[]){__VA_ARGS__})))
#define ASSERT_BYTES(bytes) assert_bytes(bytes, sizeof(bytes) - 1)

static struct ph_wbuf out;
static ErlDrvTermData last_port;

static void setup(void)
{
    ph_wbuf_init(&out, ph_bin_unref);
}

static void teardown(void)
{
    ph_wbuf_free(&out);
}

static void port_term(struct ph_wbuf *w, ErlDrvTermData port)
{
    last_port = port;
    ph_w_atom(w, "port");
}

/* In memory of exactly the size, so that a checker sees a read beyond it. */
static int check_words(const ErlDrvTermData *spec, int n)
{
    ErlDrvTermData *copy = malloc((size_t)n * sizeof *copy + 1);
    memcpy(copy, spec, (size_t)n * sizeof *copy);
    int rc = ph_build_check(copy, n);
    free(copy);
    return rc;
}

static int build_words(const ErlDrvTermData *spec, int n)
{
    ck_assert_int_eq(check_words(spec, n), 0);
    ph_wbuf_reset(&out);
    return ph_build(&out, spec, n, port_term);
}

static void assert_bytes(const char *bytes, size_t len)
{
    ck_assert_uint_eq(out.len, len);
    ck_assert_mem_eq(out.buf, bytes, len);
}

/* A specification that grows. */
struct spec {
    ErlDrvTermData *words;
    size_t n, cap;
};

static void add(struct spec *s, ErlDrvTermData word)
{
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 1024 : 2 * s->cap;
        s->words = realloc(s->words, s->cap * sizeof *s->words);
    }
    s->words[s->n++] = word;
}

static void add2(struct spec *s, ErlDrvTermData tag, ErlDrvTermData arg)
{
    add(s, tag);
    add(s, arg);
}

static void add3(struct spec *s, ErlDrvTermData tag, ErlDrvTermData a, ErlDrvTermData b)
{
    add2(s, tag, a);
    add(s, b);
}

static int build_spec(struct spec *s)
{
    int rc = build_words(s->words, (int)s->n);
    free(s->words);
    *s = (struct spec){0};
    return rc;
}

START_TEST(operands_are_written_in_order_behind_their_header)
{
    ck_assert_int_eq(BUILD(ERL_DRV_INT, 1, ERL_DRV_INT, 2, ERL_DRV_TUPLE, 1, ERL_DRV_INT, 3, ERL_DRV_NIL, ERL_DRV_TUPLE, 4), 0);
    ASSERT_BYTES("h\4a\1h\1a\2a\3j");
    ck_assert_int_eq(BUILD(ERL_DRV_ATOM, ph_atom_latin1("k", 1), ERL_DRV_NIL, ERL_DRV_MAP, 1), 0);
    ASSERT_BYTES("t\0\0\0\1w\1kj");
}
END_TEST

START_TEST(a_list_is_written_as_one_however_many_operations_made_it)
{
    ck_assert_int_eq(BUILD(ERL_DRV_INT, 1, ERL_DRV_INT, 2, ERL_DRV_NIL, ERL_DRV_LIST, 2, ERL_DRV_STRING_CONS, W("x"), 1, ERL_DRV_LIST, 2), 0);
    ASSERT_BYTES("l\0\0\0\3a\1axa\2j");
    ck_assert_int_eq(BUILD(ERL_DRV_INT, 1, ERL_DRV_STRING, W("yz"), 2, ERL_DRV_STRING_CONS, W("x"), 1, ERL_DRV_LIST, 2), 0);
    ASSERT_BYTES("l\0\0\0\4a\1axayazj");
    ck_assert_int_eq(BUILD(ERL_DRV_INT, 1, ERL_DRV_STRING_CONS, W(""), 0, ERL_DRV_LIST, 1), 0);
    ASSERT_BYTES("a\1");
}
END_TEST

START_TEST(bytes_alone_become_a_string_while_they_fit)
{
    static char many[65536];

    ck_assert_int_eq(BUILD(ERL_DRV_STRING, W("cd"), 2, ERL_DRV_LIST, 1, ERL_DRV_STRING_CONS, W("ab"), 2), 0);
    ASSERT_BYTES("k\0\4abcd");
    ck_assert_int_eq(BUILD(ERL_DRV_NIL, ERL_DRV_STRING_CONS, W("a"), 1), 0);
    ASSERT_BYTES("k\0\1a");
    ck_assert_int_eq(BUILD(ERL_DRV_STRING, W(""), 0), 0);
    ASSERT_BYTES("j");
    ck_assert_int_eq(BUILD(ERL_DRV_STRING, W(many), 65535), 0);
    ck_assert_int_eq(out.buf[0], ERL_STRING_EXT);
    ck_assert_int_eq(BUILD(ERL_DRV_STRING, W(many), 65535, ERL_DRV_STRING_CONS, W("a"), 1), 0);
    ck_assert_uint_eq(out.len, 5 + 2 * 65536 + 1);
    ck_assert_mem_eq(out.buf, "l\0\1\0\0aaa\0", 9);
    ck_assert_int_eq(BUILD(ERL_DRV_STRING, W(many), 65536), 0);
    ck_assert_int_eq(out.buf[0], ERL_LIST_EXT);
}
END_TEST

START_TEST(a_binary_over_64_bytes_is_referred_to_and_a_smaller_one_copied)
{
    ErlDrvBinary *bin = ph_bin_new(100);
    memset(bin->orig_bytes, 'b', 100);

    ck_assert_int_eq(BUILD(ERL_DRV_BINARY, W(bin), 64, 36), 0);
    ck_assert_uint_eq(out.len, 5 + 64);
    ck_assert_uint_eq(out.nrefs, 0);
    ck_assert_int_eq(BUILD(ERL_DRV_BINARY, W(bin), 65, 35, ERL_DRV_NIL, ERL_DRV_BINARY, W(bin), 100, 0, ERL_DRV_TUPLE, 3), 0);
    ASSERT_BYTES("h\3m\0\0\0\x41jm\0\0\0\x64");
    ck_assert_uint_eq(out.nrefs, 2);
    ck_assert_ptr_eq(out.refs[0].p, bin->orig_bytes + 35);
    ck_assert_uint_eq(out.refs[0].len, 65);
    ck_assert_uint_eq(out.refs[1].at, out.len);
    ck_assert_int_eq(ph_bin_refc(bin), 3);
    ph_wbuf_reset(&out);
    ck_assert_int_eq(ph_bin_refc(bin), 1);
    ph_bin_unref(bin);
}
END_TEST

START_TEST(a_failed_build_leaves_what_was_there_before)
{
    double nan_value = NAN;
    ErlDrvBinary *bin = ph_bin_new(100);
    memset(bin->orig_bytes, 'b', 100);
    ErlDrvTermData nan_last[] = {ERL_DRV_BINARY, W(bin), 100, 0, ERL_DRV_FLOAT, W(&nan_value), ERL_DRV_TUPLE, 2};
    ErlDrvTermData same_keys[] = {ERL_DRV_BINARY, W(bin), 100, 0, ERL_DRV_NIL, ERL_DRV_BINARY, W(bin), 100, 0, ERL_DRV_NIL, ERL_DRV_MAP, 2};

    ph_w_atom(&out, "before");
    ph_w_binary_ref(&out, bin->orig_bytes, 100, ph_bin_ref(bin));
    size_t len = out.len;
    ck_assert_int_eq(ph_build(&out, nan_last, LENGTH(nan_last), port_term), -1);
    ck_assert_int_eq(ph_build(&out, same_keys, LENGTH(same_keys), port_term), -1);
    ck_assert_uint_eq(out.len, len);
    ck_assert_uint_eq(out.nrefs, 1);
    ck_assert_uint_eq(out.ref_bytes, 100);
    ck_assert(!out.failed);
    ck_assert_int_eq(ph_bin_refc(bin), 2);
    same_keys[7] = 99;
    ck_assert_int_eq(ph_build(&out, same_keys, LENGTH(same_keys), port_term), 0);
    ck_assert_int_eq(ph_bin_refc(bin), 4);
    ph_wbuf_reset(&out);
    ph_bin_unref(bin);
}
END_TEST

START_TEST(a_port_is_written_by_the_callers_function)
{
    ck_assert_int_eq(BUILD(ERL_DRV_PORT, ph_port_word(77), ERL_DRV_TUPLE, 1), 0);
    ASSERT_BYTES("h\1w\4port");
    ck_assert_uint_eq(last_port, ph_port_word(77));
}
END_TEST

START_TEST(lengths_that_wrap_around_are_refused)
{
    ErlDrvBinary *bin = ph_bin_new(10);

    ck_assert_int_eq(CHECK(ERL_DRV_BINARY, W(bin), 10, 0), 0);
    ck_assert_int_eq(CHECK(ERL_DRV_BINARY, W(bin), 1, W(-1)), -1);
    ck_assert_int_eq(CHECK(ERL_DRV_BINARY, W(bin), W(-1), 1), -1);
    ck_assert_int_eq(CHECK(ERL_DRV_BINARY, W(bin), W(-5), 10), -1);
    ck_assert_int_eq(CHECK(ERL_DRV_NIL, ERL_DRV_TUPLE, W(1) << 32 | 1), -1);
    ck_assert_int_eq(CHECK(ERL_DRV_NIL, ERL_DRV_LIST, W(1) << 32 | 1), -1);
    ck_assert_int_eq(CHECK(ERL_DRV_NIL, ERL_DRV_NIL, ERL_DRV_MAP, W(1) << 63 | 1), -1);
    ck_assert_int_eq(CHECK(ERL_DRV_STRING, W("a"), W(1) << 32 | 1), -1);
    ph_bin_unref(bin);
}
END_TEST

START_TEST(pointers_that_are_null_are_refused)
{
    ck_assert_int_eq(CHECK(ERL_DRV_FLOAT, 0), -1);
    ck_assert_int_eq(CHECK(ERL_DRV_INT64, 0), -1);
    ck_assert_int_eq(CHECK(ERL_DRV_UINT64, 0), -1);
    ck_assert_int_eq(ph_build_check(NULL, 1), -1);
    ck_assert_int_eq(ph_build_check((ErlDrvTermData[]){ERL_DRV_NIL}, -1), -1);
}
END_TEST

enum { MILLION = 1000000 };

START_TEST(a_million_nested_lists_are_one_list)
{
    struct spec s = {0};

    for (int i = 0; i < MILLION; i++)
        add2(&s, ERL_DRV_INT, 5);
    add(&s, ERL_DRV_NIL);
    for (int i = 0; i < MILLION; i++)
        add2(&s, ERL_DRV_LIST, 2);
    ck_assert_int_eq(build_spec(&s), 0);
    ck_assert_uint_eq(out.len, 5 + 2 * MILLION + 1);
    ck_assert_mem_eq(out.buf, "l\0\x0f\x42\x40""a\5a\5", 9);
}
END_TEST

START_TEST(a_million_string_conses_are_one_list)
{
    struct spec s = {0};

    add(&s, ERL_DRV_NIL);
    for (int i = 0; i < MILLION; i++)
        add3(&s, ERL_DRV_STRING_CONS, W("ab"), 2);
    ck_assert_int_eq(build_spec(&s), 0);
    ck_assert_uint_eq(out.len, 5 + 4 * MILLION + 1);
}
END_TEST

START_TEST(a_million_nested_tuples_are_built_and_may_be_map_keys)
{
    struct spec s = {0};

    for (int key = 0; key < 2; key++) {
        add2(&s, ERL_DRV_INT, W(key));
        for (int i = 0; i < MILLION; i++)
            add2(&s, ERL_DRV_TUPLE, 1);
        add(&s, ERL_DRV_NIL);
    }
    add2(&s, ERL_DRV_MAP, 2);
    ck_assert_int_eq(build_spec(&s), 0);
    ck_assert_uint_eq(out.len, 5 + 2 * (2 * MILLION + 2 + 1));
}
END_TEST

static int build_large_map(int pairs, int first_of_last)
{
    struct spec s = {0};

    for (int i = 0; i < pairs; i++) {
        add2(&s, ERL_DRV_INT, W(i));
        add3(&s, ERL_DRV_STRING, W("a common beginning"), 18);
        add2(&s, ERL_DRV_TUPLE, 2);
        add(&s, ERL_DRV_NIL);
    }
    add2(&s, ERL_DRV_INT, W(first_of_last));
    add3(&s, ERL_DRV_STRING, W("a common beginning"), 18);
    add2(&s, ERL_DRV_TUPLE, 2);
    add(&s, ERL_DRV_NIL);
    add2(&s, ERL_DRV_MAP, W(pairs + 1));
    return build_spec(&s);
}

START_TEST(equal_keys_are_found_among_a_hundred_thousand)
{
    ck_assert_int_eq(build_large_map(100000, 100000), 0);
    ck_assert_int_eq(build_large_map(100000, 77777), -1);
}
END_TEST

START_TEST(maps_nested_as_values_take_no_more_time_than_side_by_side)
{
    struct spec s = {0};

    for (int i = 0; i < 100000; i++)
        add2(&s, ERL_DRV_INT, 1);
    add(&s, ERL_DRV_NIL);
    for (int i = 0; i < 100000; i++) {
        add2(&s, ERL_DRV_INT, 2);
        add(&s, ERL_DRV_NIL);
        add2(&s, ERL_DRV_MAP, 2);
    }
    ck_assert_int_eq(build_spec(&s), 0);
    ck_assert_uint_eq(out.len, 100000 * (5 + 2 + 2 + 1) + 1);
}
END_TEST

/* 131, 80, claim, zlib(n zeros): the caller frees it. */
static unsigned char *compressed_zeros(size_t n, uint32_t claim, size_t *len)
{
    uLongf packed = compressBound(n + 5);
    unsigned char *etf = malloc(6 + packed), *plain = calloc(1, n + 5);

    memcpy(plain, "m", 1);
    for (int i = 0; i < 4; i++) {
        plain[1 + i] = (unsigned char)(n >> (24 - 8 * i));
        etf[2 + i] = (unsigned char)(claim >> (24 - 8 * i));
    }
    etf[0] = 131;
    etf[1] = 80;
    ck_assert_int_eq(compress(etf + 6, &packed, plain, n + 5), Z_OK);
    free(plain);
    *len = 6 + packed;
    return etf;
}

START_TEST(a_compressed_term_may_not_grow_beyond_its_claim)
{
    size_t len, mebi = 1 << 20;
    unsigned char *honest = compressed_zeros(8 * mebi, (uint32_t)(8 * mebi + 5), &len);
    ck_assert_int_eq(BUILD(ERL_DRV_EXT2TERM, W(honest), len), 0);
    ck_assert_uint_eq(out.len, 8 * mebi + 5);
    free(honest);
    unsigned char *bomb = compressed_zeros(8 * mebi, 1000, &len);
    ck_assert_int_eq(CHECK(ERL_DRV_EXT2TERM, W(bomb), len), -1);
    free(bomb);
}
END_TEST

START_TEST(a_compressed_term_may_have_128_mebibytes_and_no_more)
{
    size_t len, limit = 128 << 20;
    unsigned char *most = compressed_zeros(limit - 5, (uint32_t)limit, &len);
    ck_assert_int_eq(CHECK(ERL_DRV_EXT2TERM, W(most), len), 0);
    free(most);
    unsigned char *more = compressed_zeros(limit - 4, (uint32_t)limit + 1, &len);
    ck_assert_int_eq(CHECK(ERL_DRV_EXT2TERM, W(more), len), -1);
    free(more);
}
END_TEST

START_TEST(an_encoded_term_may_be_a_million_deep_and_no_deeper)
{
    size_t n = MILLION + 1;
    unsigned char *etf = malloc(2 * n + 2);

    etf[0] = 131;
    for (size_t i = 0; i < n; i++)
        memcpy(etf + 1 + 2 * i, "h\1", 2);
    etf[1 + 2 * n] = 'j';
    ck_assert_int_eq(CHECK(ERL_DRV_EXT2TERM, W(etf), 2 * n + 2), -1);
    etf[2] = 131;
    ck_assert_int_eq(CHECK(ERL_DRV_EXT2TERM, W(etf + 2), 2 * n), 0);
    free(etf);
}
END_TEST

START_TEST(an_encoded_term_cut_short_anywhere_is_refused)
{
    static const char whole[] = "\x83h\4t\0\0\0\2w\1aF\x3f\xf8\0\0\0\0\0\0k\0\1xl\0\0\0\1n\1\0\1j"
                                "X\x77\3a@b\0\0\0\1\0\0\0\2\0\0\0\3M\0\0\0\1\3\xa0q\x77\1m\x77\1fa\1";
    enum { LEN = sizeof whole - 1 };

    for (size_t len = 0; len <= LEN; len++) {
        char *cut = malloc(len + 1);
        memcpy(cut + 1, whole, len);
        ck_assert_int_eq(CHECK(ERL_DRV_EXT2TERM, W(cut + 1), len), len == LEN ? 0 : -1);
        free(cut);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("build");
    TCase *tc = runner_case(suite, "build");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, operands_are_written_in_order_behind_their_header);
    tcase_add_test(tc, a_list_is_written_as_one_however_many_operations_made_it);
    tcase_add_test(tc, bytes_alone_become_a_string_while_they_fit);
    tcase_add_test(tc, a_binary_over_64_bytes_is_referred_to_and_a_smaller_one_copied);
    tcase_add_test(tc, a_failed_build_leaves_what_was_there_before);
    tcase_add_test(tc, a_port_is_written_by_the_callers_function);
    tcase_add_test(tc, lengths_that_wrap_around_are_refused);
    tcase_add_test(tc, pointers_that_are_null_are_refused);
    tcase_add_test(tc, a_million_nested_lists_are_one_list);
    tcase_add_test(tc, a_million_string_conses_are_one_list);
    tcase_add_test(tc, a_million_nested_tuples_are_built_and_may_be_map_keys);
    tcase_add_test(tc, equal_keys_are_found_among_a_hundred_thousand);
    tcase_add_test(tc, maps_nested_as_values_take_no_more_time_than_side_by_side);
    tcase_add_test(tc, a_compressed_term_may_not_grow_beyond_its_claim);
    tcase_add_test(tc, a_compressed_term_may_have_128_mebibytes_and_no_more);
    tcase_add_test(tc, an_encoded_term_may_be_a_million_deep_and_no_deeper);
    tcase_add_test(tc, an_encoded_term_cut_short_anywhere_is_refused);
    return runner_main(suite);
}
