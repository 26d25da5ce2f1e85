/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the syntax of binaries and bit strings, <<1, -2:16/little, "text"/utf8, 1.5:32/float, 5:3>>. Called by the term reader. */
#include <ei.h>
#include <stdlib.h>
#include <string.h>

#include "term/term_read.h"
#include "term/utf8.h"

#define HEADER 5 /* tag and length; a bit string has one byte more */

struct bits {
    struct ph_reader *r;
    char rest[PH_TERM_VAR_MAX + 1]; /* the variable that stands for the rest of a binary; empty: none does */
    uint64_t n; /* bits written; the last byte is filled from its high end */
};

struct segment {
    int64_t size; /* bits, -1: not given */
    bool utf8, little, real;
};

static bool refuse(struct ph_reader *r, const char *text)
{
    ph_lex_error(&r->lex, r->lex.start, text);
    return false;
}

/* The low `count` (1..8) bits of v. */
static void put_bits(struct bits *b, unsigned v, unsigned count)
{
    struct ph_wbuf *w = b->r->w;
    unsigned used = (unsigned)(b->n % 8);
    v &= 0xffu >> (8 - count);
    uint8_t byte = (uint8_t)(v << (8 - count) >> used);
    if (used == 0)
        ph_w_raw(w, &byte, 1);
    else if (!w->failed)
        w->buf[w->len - 1] |= byte;
    if (used + count > 8) {
        byte = (uint8_t)(v << (16 - used - count));
        ph_w_raw(w, &byte, 1);
    }
    b->n += count;
}

static void put_bytes(struct bits *b, const void *p, size_t len)
{
    const uint8_t *bytes = p;
    if (b->n % 8 == 0) {
        ph_w_raw(b->r->w, bytes, len);
        b->n += (uint64_t)len * 8;
        return;
    }
    for (size_t i = 0; i < len; i++)
        put_bits(b, bytes[i], 8);
}

/* Byte i of the two's complement, from the low end. *carry starts as 1 for a negative number. */
static uint8_t complement_byte(const struct ph_integer *n, size_t i, unsigned *carry)
{
    uint8_t m = i < n->len ? n->mag[i] : 0;
    if (!n->negative)
        return m;
    unsigned v = (uint8_t)~m + *carry;
    *carry = v >> 8;
    return (uint8_t)v;
}

/* The low `size` bits of the integer. In little-endian order the bits that fill no byte come last, and are the highest. */
static bool put_integer(struct bits *b, const struct ph_integer *n, size_t size, bool little)
{
    size_t whole = size / 8, count = (size + 7) / 8;
    unsigned rest = (unsigned)(size % 8), carry = 1;
    if (!ph_read_fits(b->r, count))
        return false;
    uint8_t *le = malloc(count + 1);
    if (!le)
        return ph_read_no_memory(b->r);
    for (size_t i = 0; i < count; i++)
        le[i] = complement_byte(n, i, &carry);
    if (rest && !little)
        put_bits(b, le[whole], rest);
    for (size_t i = 0; i < whole; i++)
        put_bits(b, le[little ? i : whole - 1 - i], 8);
    if (rest && little)
        put_bits(b, le[whole], rest);
    free(le);
    return true;
}

static bool put_float(struct bits *b, double v, const struct segment *s)
{
    uint8_t bytes[8];
    size_t len = s->size == 32 ? 4 : 8;
    float single = (float)v;
    if (s->size != -1 && s->size != 32 && s->size != 64)
        return refuse(b->r, "the size of a float is 32 or 64");
    memcpy(bytes, len == 4 ? (void *)&single : (void *)&v, len);
    if (s->little == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)) {
        put_bytes(b, bytes, len);
        return true;
    }
    for (size_t i = len; i > 0; i--)
        put_bits(b, bytes[i - 1], 8);
    return true;
}

