/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of proto/etf.h. Every input lies at the end of a malloc'd block of its size, so that a build with the address
 * sanitizer sees any read behind it. The bytes are what OTP writes, checked with binary_to_term. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "etf.h"

struct sample {
    const char *what;
    const char *bytes;
    size_t len;
};
#define S(what, bytes) {what, bytes, sizeof bytes - 1}
#define NODE "\x77\x03" "a@b"
#define PID "\x58" NODE "\0\0\0\x01\0\0\0\x02\0\0\0\x03"

static const struct sample terms[] = {
    S("small integer", "\x61\xff"),
    S("integer", "\x62\xff\xff\xff\x7f"),
    S("small big", "\x6e\x04\0\0\0\0\x80"),
    S("negative small big", "\x6e\x08\x01\0\0\0\0\0\0\0\x80"),
    S("large big", "\x6f\0\0\0\x02\0\x01\x02"),
    S("float", "\x46\x3f\xf8\0\0\0\0\0\0"),
    S("old float", "\x63" "1.5e0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    S("old atom", "\x64\0\x02" "a\xe5"),
    S("old small atom", "\x73\x02" "a\xe5"),
    S("atom", "\x76\0\x03" "a\xc3\xa5"),
    S("small atom", "\x77\x03" "a\xc3\xa5"),
    S("empty atom", "\x77\0"),
    S("nil", "\x6a"),
    S("string", "\x6b\0\x02" "ab"),
    S("binary", "\x6d\0\0\0\x02" "ab"),
    S("empty binary", "\x6d\0\0\0\0"),
    S("bit string", "\x4d\0\0\0\x01\x03\xa0"),
    S("list", "\x6c\0\0\0\x02\x61\x01\x6a\x6a"),
    S("improper list", "\x6c\0\0\0\x01\x61\x01\x61\x02"),
    S("tuple", "\x68\x02\x61\x01\x68\x01\x61\x02"),
    S("empty tuple", "\x68\0"),
    S("large tuple", "\x69\0\0\0\x01\x6a"),
    S("map", "\x74\0\0\0\x01\x77\x01" "a\x61\x01"),
    S("empty map", "\x74\0\0\0\0"),
    S("old pid", "\x67" NODE "\0\0\0\x01\0\0\0\x02\x03"),
    S("pid", PID),
    S("old port", "\x66" NODE "\0\0\0\x01\x03"),
    S("new port", "\x59" NODE "\0\0\0\x01\0\0\0\x03"),
    S("v4 port", "\x78" NODE "\0\0\0\0\0\0\0\x01\0\0\0\x03"),
    S("old reference", "\x65" NODE "\0\0\0\x01\x03"),
    S("new reference", "\x72\0\x02" NODE "\x03\0\0\0\x01\0\0\0\x02"),
    S("newer reference", "\x5a\0\x01" NODE "\0\0\0\x03\0\0\0\x01"),
    S("export", "\x71\x77\x05lists\x77\x03map\x61\x02"),
    S("fun", "\x70\0\0\0\x3b\x01" "0123456789abcdef\0\0\0\x01\0\0\0\x01\x77\x01m\x61\x01\x62\0\0\0\x05" PID "\x61\x07"),
};
#define NTERMS ((int)(sizeof terms / sizeof terms[0]))

static const struct sample malformed[] = {
    S("no term", ""),
    S("unknown tag", "\xff"),
    S("compressed", "\x50\0\0\0\x02\x78\x9c\x4b\xac\x4e\0\0"),
    S("atom cache reference", "\x52\0"),
    S("local term", "\x79\x61\x01"),
    S("infinity", "\x46\x7f\xf0\0\0\0\0\0\0"),
    S("not a number", "\x46\xff\xf8\0\0\0\0\0\0"),
    S("old float that is no number", "\x63" "abc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    S("atom that is no UTF-8", "\x77\x01\xc8"),
    S("atom with an overlong character", "\x77\x02\xc0\x80"),
    S("atom with a surrogate", "\x77\x03\xed\xa0\x80"),
    S("atom with a cut character", "\x77\x02" "a\xc3"),
    S("atom over the last code point", "\x77\x04\xf4\x90\x80\x80"),
    S("bit string without bytes", "\x4d\0\0\0\0\x03"),
    S("bit string of no bits", "\x4d\0\0\0\x01\0\x01"),
    S("bit string of nine bits", "\x4d\0\0\0\x01\x09\x01"),
    S("reference without words", "\x5a\0\0" NODE "\0\0\0\x03"),
    S("reference of six words", "\x5a\0\x06" NODE "\0\0\0\x03" "012345678901234567890123"),
    S("pid whose node is no atom", "\x58\x61\x01\0\0\0\x01\0\0\0\x02\0\0\0\x03"),
    S("fun without a pid", "\x70\0\0\0\x29\x01" "0123456789abcdef\0\0\0\x01\0\0\0\0\x77\x01m\x61\x01\x61\x05\x61\x07\x61\x07"),
    S("fun larger than the input", "\x70\0\0\x01\0\x01" "0123456789abcdef\0\0\0\x01\0\0\0\0\x77\x01m\x61\x01\x61\x05" PID),
    S("tuple of 2^32-1", "\x69\xff\xff\xff\xff\x6a"),
    S("list of 2^32-1", "\x6c\xff\xff\xff\xff\x6a"),
    S("map of 2^32-1", "\x74\xff\xff\xff\xff\x6a"),
    S("binary of 2^32-1", "\x6d\xff\xff\xff\xff\x6a"),
    S("big of 2^32-1", "\x6f\xff\xff\xff\xff\0\x01"),
    S("list without tail", "\x6c\0\0\0\x01\x61\x01"),
};
#define NMALFORMED ((int)(sizeof malformed / sizeof malformed[0]))

/* The inputs of one test; freed by its teardown, so that a test may be left by a failed assertion. */
static void *blocks[64];
static size_t nblocks;

static void free_blocks(void)
{
    while (nblocks > 0)
        free(blocks[--nblocks]);
}

/* A cursor over a copy of the bytes that ends where its block ends. */
static struct ph_cur at_end(const void *bytes, size_t len)
{
    uint8_t *block = malloc(8 + len);

    ck_assert_ptr_nonnull(block);
    ck_assert_uint_lt(nblocks, sizeof blocks / sizeof blocks[0]);
    blocks[nblocks++] = block;
    memcpy(block + 8, bytes, len);
    return (struct ph_cur){block + 8, block + 8 + len};
}
#define CUR(literal) at_end(literal, sizeof literal - 1)

static void count_piece(void *arg, const uint8_t *p, size_t len)
{
    unsigned *sum = arg;
    for (size_t i = 0; i < len; i++)
        *sum += p[i];
}

/* Every reader on the same bytes: none may crash, move back or behind the end, or move when it fails. */
static void read_everything(struct ph_cur start)
{
    char atom[1021], *text;
    uint32_t n;
    int64_t i;
    uint64_t u;
    size_t len;
    bool b;
    unsigned sum = 0;
    struct ph_slice s;
    const struct ph_iodata_sink sink = {count_piece, count_piece, &sum};
    struct ph_cur c = start;

#define TRY(call)                                                  \
    do {                                                           \
        c = start;                                                 \
        int rc = (call);                                           \
        ck_assert(rc <= 0 && c.end == start.end && c.p <= c.end); \
        ck_assert(rc == 0 ? c.p > start.p : c.p == start.p);       \
    } while (0)
    TRY(ph_etf_skip(&c, 1000));
    TRY(ph_etf_raw(&c, &s));
    TRY(ph_etf_version(&c));
    TRY(ph_etf_tuple(&c, &n));
    TRY(ph_etf_map(&c, &n));
    TRY(ph_etf_list(&c, &n));
    TRY(ph_etf_nil(&c));
    TRY(ph_etf_atom(&c, atom, sizeof atom, &len));
    TRY(ph_etf_is_atom(&c, "atom"));
    TRY(ph_etf_int64(&c, &i));
    TRY(ph_etf_uint64(&c, &u));
    TRY(ph_etf_bool(&c, &b));
    TRY(ph_etf_binary(&c, &s));
    TRY(ph_etf_pid(&c, &s));
    TRY(ph_etf_ref(&c, &s));
    TRY(ph_iodata_each(&c, &sink));
    text = NULL;
    TRY(ph_etf_text(&c, true, &text, &len));
    free(text);
#undef TRY
    ck_assert_int_le(ph_iodata_size(start, &len), 0);
}

START_TEST(every_term_otp_writes_is_passed_exactly)
{
    const struct sample *t = &terms[_i];
    struct ph_cur c = at_end(t->bytes, t->len);
    struct ph_slice s;

    ck_assert_msg(ph_etf_raw(&c, &s) == 0 && c.p == c.end && s.len == t->len, "%s", t->what);
    read_everything((struct ph_cur){s.p, s.p + s.len});
}
END_TEST

START_TEST(a_term_is_passed_but_not_what_follows_it)
{
    const struct sample *t = &terms[_i];
    char both[256];

    memcpy(both, t->bytes, t->len);
    both[t->len] = 'j';
    struct ph_cur c = at_end(both, t->len + 1);
    ck_assert_msg(ph_etf_skip(&c, 1000) == 0 && c.p == c.end - 1, "%s", t->what);
}
END_TEST

START_TEST(every_truncation_of_every_term_is_refused)
{
    const struct sample *t = &terms[_i];

    for (size_t len = 0; len < t->len; len++) {
        struct ph_cur c = at_end(t->bytes, len);
        ck_assert_msg(ph_etf_skip(&c, 1000) == -1, "%s of %zu bytes", t->what, len);
        read_everything(c);
        free_blocks();
    }
}
END_TEST

START_TEST(any_changed_byte_of_a_term_is_read_within_bounds)
{
    const struct sample *t = &terms[_i];
    char copy[256];

    memcpy(copy, t->bytes, t->len);
    for (size_t at = 0; at < t->len; at++) {
        for (int v = 0; v < 256; v += at == 0 ? 1 : 15) {
            copy[at] = (char)v;
            read_everything(at_end(copy, t->len));
            free_blocks();
        }
        copy[at] = t->bytes[at];
    }
}
END_TEST

START_TEST(malformed_terms_are_refused)
{
    const struct sample *t = &malformed[_i];
    struct ph_cur c = at_end(t->bytes, t->len);

    ck_assert_msg(ph_etf_skip(&c, 1000) == -1, "%s", t->what);
    read_everything(c);
}
END_TEST

/* depth - 1 containers of `head` around nil, each closed by `tail`. */
static struct ph_cur nested(const char *head, size_t nhead, const char *tail, size_t ntail, size_t depth)
{
    size_t len = (depth - 1) * (nhead + ntail) + 1;
    char *bytes = malloc(len), *p = bytes;

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 1; i < depth; i++, p += nhead)
        memcpy(p, head, nhead);
    *p++ = 'j';
    for (size_t i = 1; i < depth; i++, p += ntail)
        memcpy(p, tail, ntail);
    struct ph_cur c = at_end(bytes, len);
    free(bytes);
    return c;
}

START_TEST(a_term_as_deep_as_allowed_is_passed_and_one_deeper_is_not)
{
    for (size_t max = 1; max <= 1000; max = max == 1 ? 2 : max == 2 ? 999 : max + 1) {
        struct ph_cur tuple = nested("\x68\x01", 2, "", 0, max), list = nested("\x6c\0\0\0\x01", 5, "j", 1, max);
        struct ph_cur tail = nested("\x6c\0\0\0\x01\x6a", 6, "", 0, max), map = nested("\x74\0\0\0\x01j", 6, "", 0, max);
        struct ph_cur all[4] = {tuple, list, tail, map};
        for (size_t i = 0; i < 4; i++) {
            struct ph_cur c = all[i];
            ck_assert_int_eq(ph_etf_skip(&c, (unsigned)max - 1), -1);
            ck_assert_int_eq(ph_etf_skip(&c, (unsigned)max), 0);
            ck_assert_ptr_eq(c.p, c.end);
        }
    }
}
END_TEST

START_TEST(what_hosts_send_may_be_deeper_than_what_clients_do)
{
    struct ph_cur most = nested("\x68\x01", 2, "", 0, PH_ETF_DEPTH_MAX), more = nested("\x68\x01", 2, "", 0, PH_ETF_DEPTH_MAX + 1), c = most;
    struct ph_slice raw;

    ck_assert_int_eq(ph_etf_skip(&c, PH_ETF_DEPTH_MAX), 0);
    ck_assert_ptr_eq(c.p, c.end);
    c = most;
    ck_assert_int_eq(ph_etf_skip(&c, PH_ETF_DEPTH_MAX - 1), -1);
    ck_assert_int_eq(ph_etf_raw(&c, &raw), 0);
    ck_assert(raw.p == most.p && c.p == c.end);
    ck_assert(!ph_etf_is_deeper(most, PH_ETF_DEPTH_MAX) && ph_etf_is_deeper(most, PH_ETF_DEPTH_MAX - 1));
    c = more;
    ck_assert_int_eq(ph_etf_skip(&c, UINT32_MAX), -1);
    ck_assert_int_eq(ph_etf_raw(&c, &raw), -1);
    ck_assert(ph_etf_is_deeper(more, PH_ETF_DEPTH_MAX));
    c = (struct ph_cur){most.p, most.end - 1};
    ck_assert(ph_etf_skip(&c, PH_ETF_DEPTH_MAX) == -1 && !ph_etf_is_deeper(c, PH_ETF_DEPTH_MAX));
}
END_TEST

START_TEST(nesting_beyond_any_limit_is_refused_without_recursion)
{
    struct ph_cur c = nested("\x68\x01", 2, "", 0, 2000000);
    size_t size;

    ck_assert_int_eq(ph_etf_skip(&c, UINT32_MAX), -1);
    c = nested("\x6c\0\0\0\x01", 5, "j", 1, 1000000);
    ck_assert_int_eq(ph_iodata_size(c, &size), -1);
}
END_TEST

START_TEST(many_empty_containers_side_by_side_are_not_deep)
{
    char bytes[5 + 2 * 5000 + 1] = "\x6c\0\0\x13\x88";

    for (size_t i = 0; i < 5000; i++)
        memcpy(bytes + 5 + 2 * i, "\x68\0", 2);
    bytes[sizeof bytes - 1] = 'j';
    struct ph_cur c = at_end(bytes, sizeof bytes);
    ck_assert_int_eq(ph_etf_skip(&c, 2), 0);
}
END_TEST

START_TEST(headers_give_their_counts_and_leave_the_elements)
{
    uint32_t n;
    struct ph_cur c = CUR("\x68\x02\x6a\x6a");

    ck_assert(ph_etf_tuple(&c, &n) == 0 && n == 2 && c.end - c.p == 2);
    c = CUR("\x69\0\0\0\x01\x6a");
    ck_assert(ph_etf_tuple(&c, &n) == 0 && n == 1 && c.end - c.p == 1);
    c = CUR("\x74\0\0\0\x01\x6a\x6a");
    ck_assert(ph_etf_map(&c, &n) == 0 && n == 1 && c.end - c.p == 2);
    c = CUR("\x6c\0\0\0\x01\x6a\x6a");
    ck_assert(ph_etf_list(&c, &n) == 0 && n == 1 && c.end - c.p == 2);
    c = CUR("\x6a");
    ck_assert(ph_etf_list(&c, &n) == 0 && n == 0 && c.p == c.end);
    c = CUR("\x6c\0\0\0\0\x6a");
    ck_assert(ph_etf_list(&c, &n) == 0 && n == 0 && c.p == c.end);
    c = CUR("\x6b\0\x01" "a");
    ck_assert_int_eq(ph_etf_list(&c, &n), -1);
    c = CUR("\x83\x6a");
    ck_assert(ph_etf_version(&c) == 0 && ph_etf_version(&c) == -1 && ph_etf_nil(&c) == 0);
}
END_TEST

START_TEST(a_header_that_claims_more_terms_than_bytes_follow_is_refused)
{
    uint32_t n;
    struct ph_cur c = CUR("\x68\x02\x6a");

    ck_assert_int_eq(ph_etf_tuple(&c, &n), -1);
    c = CUR("\x69\xff\xff\xff\xff\x6a");
    ck_assert_int_eq(ph_etf_tuple(&c, &n), -1);
    c = CUR("\x74\0\0\0\x01\x6a");
    ck_assert_int_eq(ph_etf_map(&c, &n), -1);
    c = CUR("\x6c\0\0\0\x01\x6a");
    ck_assert_int_eq(ph_etf_list(&c, &n), -1);
    c = CUR("\x6c\xff\xff\xff\xff\x6a");
    ck_assert_int_eq(ph_etf_list(&c, &n), -1);
}
END_TEST

START_TEST(atoms_of_all_encodings_are_read_as_utf8)
{
    char buf[1021];
    size_t len;

    for (int i = 7; i <= 10; i++) {
        struct ph_cur c = at_end(terms[i].bytes, terms[i].len);
        ck_assert_int_eq(ph_etf_atom(&c, buf, sizeof buf, &len), 0);
        ck_assert_str_eq(buf, "a\xc3\xa5");
        ck_assert_uint_eq(len, 3);
    }
    struct ph_cur c = CUR("\x77\x03" "a\0b");
    ck_assert_int_eq(ph_etf_atom(&c, buf, sizeof buf, &len), 0);
    ck_assert(len == 3 && memcmp(buf, "a\0b", 4) == 0);
}
END_TEST

START_TEST(atoms_may_have_255_characters_and_not_256)
{
    char bytes[3 + 256 * 4] = "\x76", buf[1021];
    size_t len;

    for (unsigned chars = 255; chars <= 256; chars++) {
        for (size_t i = 0; i < chars; i++)
            memcpy(bytes + 3 + 4 * i, "\xf0\x9f\x98\x80", 4);
        bytes[1] = (char)(chars * 4 >> 8);
        bytes[2] = (char)(chars * 4);
        struct ph_cur c = at_end(bytes, 3 + chars * 4);
        struct ph_cur d = c;
        ck_assert_int_eq(ph_etf_skip(&d, 1), chars == 255 ? 0 : -1);
        ck_assert_int_eq(ph_etf_atom(&c, buf, sizeof buf, &len), chars == 255 ? 0 : -1);
    }
    ck_assert(len == 1020 && buf[1020] == '\0');
    bytes[0] = 'd';
    bytes[1] = 0;
    bytes[2] = (char)255;
    memset(bytes + 3, 0xe5, 255);
    struct ph_cur c = at_end(bytes, 3 + 255);
    ck_assert_int_eq(ph_etf_atom(&c, buf, 510, &len), -1);
    ck_assert_int_eq(ph_etf_atom(&c, buf, 511, &len), 0);
    ck_assert(len == 510 && buf[510] == '\0');
}
END_TEST

START_TEST(an_atom_is_compared_whole)
{
    struct ph_cur c = CUR("\x77\x04open");
    bool v = true;

    ck_assert_int_eq(ph_etf_is_atom(&c, "ope"), -1);
    ck_assert_int_eq(ph_etf_is_atom(&c, "opens"), -1);
    ck_assert_int_eq(ph_etf_is_atom(&c, "open"), 0);
    ck_assert_ptr_eq(c.p, c.end);
    c = CUR("\x64\0\x05" "false");
    ck_assert(ph_etf_bool(&c, &v) == 0 && !v);
    c = CUR("\x77\x04true");
    ck_assert(ph_etf_bool(&c, &v) == 0 && v);
    c = CUR("\x77\x04trux");
    ck_assert_int_eq(ph_etf_bool(&c, &v), -1);
    c = CUR("\x6d\0\0\0\x04open");
    ck_assert_int_eq(ph_etf_is_atom(&c, "open"), -1);
}
END_TEST

static const struct {
    struct sample in;
    int as_int, as_uint;
    int64_t i;
    uint64_t u;
} integers[] = {
    {S("0", "\x61\0"), 0, 0, 0, 0},
    {S("255", "\x61\xff"), 0, 0, 255, 255},
    {S("-1", "\x62\xff\xff\xff\xff"), 0, -1, -1, 0},
    {S("2^31-1", "\x62\x7f\xff\xff\xff"), 0, 0, INT32_MAX, INT32_MAX},
    {S("-2^31", "\x62\x80\0\0\0"), 0, -1, INT32_MIN, 0},
    {S("2^31", "\x6e\x04\0\0\0\0\x80"), 0, 0, INT64_C(2147483648), 2147483648u},
    {S("2^63-1", "\x6e\x08\0\xff\xff\xff\xff\xff\xff\xff\x7f"), 0, 0, INT64_MAX, INT64_MAX},
    {S("-2^63", "\x6e\x08\x01\0\0\0\0\0\0\0\x80"), 0, -1, INT64_MIN, 0},
    {S("2^63", "\x6e\x08\0\0\0\0\0\0\0\0\x80"), -1, 0, 0, UINT64_C(1) << 63},
    {S("-2^63-1", "\x6e\x08\x01\x01\0\0\0\0\0\0\x80"), -1, -1, 0, 0},
    {S("2^64-1", "\x6e\x08\0\xff\xff\xff\xff\xff\xff\xff\xff"), -1, 0, 0, UINT64_MAX},
    {S("2^64", "\x6e\x09\0\0\0\0\0\0\0\0\0\x01"), -1, -1, 0, 0},
    {S("5 with a leading zero", "\x6e\x02\0\x05\0"), 0, 0, 5, 5},
    {S("5 as a large big", "\x6f\0\0\0\x09\0\x05\0\0\0\0\0\0\0\0"), 0, 0, 5, 5},
    {S("0 without digits", "\x6e\0\0"), 0, 0, 0, 0},
    {S("a float", "\x46\x3f\xf0\0\0\0\0\0\0"), -1, -1, 0, 0},
    {S("an atom", "\x77\x01" "5"), -1, -1, 0, 0},
};

START_TEST(integers_are_read_if_they_fit)
{
    const struct sample *t = &integers[_i].in;
    struct ph_cur c = at_end(t->bytes, t->len), d = c;
    int64_t i = 0;
    uint64_t u = 0;

    ck_assert_msg(ph_etf_int64(&c, &i) == integers[_i].as_int && i == integers[_i].i, "%s", t->what);
    ck_assert_msg(ph_etf_uint64(&d, &u) == integers[_i].as_uint && u == integers[_i].u, "%s", t->what);
}
END_TEST

START_TEST(identifiers_are_given_as_their_bytes)
{
    struct ph_slice s;
    int pids = 0, refs = 0;

    for (int i = 0; i < NTERMS; i++) {
        struct ph_cur c = at_end(terms[i].bytes, terms[i].len), d = c;
        bool pid = ph_etf_pid(&c, &s) == 0, ref = ph_etf_ref(&d, &s) == 0;
        pids += pid;
        refs += ref;
        ck_assert_msg(!pid || strstr(terms[i].what, "pid") != NULL, "%s", terms[i].what);
        ck_assert_msg(!ref || strstr(terms[i].what, "reference") != NULL, "%s", terms[i].what);
        ck_assert(!(pid || ref) || s.len == terms[i].len);
    }
    ck_assert_int_eq(pids, 2);
    ck_assert_int_eq(refs, 3);
}
END_TEST

static const struct {
    struct sample in;
    int rc;
    const char *text;
} texts[] = {
    {S("binary", "\x6d\0\0\0\x02" "ab"), 0, "ab"},
    {S("string", "\x6b\0\x02" "ab"), 0, "ab"},
    {S("empty string", "\x6b\0\0"), 0, ""},
    {S("nil", "\x6a"), 0, ""},
    {S("list of bytes", "\x6c\0\0\0\x02\x61" "a\x61\xe5\x6a"), 0, "a\xe5"},
    {S("list with a code point", "\x6c\0\0\0\x03\x61\xe5\x62\0\0\x20\xac\x62\0\x01\xf6\0\x6a"), 0,
     "\xc3\xa5\xe2\x82\xac\xf0\x9f\x98\x80"},
    {S("atom", "\x77\x02" "ab"), 0, "ab"},
    {S("Latin-1 atom", "\x73\x01\xe5"), 0, "\xc3\xa5"},
    {S("binary with NUL", "\x6d\0\0\0\x02" "a\0"), -2, NULL},
    {S("atom with NUL", "\x77\x02" "a\0"), -2, NULL},
    {S("list with NUL", "\x6c\0\0\0\x01\x61\0\x6a"), -2, NULL},
    {S("surrogate", "\x6c\0\0\0\x01\x62\0\0\xd8\0\x6a"), -1, NULL},
    {S("over the last code point", "\x6c\0\0\0\x01\x62\0\x11\0\0\x6a"), -1, NULL},
    {S("negative", "\x6c\0\0\0\x01\x62\xff\xff\xff\xff\x6a"), -1, NULL},
    {S("improper list", "\x6c\0\0\0\x01\x61" "a\x61" "b"), -1, NULL},
    {S("deep list", "\x6c\0\0\0\x01\x6b\0\x01" "a\x6a"), -1, NULL},
    {S("integer", "\x61\x01"), -1, NULL},
    {S("bit string", "\x4d\0\0\0\x01\x03\xa0"), -1, NULL},
};

START_TEST(text_is_read_from_binaries_strings_flat_lists_and_atoms)
{
    const struct sample *t = &texts[_i].in;
    struct ph_cur c = at_end(t->bytes, t->len);
    char *text = NULL;
    size_t len;

    ck_assert_msg(ph_etf_text(&c, true, &text, &len) == texts[_i].rc, "%s", t->what);
    ck_assert_msg((text == NULL) == (texts[_i].text == NULL), "%s", t->what);
    if (text != NULL) {
        ck_assert_str_eq(text, texts[_i].text);
        ck_assert_uint_eq(len, strlen(text));
        ck_assert_ptr_eq(c.p, c.end);
    }
    free(text);
}
END_TEST

START_TEST(an_atom_is_text_only_where_that_is_allowed)
{
    struct ph_cur c = CUR("\x77\x02" "ab");
    char *text;
    size_t len;

    ck_assert_int_eq(ph_etf_text(&c, false, &text, &len), -1);
    ck_assert_ptr_null(text);
}
END_TEST

struct trace {
    char text[64];
    size_t len;
};

static void note(struct trace *t, char open, const uint8_t *p, size_t len, char shut)
{
    int n = snprintf(t->text + t->len, sizeof t->text - t->len, "%c%.*s%c", open, (int)len, (const char *)p, shut);
    t->len += (size_t)n;
}

static void note_bytes(void *arg, const uint8_t *p, size_t len)
{
    note(arg, '[', p, len, ']');
}

static void note_binary(void *arg, const uint8_t *p, size_t len)
{
    note(arg, '<', p, len, '>');
}

static const struct {
    struct sample in;
    int rc;
    const char *trace;
    size_t size;
} iodata[] = {
    {S("binary", "\x6d\0\0\0\x02" "ab"), 0, "<ab>", 2},
    {S("empty binary", "\x6d\0\0\0\0"), 0, "<>", 0},
    {S("string", "\x6b\0\x02" "ab"), 0, "[ab]", 2},
    {S("nil", "\x6a"), 0, "", 0},
    {S("bytes", "\x6c\0\0\0\x02\x61" "a\x62\0\0\0b\x6a"), 0, "[ab]", 2},
    {S("[a,<<b>>,[c|<<d>>],\"e\",f]",
       "\x6c\0\0\0\x05\x61" "a\x6d\0\0\0\x01" "b\x6c\0\0\0\x01\x61" "c\x6d\0\0\0\x01" "d\x6b\0\x01" "e\x61" "f\x6a"),
     0, "[a]<b>[c]<d>[e][f]", 6},
    {S("[a,[b],c]: one run", "\x6c\0\0\0\x03\x61" "a\x6c\0\0\0\x01\x61" "b\x6a\x61" "c\x6a"), 0, "[abc]", 3},
    {S("tail that is a string", "\x6c\0\0\0\x01\x61" "a\x6b\0\x01" "b"), 0, "[a][b]", 2},
    {S("tail that is a list", "\x6c\0\0\0\x01\x61" "a\x6c\0\0\0\x01\x61" "b\x6a"), 0, "[ab]", 2},
    {S("tail that is a byte", "\x6c\0\0\0\x01\x61" "a\x61" "b"), -1, NULL, 0},
    {S("byte alone", "\x61" "a"), -1, NULL, 0},
    {S("256", "\x6c\0\0\0\x01\x62\0\0\x01\0\x6a"), -1, NULL, 0},
    {S("-1", "\x6c\0\0\0\x01\x62\xff\xff\xff\xff\x6a"), -1, NULL, 0},
    {S("atom", "\x77\x02" "ab"), -1, NULL, 0},
    {S("atom in a list", "\x6c\0\0\0\x01\x77\x01" "a\x6a"), -1, NULL, 0},
    {S("tuple", "\x68\0"), -1, NULL, 0},
    {S("bit string", "\x4d\0\0\0\x01\x03\xa0"), -2, NULL, 0},
    {S("bit string in a list", "\x6c\0\0\0\x02\x4d\0\0\0\x01\x03\xa0\x61" "a\x6a"), -2, NULL, 0},
    {S("bit string and an atom", "\x6c\0\0\0\x02\x4d\0\0\0\x01\x03\xa0\x77\x01" "a\x6a"), -1, NULL, 0},
};

START_TEST(iodata_is_walked_in_order)
{
    const struct sample *t = &iodata[_i].in;
    struct ph_cur c = at_end(t->bytes, t->len);
    struct trace trace = {{0}, 0};
    const struct ph_iodata_sink sink = {note_bytes, note_binary, &trace}, none = {NULL, NULL, NULL};
    size_t size;

    ck_assert_msg(ph_iodata_size(c, &size) == iodata[_i].rc, "%s", t->what);
    ck_assert_msg(iodata[_i].rc != 0 || size == iodata[_i].size, "%s", t->what);
    struct ph_cur d = c;
    ck_assert_int_eq(ph_iodata_each(&d, &none), iodata[_i].rc);
    ck_assert_int_eq(ph_iodata_each(&c, &sink), iodata[_i].rc);
    if (iodata[_i].trace != NULL) {
        ck_assert_str_eq(trace.text, iodata[_i].trace);
        ck_assert_ptr_eq(c.p, c.end);
    }
}
END_TEST

START_TEST(long_runs_of_list_bytes_arrive_whole)
{
    enum { N = 100000 };
    uint8_t *bytes = malloc(5 + 2 * N + 1);
    unsigned sum = 0;
    size_t size;
    const struct ph_iodata_sink sink = {count_piece, NULL, &sum};

    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, "\x6c\0\x01\x86\xa0", 5);
    for (size_t i = 0; i < N; i++)
        memcpy(bytes + 5 + 2 * i, "\x61\x03", 2);
    bytes[5 + 2 * N] = 'j';
    struct ph_cur c = at_end(bytes, 5 + 2 * N + 1);
    free(bytes);
    ck_assert(ph_iodata_size(c, &size) == 0 && size == N);
    ck_assert_int_eq(ph_iodata_each(&c, &sink), 0);
    ck_assert_uint_eq(sum, 3 * N);
}
END_TEST

