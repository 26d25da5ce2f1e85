/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of proto/cli/term/term.h. Text and bytes lie at the end of a malloc'd block of their size, so that a build with the address
 * sanitizer sees any read behind them. Encodings and printed forms are those of the VM (term_to_binary, ~0tp with +pc unicode). */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "term/term.h"
#include "runner.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static struct ph_wbuf w;
static struct ph_term_error err;

static void setup(void)
{
    ph_wbuf_init(&w, NULL);
}

static void teardown(void)
{
    ph_wbuf_free(&w);
}

static char *block_of(const void *p, size_t len)
{
    char *block = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(block);
    memcpy(block, p, len);
    return block;
}

static int read_limited(const char *text, size_t len, struct ph_term_limits limits)
{
    char *block = block_of(text, len);
    int rc = ph_term_read(block, len, limits, &w, &err);
    free(block);
    return rc;
}

static int read_text(const char *text)
{
    return read_limited(text, strlen(text), PH_TERM_LIMITS);
}

static int print_bytes(int (*print)(FILE *, struct ph_slice), const void *p, size_t len, char **text, size_t *text_len)
{
    char *block = block_of(p, len);
    FILE *f = open_memstream(text, text_len);
    int rc = print(f, (struct ph_slice){(uint8_t *)block, len});
    fclose(f);
    free(block);
    return rc;
}

static void assert_prints(const void *p, size_t len, const char *expected)
{
    char *text;
    size_t n;
    ck_assert_int_eq(print_bytes(ph_term_print, p, len, &text, &n), 0);
    ck_assert_str_eq(text, expected);
    free(text);
}

/* ---- encodings ---- */

#define NODE "\x77\x15porthostctl@localhost"