static bool put_code(struct bits *b, uint32_t code, const struct segment *s)
{
    char utf8[4];
    uint8_t mag[4] = {(uint8_t)code, (uint8_t)(code >> 8), (uint8_t)(code >> 16), 0};
    struct ph_integer n = {.mag = mag, .len = 4};
    if (s->utf8) {
        put_bytes(b, utf8, ph_utf8_put(utf8, code));
        return true;
    }
    if (s->size < 0 && code > 255)
        return refuse(b->r, "a character over 255 needs /utf8 or a size");
    return put_integer(b, &n, s->size < 0 ? 8 : (size_t)s->size, s->little);
}

static bool put_string(struct bits *b, const char *p, size_t len, const struct segment *s)
{
    const char *end = p + len;
    if (s->real)
        return refuse(b->r, "a string cannot be /float");
    while (p < end) {
        uint32_t code = 0;
        p += ph_utf8_get(p, end, &code);
        if (!put_code(b, code, s) || !ph_read_fits(b->r, 0))
            return false;
    }
    return true;
}

/* ":SIZE", the lexer is at the ':'. */
static bool read_size(struct ph_reader *r, struct segment *s)
{
    struct ph_integer n;
    ph_lex_next(&r->lex);
    if (!ph_read_integer(r, false, &n))
        return false;
    bool ok = ph_integer_small(&n, &s->size);
    free(n.mag);
    return ok ? ph_read_fits(r, (size_t)s->size / 8) : refuse(r, "this size is too large");
}

static bool read_one_type(struct ph_reader *r, struct segment *s)
{
    const char *name = r->lex.buf;
    if (r->lex.tok != PH_TOK_ATOM)
        return ph_read_expected(r, "utf8, little, big, integer or float");
    if (strcmp(name, "utf8") == 0)
        s->utf8 = true;
    else if (strcmp(name, "little") == 0)
        s->little = true;
    else if (strcmp(name, "float") == 0)
        s->real = true;
    else if (strcmp(name, "big") != 0 && strcmp(name, "integer") != 0)
        return ph_read_expected(r, "utf8, little, big, integer or float");
    return true;
}

/* Looks ahead for ":SIZE" and "/TYPE-TYPE", and leaves the lexer at the last token of the segment. */
static bool read_segment(struct ph_reader *r, struct segment *s)
{
    *s = (struct segment){.size = -1};
    if (ph_lex_peek(&r->lex) == ':') {
        ph_lex_next(&r->lex);
        if (!read_size(r, s))
            return false;
    }
    for (char lead = '/'; ph_lex_peek(&r->lex) == lead; lead = '-') {
        ph_lex_next(&r->lex);
        ph_lex_next(&r->lex);
        if (!read_one_type(r, s))
            return false;
    }
    return !(s->utf8 && s->size >= 0) || refuse(r, "utf8 cannot have a size");
}

static bool string_segment(struct bits *b)
{
    struct ph_lex *x = &b->r->lex;
    struct segment s;
    size_t len = x->len;
    char *text = malloc(len + 1); /* the lexer's own is overwritten by what follows the string */
    if (!text)
        return ph_read_no_memory(b->r);
    if (len)
        memcpy(text, x->buf, len);
    bool ok = read_segment(b->r, &s) && put_string(b, text, len, &s);
    free(text);
    return ok;
}

static double integer_to_double(const struct ph_integer *n)
{
    double v = 0;
    for (size_t i = n->len; i > 0; i--)
        v = v * 256 + n->mag[i - 1];
    return n->negative ? -v : v;
}

static bool number_segment(struct bits *b, const struct ph_integer *n)
{
    struct segment s;
    int64_t code;
    if (!read_segment(b->r, &s))
        return false;
    if (s.real)
        return put_float(b, integer_to_double(n), &s);
    if (!s.utf8)
        return put_integer(b, n, s.size < 0 ? 8 : (size_t)s.size, s.little);
    if (!ph_integer_small(n, &code) || code < 0 || code > PH_CODE_POINT_MAX || !ph_code_point_ok((uint32_t)code))
        return refuse(b->r, "this is not a code point of Unicode");
    return put_code(b, (uint32_t)code, &s);
}