#define LOOP(tc, test, array) tcase_add_loop_test(tc, test, 0, (int)(sizeof array / sizeof array[0]))

static Suite *suite(void)
{
    Suite *s = suite_create("etf");
    TCase *tc = tcase_create("skip");
    TCase *values = tcase_create("values");

    tcase_add_checked_fixture(tc, NULL, free_blocks);
    tcase_add_loop_test(tc, every_term_otp_writes_is_passed_exactly, 0, NTERMS);
    tcase_add_loop_test(tc, a_term_is_passed_but_not_what_follows_it, 0, NTERMS);
    tcase_add_loop_test(tc, every_truncation_of_every_term_is_refused, 0, NTERMS);
    tcase_add_loop_test(tc, any_changed_byte_of_a_term_is_read_within_bounds, 0, NTERMS);
    tcase_add_loop_test(tc, malformed_terms_are_refused, 0, NMALFORMED);
    tcase_add_test(tc, a_term_as_deep_as_allowed_is_passed_and_one_deeper_is_not);
    tcase_add_test(tc, nesting_beyond_any_limit_is_refused_without_recursion);
    tcase_add_test(tc, what_hosts_send_may_be_deeper_than_what_clients_do);
    tcase_add_test(tc, many_empty_containers_side_by_side_are_not_deep);
    tcase_add_checked_fixture(values, NULL, free_blocks);
    tcase_add_test(values, headers_give_their_counts_and_leave_the_elements);
    tcase_add_test(values, a_header_that_claims_more_terms_than_bytes_follow_is_refused);
    tcase_add_test(values, atoms_of_all_encodings_are_read_as_utf8);
    tcase_add_test(values, atoms_may_have_255_characters_and_not_256);
    tcase_add_test(values, an_atom_is_compared_whole);
    LOOP(values, integers_are_read_if_they_fit, integers);
    tcase_add_test(values, identifiers_are_given_as_their_bytes);
    LOOP(values, text_is_read_from_binaries_strings_flat_lists_and_atoms, texts);
    tcase_add_test(values, an_atom_is_text_only_where_that_is_allowed);
    LOOP(values, iodata_is_walked_in_order, iodata);
    tcase_add_test(values, long_runs_of_list_bytes_arrive_whole);
    suite_add_tcase(s, tc);
    suite_add_tcase(s, values);
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