static const struct {
    const char *text, *bytes;
    size_t len;
} encodings[] = {
#define E(text, bytes) {text, bytes, sizeof bytes - 1}
    E("a", "\x77\x01" "a"),
    E("'h\xc3\xa4 B'", "\x77\x05h\xc3\xa4 B"),
    E("''", "\x77\0"),
    E("'a\\'b\\\\c'", "\x77\x05" "a'b\\c"),
    E("true", "\x77\x04true"),
    E("0", "\x61\0"),
    E("255", "\x61\xff"),
    E("256", "\x62\0\0\x01\0"),
    E("-1", "\x62\xff\xff\xff\xff"),
    E("+7", "\x61\x07"),
    E("1_000", "\x62\0\0\x03\xe8"),
    E("16#fF", "\x61\xff"),
    E("-2#101", "\x62\xff\xff\xff\xfb"),
    E("36#Zz", "\x62\0\0\x05\x0f"),
    E("$a", "\x61\x61"),
    E("$\\n", "\x61\x0a"),
    E("$\\x{e4}", "\x61\xe4"),
    E("$\\^A", "\x61\x01"),
    E("$\\101", "\x61\x41"),
    E("4294967296", "\x6e\x05\0\0\0\0\0\x01"),
    E("-9223372036854775808", "\x6e\x08\x01\0\0\0\0\0\0\0\x80"),
    E("18446744073709551616", "\x6e\x09\0\0\0\0\0\0\0\0\0\x01"),
    E("16#123456789ABCDEF0123", "\x6e\x0a\0\x23\x01\xef\xcd\xab\x89\x67\x45\x23\x01"),
    E("1.5", "\x46\x3f\xf8\0\0\0\0\0\0"),
    E("-1.5e3", "\x46\xc0\x97\x70\0\0\0\0\0"),
    E("1.0E-2", "\x46\x3f\x84\x7a\xe1\x47\xae\x14\x7b"),
    E("\"\"", "\x6a"),
    E("\"ab\"", "\x6b\0\x02" "ab"),
    E("\"a\" %x\n \"b\"", "\x6b\0\x02" "ab"),
    E("\"\\t\\d\\x41\"", "\x6b\0\x03\t\x7f\x41"),
    E("\"\xd0\xb6\"", "\x6c\0\0\0\x01\x62\0\0\x04\x36\x6a"),
    E("[]", "\x6a"),
    E("[1,2]", "\x6b\0\x02\x01\x02"),
    E("[1,256]", "\x6c\0\0\0\x02\x61\x01\x62\0\0\x01\0\x6a"),
    E("[1|2]", "\x6c\0\0\0\x01\x61\x01\x61\x02"),
    E("[a,b|c]", "\x6c\0\0\0\x02\x77\x01" "a\x77\x01" "b\x77\x01" "c"),
    E("[a|[1]]", "\x6c\0\0\0\x01\x77\x01" "a\x6b\0\x01\x01"),
    E("[a|[b|[]]]", "\x6c\0\0\0\x01\x77\x01" "a\x6c\0\0\0\x01\x77\x01" "b\x6a"),
    E("[a|{[b]}]", "\x6c\0\0\0\x01\x77\x01" "a\x68\x01\x6c\0\0\0\x01\x77\x01" "b\x6a"),
    E("{}", "\x68\0"),
    E("{a,{}}", "\x68\x02\x77\x01" "a\x68\0"),
    E("#{}", "\x74\0\0\0\0"),
    E("#{a=>1, 2=>[]}", "\x74\0\0\0\x02\x77\x01" "a\x61\x01\x61\x02\x6a"),
    E("#{1 => a, 1.0 => b}", "\x74\0\0\0\x02\x61\x01\x77\x01" "a\x46\x3f\xf0\0\0\0\0\0\0\x77\x01" "b"),
    E("<<>>", "\x6d\0\0\0\0"),
    E("<<1,-1,256>>", "\x6d\0\0\0\x03\x01\xff\0"),
    E("<<\"a\xc3\xa4\">>", "\x6d\0\0\0\x02" "a\xe4"),
    E("<<\"a\xc3\xa4\"/utf8>>", "\x6d\0\0\0\x03" "a\xc3\xa4"),
    E("<<16#436/utf8>>", "\x6d\0\0\0\x02\xd0\xb6"),
    E("<<1:16,1:16/little>>", "\x6d\0\0\0\x04\0\x01\x01\0"),
    E("<<16#123:12/little, 5:4>>", "\x6d\0\0\0\x02\x23\x15"),
    E("<<-2:12, 1:4>>", "\x6d\0\0\0\x02\xff\xe1"),
    E("<<\"ab\":16>>", "\x6d\0\0\0\x04\0a\0b"),
    E("<<1.5:32/float>>", "\x6d\0\0\0\x04\x3f\xc0\0\0"),
    E("<<2/float-little>>", "\x6d\0\0\0\x08\0\0\0\0\0\0\0\x40"),
    E("<<1,2:3>>", "\x4d\0\0\0\x02\x03\x01\x40"),
    E("<<1:1,\"a\">>", "\x4d\0\0\0\x02\x01\xb0\x80"),
    E("<<1:0>>", "\x6d\0\0\0\0"),
    E("<0.5.6>", "\x58" NODE "\0\0\0\x05\0\0\0\x06\0\0\0\x01"),
    E("<a@b.1.2>", "\x58\x77\x03" "a@b\0\0\0\x01\0\0\0\x02\0\0\0\0"),
    E("<'a@b.c'/17.1.2>", "\x58\x77\x05" "a@b.c\0\0\0\x01\0\0\0\x02\0\0\0\x11"),
    E("#Port<0.7>", "\x59" NODE "\0\0\0\x07\0\0\0\x01"),
    E("#Port<0.4294967296>", "\x78" NODE "\0\0\0\x01\0\0\0\0\0\0\0\x01"),
    E("#Ref<0.1.2.3>", "\x5a\0\x03" NODE "\0\0\0\x01\0\0\0\x03\0\0\0\x02\0\0\0\x01"),
    E("fun lists:map/2", "\x71\x77\x05lists\x77\x03map\x61\x02"),
    E(" % note\n {a} . % end", "\x68\x01\x77\x01" "a"),
#undef E
};

START_TEST(text_becomes_the_bytes_that_the_vm_writes)
{
    ck_assert_msg(read_text(encodings[_i].text) == 0, "%s: %s", encodings[_i].text, err.text);
    ck_assert_msg(w.len == encodings[_i].len && memcmp(w.buf, encodings[_i].bytes, w.len) == 0, "%s", encodings[_i].text);
}
END_TEST