static bool float_segment(struct bits *b, double v)
{
    struct segment s;
    if (!read_segment(b->r, &s))
        return false;
    return s.real ? put_float(b, v, &s) : refuse(b->r, "a float needs /float");
}

static bool segment(struct bits *b)
{
    struct ph_integer n;
    if (b->r->lex.tok == PH_TOK_STRING)
        return string_segment(b);
    bool negative = ph_read_sign(b->r);
    if (b->r->lex.tok == PH_TOK_FLOAT)
        return float_segment(b, negative ? -b->r->lex.number : b->r->lex.number);
    if (b->r->lex.tok != PH_TOK_INT)
        return ph_read_expected(b->r, "an integer or a string");
    bool ok = ph_read_integer(b->r, negative, &n) && number_segment(b, &n);
    free(n.mag);
    return ok;
}

/* VARIABLE/binary, which is the last. */
static bool rest_segment(struct bits *b)
{
    struct ph_lex *x = &b->r->lex;
    if (!ph_read_var_ok(b->r))
        return false;
    memcpy(b->rest, x->buf, x->len + 1);
    if (b->n % 8 != 0)
        return refuse(b->r, "what stands before the rest of a binary is no whole bytes");
    ph_lex_next(x);
    if (!ph_lex_is(x, '/'))
        return ph_read_expected(b->r, "/binary behind the variable");
    if (ph_lex_next(x) != PH_TOK_ATOM || strcmp(x->buf, "binary") != 0)
        return ph_read_expected(b->r, "binary");
    return ph_lex_next(x) == PH_TOK_BIN_CLOSE || ph_read_expected(b->r, "'>>' behind the rest of a binary");
}

static bool segments(struct bits *b)
{
    struct ph_lex *x = &b->r->lex;
    if (ph_lex_next(x) == PH_TOK_BIN_CLOSE)
        return true;
    for (;; ph_lex_next(x)) {
        if (b->r->variables && x->tok == PH_TOK_VAR)
            return rest_segment(b);
        if (!segment(b) || !ph_read_fits(b->r, 0))
            return false;
        ph_lex_next(x);
        if (!ph_lex_is(x, ','))
            break;
    }
    return x->tok == PH_TOK_BIN_CLOSE || ph_read_expected(b->r, "',' or '>>'");
}

/* Writes the header at `at`, in front of the bytes; a bit string needs room for one byte more. */
static bool close_binary(struct bits *b, size_t at)
{
    struct ph_wbuf *w = b->r->w;
    size_t len = w->len - at - HEADER;
    unsigned rest = (unsigned)(b->n % 8);
    if (rest) {
        ph_w_raw(w, "", 1);
        if (w->failed)
            return ph_read_no_memory(b->r);
        memmove(w->buf + at + HEADER + 1, w->buf + at + HEADER, len);
        w->buf[at + HEADER] = (uint8_t)rest;
    }
    w->buf[at] = rest ? ERL_BIT_BINARY_EXT : ERL_BINARY_EXT;
    ph_put32(w->buf + at + 1, (uint32_t)len);
    return true;
}

/* A binary with a variable for its rest is {<<, Binary, Variable}, where << is a name that no variable has. */
static bool put_rest(struct bits *b, size_t at)
{
    static const uint8_t head[] = {ERL_SMALL_TUPLE_EXT, 3, PH_TERM_VAR, 3, 0, '<', '<'};
    struct ph_wbuf *w = b->r->w;
    size_t len = w->len - at;
    ph_w_raw(w, head, sizeof head);
    if (w->failed)
        return ph_read_no_memory(b->r);
    memmove(w->buf + at + sizeof head, w->buf + at, len);
    memcpy(w->buf + at, head, sizeof head);
    ph_read_put_var(b->r, b->rest, strlen(b->rest));
    return true;
}

bool ph_read_binary(struct ph_reader *r)
{
    struct bits b = {.r = r};
    size_t at = r->w->len;
    ph_w_raw(r->w, "\0\0\0\0", HEADER);
    return ph_read_fits(r, 0) && segments(&b) && close_binary(&b, at) && (!b.rest[0] || put_rest(&b, at));
}