START_TEST(a_long_list_and_tuple_have_the_large_forms)
{
    char *text = malloc(2 * 70000 + 3);
    size_t len = 0;
    text[len++] = '[';
    for (int i = 0; i < 70000; i++)
        len += (size_t)sprintf(text + len, i ? ",1" : "1");
    text[len++] = ']';
    ck_assert_int_eq(read_limited(text, len, PH_TERM_LIMITS), 0);
    ck_assert_int_eq(w.buf[0], 108);
    ck_assert_uint_eq(w.len, 1 + 4 + 2 * 70000 + 1);
    ph_wbuf_reset(&w);
    text[0] = '{';
    text[len - 1] = '}';
    ck_assert_int_eq(read_limited(text, len, PH_TERM_LIMITS), 0);
    ck_assert_mem_eq(w.buf, "\x69\0\x01\x11\x70\x61\x01", 7);
    ck_assert_uint_eq(w.len, 1 + 4 + 2 * 70000);
    free(text);
}
END_TEST

START_TEST(a_term_is_appended_to_what_is_there)
{
    ph_w_version(&w);
    ck_assert_int_eq(read_text("{[1,2],<<3:4>>}"), 0);
    ck_assert_mem_eq(w.buf, "\x83\x68\x02\x6b\0\x02\x01\x02\x4d\0\0\0\x01\x04\x30", 15);
}
END_TEST

START_TEST(the_length_of_a_term_at_the_beginning_is_told)
{
    size_t used = 0;
    ck_assert_int_eq(ph_term_read_prefix(" {a, 1} rest \"x", 15, PH_TERM_LIMITS, &w, &err, &used), 0);
    ck_assert_uint_eq(used, 7);
    ck_assert_int_eq(ph_term_read_prefix("\"a\" \"b\" c", 9, PH_TERM_LIMITS, &w, &err, &used), 0);
    ck_assert_uint_eq(used, 7);
    ck_assert_int_eq(ph_term_read_prefix("12.", 3, PH_TERM_LIMITS, &w, &err, &used), 0);
    ck_assert_uint_eq(used, 2);
}
END_TEST

/* ---- round trips ---- */

static const char *const canonical[] = {
    "a", "a@b_C1", "'A'", "'a b'", "''", "'end'", "maybe", "h\xc3\xa4h", "'\xd0\xb6'", "'\\n\\001\\d\\\\\\''", "'\\200'",
    "0", "-1", "12345678901234567890123456789012345678901234567890", "-170141183460469231731687303715884105728",
    "0.0", "-0.0", "1.0", "100.0", "1.0e3", "123456.0", "1.5e6", "0.001", "1.2e-4", "0.0001", "1.0e22", "5.0e-324",
    "1.7976931348623157e308", "9.007199254740992e15", "4503599627370496.0", "12345.678", "1234567890123.0", "0.1", "0.3333333333333333",
    "[]", "\"abc\"", "\"a\\n\\t\\\"\\\\\\e\"", "\"h\xc3\xa4\"", "\"\xd0\xb6\"", "[1,2]", "[97,0]", "[[]]", "[a|b]", "[97|98]", "[1,[2,\"x\"]]",
    "{}", "{a,1}", "#{}", "#{a => 1,\"b\" => #{}}",
    "<<>>", "<<\"abc\">>", "<<\"a\\n\">>", "<<\"h\xc3\xa4\"/utf8>>", "<<\"\xc3\xa9\">>", "<<1,2,3>>", "<<128>>", "<<1,2:3>>", "<<97,98,1:3>>", "<<3:3>>",
    "<0.1.2>", "<a@b.1.2>", "<'x.y@z'/3.1.2>", "#Port<0.3>", "#Port<a@b/1.18446744073709551615>", "#Ref<0.1>", "#Ref<0.4.3.2.1.0>", "#Ref<a@b/9.1.2.3>",
    "fun lists:map/2", "fun 'A':b/0",
};

START_TEST(what_is_printed_is_what_was_read)
{
    ck_assert_msg(read_text(canonical[_i]) == 0, "%s: %s", canonical[_i], err.text);
    assert_prints(w.buf, w.len, canonical[_i]);
}
END_TEST

START_TEST(integers_of_any_size_come_back)
{
    char text[1001];
    for (size_t n = 1; n < sizeof text; n += 37) {
        for (size_t i = 0; i < n; i++)
            text[i] = (char)('1' + (i * 7 + n) % 9);
        text[n] = 0;
        ph_wbuf_reset(&w);
        ck_assert_int_eq(read_text(text), 0);
        assert_prints(w.buf, w.len, text);
    }
}
END_TEST

START_TEST(an_integer_too_long_for_decimal_digits_is_printed_in_base_16)
{
    size_t len = 50000, n;
    uint8_t *bytes = calloc(1, 6 + len);
    char *text;
    memcpy(bytes, "\x6f\0\0\xc3\x50\x01", 6);
    bytes[6 + len - 1] = 0x0a;
    ck_assert_int_eq(print_bytes(ph_term_print, bytes, 6 + len, &text, &n), 0);
    ck_assert_uint_eq(n, strlen("-16#A") + 2 * (len - 1));
    ck_assert_mem_eq(text, "-16#A00", 7);
    free(text);
    free(bytes);
}
END_TEST

/* ---- encodings that only others write ---- */

static const struct {
    const char *bytes;
    size_t len;
    const char *text;
} foreign[] = {
#define F(bytes, text) {bytes, sizeof bytes - 1, text}
    F("\x64\0\x02" "a\xe4", "a\xc3\xa4"),
    F("\x73\x01" "B", "'B'"),
    F("\x76\0\x02\xc3\xa4", "\xc3\xa4"),
    F("\x63" "1.50000000000000000000e+00\0\0\0\0\0", "1.5"),
    F("\x6c\0\0\0\x01\x61\x41\x6b\0\x02" "BC", "\"ABC\""),
    F("\x6c\0\0\0\x01\x61\x01\x6c\0\0\0\x01\x61\x02\x6a", "[1,2]"),
    F("\x6c\0\0\0\x01\x61\x01\x6c\0\0\0\x01\x61\x02\x61\x03", "[1,2|3]"),
    F("\x6c\0\0\0\0\x6a", "[]"),
    F("\x6c\0\0\0\0\x77\x01" "a", "a"),
    F("\x6c\0\0\0\x01\x61\x41\x6c\0\0\0\0\x6a", "\"A\""),
    F("\x6e\x02\0\x01\0", "1"),
    F("\x67\x77\x01" "n\0\0\0\x05\0\0\0\x06\x02", "<n/2.5.6>"),
    F("\x66\x77\x01" "n\0\0\0\x05\x02", "#Port<n/2.5>"),
    F("\x65\x77\x01" "n\0\0\0\x05\x02", "#Ref<n/2.5>"),
    F("\x72\0\x02\x77\x01" "n\x03\0\0\0\x05\0\0\0\x06", "#Ref<n/3.6.5>"),
    F("\x5a\0\x01" NODE "\0\0\0\x02\0\0\0\x05", "#Ref<porthostctl@localhost/2.5>"),
    F("\x70\0\0\0\x36\x01" "0123456789abcdef" "\0\0\0\x03\0\0\0\x01\x77\x01" "m\x61\x03\x61\x09"
      "\x58\x77\x01" "n\0\0\0\x01\0\0\0\x02\0\0\0\0\x61\x01", "#Fun<m.3.9>"),
#undef F
};

START_TEST(terms_in_encodings_of_others_are_printed)
{
    assert_prints(foreign[_i].bytes, foreign[_i].len, foreign[_i].text);
}
END_TEST

START_TEST(bytes_that_are_no_term_are_refused_and_print_nothing)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"", 0}, {"\x61", 1}, {"\x61\x01\x61", 3}, {"\x68\x02\x61\x01", 4}, {"\x6d\0\0\0\x05" "abc", 8}, {"\x50\0\0\0\0", 5}, {"\xff", 1}};
    for (int i = 0; i < COUNT(bad); i++) {
        char *text;
        size_t n;
        ck_assert_int_eq(print_bytes(ph_term_print, bad[i].bytes, bad[i].len, &text, &n), -1);
        ck_assert_uint_eq(n, 0);
        free(text);
        ck_assert_int_eq(print_bytes(ph_term_print_json, bad[i].bytes, bad[i].len, &text, &n), -1);
        ck_assert_uint_eq(n, 0);
        free(text);
    }
}
END_TEST

/* ---- JSON ---- */

static const struct {
    const char *text, *json;
} jsons[] = {
    {"#{a => 1, \"a\" => 2, <<\"a\">> => 3, b => 4}", "{\"a\":1,\"\\\"a\\\"\":2,\"<<\\\"a\\\">>\":3,\"b\":4}"},
    {"#{1 => x, \"1\" => y}", "{\"1\":\"x\",\"\\\"1\\\"\":\"y\"}"},
    {"#{'k\\000x' => 1, 'k\\000y' => 2}", "{\"k\\u0000x\":1,\"k\\u0000y\":2}"},
    {"#{a => 1, {\"a\"} => 2, [] => 3, true => 4}", "{\"a\":1,\"{\\\"a\\\"}\":2,\"[]\":3,\"true\":4}"},
    {"a", "\"a\""},
    {"true", "true"},
    {"-5", "-5"},
    {"18446744073709551616", "{\"term\":\"18446744073709551616\"}"},
    {"1.5", "1.5"},
    {"\"h\xc3\xa4\"", "\"h\xc3\xa4\""},
    {"<<\"ab\">>", "\"ab\""},
    {"<<200>>", "{\"term\":\"<<\\\"\xc3\x88\\\">>\"}"},
    {"<<1:1>>", "{\"term\":\"<<1:1>>\"}"},
    {"[]", "[]"},
    {"[1,[a]]", "[1,[\"a\"]]"},
    {"[1|2]", "{\"term\":\"[1|2]\"}"},
    {"{ok,<0.1.2>}", "{\"tuple\":[\"ok\",{\"term\":\"<0.1.2>\"}]}"},
    {"#{a => 1,{b} => #{}}", "{\"a\":1,\"{b}\":{}}"},
};

START_TEST(json_keeps_what_json_has_and_names_the_rest)
{
    char *text;
    size_t n;
    ck_assert_int_eq(read_text(jsons[_i].text), 0);
    ck_assert_int_eq(print_bytes(ph_term_print_json, w.buf, w.len, &text, &n), 0);
    ck_assert_str_eq(text, jsons[_i].json);
    free(text);
}
END_TEST

/* ---- errors ---- */

static const struct {
    const char *text;
    unsigned line, column;
    const char *message;
} errors[] = {
    {"", 1, 1, "expected a term, found the end"},
    {"  % only this", 1, 14, "expected a term, found the end"},
    {"]", 1, 1, "expected a term, found ']'"},
    {"{a,}", 1, 4, "expected a term, found '}'"},
    {"{a b}", 1, 4, "expected ',' or '}', found 'b'"},
    {"{a,\n  b", 2, 4, "expected ',' or '}', found the end"},
    {"[1,2", 1, 5, "expected ',', '|' or ']', found the end"},
    {"[1|2,3]", 1, 5, "expected ']', found ','"},
    {"[|1]", 1, 2, "expected a term, found '|'"},
    {"#{a}", 1, 4, "expected '=>', found '}'"},
    {"#{a=>1,a=>2}", 1, 8, "this key is in the map already"},
    {"#x", 1, 2, "expected '{', Port or Ref after '#', found 'x'"},
    {"#Port[1]", 1, 6, "expected '<', found '['"},
    {"X", 1, 1, "expected a term, found a variable"},
    {"[\xc3\xa4, _]", 1, 5, "expected a term, found a variable"},
    {"a b", 1, 3, "expected the end of the term, found 'b'"},
    {"a..", 1, 3, "expected the end of the term, found '.'"},
    {"1e5", 1, 2, "expected the end of the term, found 'e'"},
    {"1.5e", 1, 5, "expected a digit of the exponent, found the end"},
    {"1.0e999", 1, 1, "this float is out of range"},
    {"37#1", 1, 1, "expected a base from 2 to 36 before '#'"},
    {"2#2", 1, 3, "expected a digit of base 2, found '2'"},
    {"- a", 1, 3, "expected an integer, found 'a'"},
    {"\"abc", 1, 1, "expected \" at the end of the string that begins here"},
    {"{x, 'abc}", 1, 5, "expected ' at the end of the atom that begins here"},
    {"\"\\x{110000}\"", 1, 4, "expected a code point of Unicode"},
    {"\"\\x{d800}\"", 1, 4, "expected a code point of Unicode"},
    {"\"\\xz\"", 1, 4, "expected a digit of base 16, found 'z'"},
    {"\"a\xff\"", 1, 3, "expected a character, found byte 0xff, which is not UTF-8"},
    {"\xc3", 1, 1, "expected a term, found byte 0xc3, which is not UTF-8"},
    {"\x01", 1, 1, "expected a term, found character 0x1"},
    {"$", 1, 2, "expected a character, found the end"},
    {"<<1,>>", 1, 5, "expected an integer or a string, found '>'"},
    {"<<1", 1, 4, "expected ',' or '>>', found the end"},
    {"<<a>>", 1, 3, "expected an integer or a string, found 'a'"},
    {"<<\"\xd0\xb6\">>", 1, 3, "a character over 255 needs /utf8 or a size"},
    {"<<1/foo>>", 1, 5, "expected utf8, little, big, integer or float, found 'f'"},
    {"<<1/''>>", 1, 5, "expected utf8, little, big, integer or float, found '''"},
    {"<<1:8/utf8>>", 1, 7, "utf8 cannot have a size"},
    {"<<1:-1>>", 1, 5, "expected an integer, found '-'"},
    {"<<1:99999999999999999999>>", 1, 5, "this size is too large"},
    {"<<1:9999999999999>>", 1, 5, "this term is longer than"},
    {"<<1.5>>", 1, 3, "a float needs /float"},
    {"<<1.5:16/float>>", 1, 10, "the size of a float is 32 or 64"},
    {"<0.1>", 1, 5, "expected '.' and a number, found '>'"},
    {"<0.1.2.3>", 1, 7, "expected '>', found '.'"},
    {"<1.2.3>", 1, 2, "expected 0 or the name of a node, found '1'"},
    {"<0.1.4294967296>", 1, 2, "a number in this identifier does not fit 32 bits"},
    {"#Port<0.99999999999999999999>", 1, 9, "this number does not fit 64 bits"},
    {"<a@b/4294967296.1.2>", 1, 5, "this creation does not fit 32 bits"},
    {"#Ref<0>", 1, 6, "expected 0 or the name of a node, found '0'"},
    {"fun a", 1, 6, "expected ':', found the end"},
    {"fun a:b/256", 1, 9, "expected an arity of at most 255, found '2'"},
};

START_TEST(an_error_has_its_place_and_what_was_expected)
{
    size_t before = 3;
    ph_w_raw(&w, "xyz", before);
    ck_assert_int_eq(read_text(errors[_i].text), -1);
    ck_assert_msg(strncmp(err.text, errors[_i].message, strlen(errors[_i].message)) == 0, "%s: %s", errors[_i].text, err.text);
    ck_assert_msg(err.line == errors[_i].line && err.column == errors[_i].column, "%s: at %u:%u", errors[_i].text, err.line,
                  err.column);
    ck_assert_uint_eq(w.len, before);
}
END_TEST

START_TEST(an_error_is_shown_with_its_line_and_a_caret)
{
    static const char text[] = "{a,\n\t\xc3\xa4, B}\nrest";
    char *shown;
    size_t n;
    ck_assert_int_eq(read_text(text), -1);
    FILE *f = open_memstream(&shown, &n);
    ph_term_error_print(f, "file", 10, text, strlen(text), &err);
    fclose(f);
    ck_assert_str_eq(shown, "file:12:5: expected a term, found a variable\n  \t\xc3\xa4, B}\n  \t   ^\n");
    free(shown);
}
END_TEST

/* ---- limits ---- */

static size_t nested(char *text, unsigned depth)
{
    for (unsigned i = 0; i < depth - 1; i++) {
        text[i] = '{';
        text[2 * depth - 2 - i] = '}';
    }
    text[depth - 1] = 'a';
    return 2 * depth - 1;
}

START_TEST(a_term_as_deep_as_allowed_is_read_and_one_deeper_is_not)
{
    char text[2 * PH_MAX_DEPTH];
    unsigned most = PH_TERM_LIMITS.max_depth;
    struct ph_cur c;
    ck_assert_int_eq(read_limited(text, nested(text, most), PH_TERM_LIMITS), 0);
    c = (struct ph_cur){w.buf, w.buf + w.len};
    ck_assert_int_eq(ph_etf_skip(&c, most), 0);
    ck_assert_int_eq(read_limited(text, nested(text, most + 1), PH_TERM_LIMITS), -1);
    ck_assert_str_eq(err.text, "this term is nested more than 998 deep");
    ck_assert_uint_eq(err.column, most + 1);
}
END_TEST

START_TEST(a_term_longer_than_allowed_is_refused)
{
    static const char *const texts[] = {"{a,b,c,d}", "\"123456789012\"", "<<0:88>>", "<<\"aaaaaaaaaaa\">>", "[1,2,3,4,5,6,7]",
                                        "#{a=>1,b=>2}", "123456789012345678901234567890", "<0.1.2>", "aaaaaaaaaaaa"};
    struct ph_term_limits limits = {100, 10};
    for (int i = 0; i < COUNT(texts); i++) {
        ck_assert_msg(read_limited(texts[i], strlen(texts[i]), limits) == -1, "%s", texts[i]);
        ck_assert_str_eq(err.text, "this term is longer than 10 bytes");
    }
    ck_assert_int_eq(read_limited("[1,2]", 5, limits), 0);
}
END_TEST

START_TEST(an_integer_with_too_many_digits_and_an_atom_too_long_are_refused)
{
    size_t n = 100001;
    char *text = malloc(n + 1);
    memset(text, '9', n);
    ck_assert_int_eq(read_limited(text, n - 1, PH_TERM_LIMITS), 0);
    ck_assert_int_eq(read_limited(text, n, PH_TERM_LIMITS), -1);
    ck_assert_str_eq(err.text, "this integer has more than 100000 digits");
    memset(text, 'a', n);
    ck_assert_int_eq(read_limited(text, 255, PH_TERM_LIMITS), 0);
    ck_assert_int_eq(read_limited(text, 256, PH_TERM_LIMITS), -1);
    ck_assert_str_eq(err.text, "this atom is longer than 255 characters");
    free(text);
}
END_TEST

/* ---- anything at all ---- */

static uint32_t seed = 1;

static uint32_t draw(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

/* Whatever was read is well-formed, and its text gives the same bytes, but for what can be written in more than one way. */
static void check_read(const char *text, size_t len)
{
    char *shown, *again;
    size_t n, m;
    ph_wbuf_reset(&w);
    if (read_limited(text, len, PH_TERM_LIMITS) < 0) {
        ck_assert_msg(err.text[0] && err.offset <= len, "no place for the error");
        return;
    }
    ck_assert_int_eq(print_bytes(ph_term_print, w.buf, w.len, &shown, &n), 0);
    ph_wbuf_reset(&w);
    ck_assert_msg(read_limited(shown, n, PH_TERM_LIMITS) == 0, "%s: %s", shown, err.text);
    ck_assert_int_eq(print_bytes(ph_term_print, w.buf, w.len, &again, &m), 0);
    ck_assert_str_eq(shown, again);
    free(shown);
    free(again);
}

START_TEST(random_text_is_read_or_refused)
{
    static const char pieces[] = "{}[](),|<>#:/-+.'\"$\\%_ \n=0129aexXAPortRefunlitfloat8\xc3\xa4\xff";
    char text[40];
    for (int round = 0; round < 60000; round++) {
        size_t len = draw(sizeof text);
        for (size_t i = 0; i < len; i++)
            text[i] = round % 4 ? pieces[draw(sizeof pieces - 1)] : (char)draw(256);
        check_read(text, len);
    }
}
END_TEST

START_TEST(changed_text_is_read_or_refused)
{
    char text[256];
    for (int round = 0; round < 60000; round++) {
        const char *from = round % 2 ? canonical[draw(COUNT(canonical))] : encodings[draw(COUNT(encodings))].text;
        size_t len = strlen(from);
        memcpy(text, from, len);
        for (uint32_t i = draw(3); len > 0 && i < 3; i++)
            text[draw((uint32_t)len)] = from[draw((uint32_t)len)];
        check_read(text, len ? len - draw(2) : 0);
    }
}
END_TEST

static void check_printed(const void *p, size_t len)
{
    char *text;
    size_t n;
    print_bytes(ph_term_print, p, len, &text, &n);
    free(text);
    print_bytes(ph_term_print_json, p, len, &text, &n);
    free(text);
}

START_TEST(random_bytes_are_printed_or_refused)
{
    static const uint8_t tags[] = {70, 77, 88, 89, 90, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120};
    uint8_t bytes[48];
    for (int round = 0; round < 60000; round++) {
        size_t len = draw(sizeof bytes);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(draw(2) ? tags[draw(sizeof tags)] : draw(4) ? draw(4) : draw(256));
        check_printed(bytes, len);
    }
}
END_TEST

START_TEST(changed_bytes_are_printed_or_refused)
{
    uint8_t bytes[256];
    for (int round = 0; round < 60000; round++) {
        int i = (int)draw((uint32_t)(COUNT(encodings) + COUNT(foreign)));
        bool ours = i < COUNT(encodings);
        size_t len = ours ? encodings[i].len : foreign[i - COUNT(encodings)].len;
        memcpy(bytes, ours ? encodings[i].bytes : foreign[i - COUNT(encodings)].bytes, len);
        for (uint32_t k = draw(3); k < 3; k++)
            bytes[draw((uint32_t)len)] = (uint8_t)(draw(2) ? draw(256) : draw(8));
        check_printed(bytes, len - draw(2));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("term");
    TCase *tc = runner_case(s, "terms as text");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, text_becomes_the_bytes_that_the_vm_writes, 0, COUNT(encodings));
    tcase_add_test(tc, a_long_list_and_tuple_have_the_large_forms);
    tcase_add_test(tc, a_term_is_appended_to_what_is_there);
    tcase_add_test(tc, the_length_of_a_term_at_the_beginning_is_told);
    tcase_add_loop_test(tc, what_is_printed_is_what_was_read, 0, COUNT(canonical));
    tcase_add_test(tc, integers_of_any_size_come_back);
    tcase_add_test(tc, an_integer_too_long_for_decimal_digits_is_printed_in_base_16);
    tcase_add_loop_test(tc, terms_in_encodings_of_others_are_printed, 0, COUNT(foreign));
    tcase_add_test(tc, bytes_that_are_no_term_are_refused_and_print_nothing);
    tcase_add_loop_test(tc, json_keeps_what_json_has_and_names_the_rest, 0, COUNT(jsons));
    tcase_add_loop_test(tc, an_error_has_its_place_and_what_was_expected, 0, COUNT(errors));
    tcase_add_test(tc, an_error_is_shown_with_its_line_and_a_caret);
    tcase_add_test(tc, a_term_as_deep_as_allowed_is_read_and_one_deeper_is_not);
    tcase_add_test(tc, a_term_longer_than_allowed_is_refused);
    tcase_add_test(tc, an_integer_with_too_many_digits_and_an_atom_too_long_are_refused);
    tcase_add_test(tc, random_text_is_read_or_refused);
    tcase_add_test(tc, changed_text_is_read_or_refused);
    tcase_add_test(tc, random_bytes_are_printed_or_refused);
    tcase_add_test(tc, changed_bytes_are_printed_or_refused);
    return runner_main(s);
}
