/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the characters of Erlang term syntax: white space, comments, atoms, numbers, strings, escapes, identifiers.
 * Called by the term reader, and by whatever has a syntax of its own around terms. */
#include "term/term_lex.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "term/bignum.h"
#include "term/utf8.h"

#define ATOM_MAX 255

void ph_lex_init(struct ph_lex *x, const char *text, size_t len, struct ph_term_error *err)
{
    *x = (struct ph_lex){.text = text, .end = text + len, .pos = text, .start = text, .err = err};
    *err = (struct ph_term_error){.line = 1, .column = 1};
    x->cap = 64;
    x->buf = malloc(x->cap);
    if (x->buf)
        x->buf[0] = 0;
    else
        ph_lex_error(x, text, "there is no memory to read this");
}

void ph_lex_free(struct ph_lex *x)
{
    free(x->buf);
    x->buf = NULL;
}

bool ph_lex_is(const struct ph_lex *x, char punct)
{
    return x->tok == PH_TOK_PUNCT && x->code == (uint8_t)punct;
}

/* ---- errors ---- */

void ph_lex_error(struct ph_lex *x, const char *p, const char *text)
{
    struct ph_term_error *e = x->err;
    x->tok = PH_TOK_BAD;
    if (e->text[0])
        return;
    e->offset = (size_t)(p - x->text);
    const char *q = x->text;
    while (q < p) {
        uint32_t code = 0;
        size_t n = ph_utf8_get(q, x->end, &code);
        q += n ? n : 1;
        e->column++;
        if (code == '\n') {
            e->line++;
            e->column = 1;
        }
    }
    snprintf(e->text, sizeof e->text, "%s", text);
}

static void describe(const struct ph_lex *x, const char *p, char *out, size_t cap)
{
    uint32_t code;
    size_t n = ph_utf8_get(p, x->end, &code);
    if (p >= x->end)
        snprintf(out, cap, "the end");
    else if (n == 0)
        snprintf(out, cap, "byte 0x%02x, which is not UTF-8", (unsigned)(uint8_t)*p);
    else if (code == '\n')
        snprintf(out, cap, "the end of the line");
    else if (!ph_code_point_printable(code) || code < 32)
        snprintf(out, cap, "character 0x%x", (unsigned)code);
    else
        snprintf(out, cap, "'%.*s'", (int)n, p);
}

void ph_lex_expected(struct ph_lex *x, const char *p, const char *what)
{
    char found[48], text[sizeof x->err->text];
    describe(x, p, found, sizeof found);
    snprintf(text, sizeof text, "expected %s, found %s", what, found);
    ph_lex_error(x, p, text);
}

/* ---- the decoded text ---- */

static void begin_token(struct ph_lex *x)
{
    x->start = x->pos;
    x->len = 0;
    x->buf[0] = 0;
}

static bool buf_put(struct ph_lex *x, uint32_t code)
{
    if (x->len + 5 > x->cap) {
        size_t cap = x->cap * 2;
        char *buf = realloc(x->buf, cap);
        if (!buf) {
            ph_lex_error(x, x->start, "there is no memory for this text");
            return false;
        }
        x->buf = buf;
        x->cap = cap;
    }
    x->len += ph_utf8_put(x->buf + x->len, code);
    x->buf[x->len] = 0;
    return true;
}

/* Takes the code point at pos. 0 with an error recorded if there is none. */
static bool take_code(struct ph_lex *x, uint32_t *code)
{
    size_t n = ph_utf8_get(x->pos, x->end, code);
    if (n == 0) {
        ph_lex_expected(x, x->pos, "a character");
        return false;
    }
    x->pos += n;
    return true;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return (c | 0x20) - 'a' + 10;
    return 99;
}

static bool at_digit(const struct ph_lex *x, const char *p, int base)
{
    return p < x->end && digit_of(*p) < base;
}

/* ---- characters and escapes ---- */

/* \xHH or \x{H...}, pos behind the x. */
static bool take_hex(struct ph_lex *x, uint32_t *code)
{
    const char *from = x->pos;
    bool braces = x->pos < x->end && *x->pos == '{';
    x->pos += braces;
    uint32_t v = 0;
    int n = 0;
    for (; at_digit(x, x->pos, 16) && n < (braces ? 7 : 2); n++)
        v = v * 16 + (uint32_t)digit_of(*x->pos++);
    if (n == 0 || (!braces && n < 2)) {
        ph_lex_expected(x, x->pos, "a digit of base 16");
        return false;
    }
    if (braces && (x->pos >= x->end || *x->pos++ != '}')) {
        ph_lex_error(x, from, "expected a code point in braces");
        return false;
    }
    if (!ph_code_point_ok(v)) {
        ph_lex_error(x, from, "expected a code point of Unicode");
        return false;
    }
    *code = v;
    return true;
}

/* What follows a backslash. */
static bool take_escape(struct ph_lex *x, uint32_t *code)
{
    static const char from[] = "bdefnrstv", to[] = "\b\177\033\f\n\r \t\v";
    if (at_digit(x, x->pos, 8)) {
        *code = 0;
        for (int i = 0; i < 3 && at_digit(x, x->pos, 8); i++)
            *code = *code * 8 + (uint32_t)digit_of(*x->pos++);
        return true;
    }
    if (!take_code(x, code))
        return false;
    if (*code == 'x')
        return take_hex(x, code);
    if (*code == '^') {
        if (!take_code(x, code))
            return false;
        *code &= 31;
        return true;
    }
    const char *at = *code < 128 && *code ? strchr(from, (int)*code) : NULL;
    if (at)
        *code = (uint8_t)to[at - from];
    return true;
}

/* Text up to the closing quote; pos is behind the opening one. */
static bool take_quoted(struct ph_lex *x, char quote, const char *what)
{
    for (;;) {
        if (x->pos >= x->end) {
            char text[80];
            snprintf(text, sizeof text, "expected %c at the end of the %s that begins here", quote, what);
            ph_lex_error(x, x->start, text);
            return false;
        }
        uint32_t code;
        if (!take_code(x, &code))
            return false;
        if (code == (uint8_t)quote)
            return true;
        if (code == '\\' && !take_escape(x, &code))
            return false;
        if (!buf_put(x, code))
            return false;
    }
}

/* ---- names ---- */

static bool is_lower(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 0xdf && c <= 0xff && c != 0xf7);
}

static bool is_upper(uint32_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) || c == '_';
}

static bool is_name(uint32_t c)
{
    return is_lower(c) || is_upper(c) || (c >= '0' && c <= '9') || c == '@';
}

static bool take_name(struct ph_lex *x)
{
    uint32_t code;
    size_t n;
    while ((n = ph_utf8_get(x->pos, x->end, &code)) > 0 && is_name(code)) {
        if (!buf_put(x, code))
            return false;
        x->pos += n;
    }
    return true;
}

bool ph_atom_plain(const char *text, size_t len)
{
    static const char *const reserved[] = {"after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor",
                                           "case", "catch", "cond", "div", "end", "fun", "if", "let", "not", "of", "or",
                                           "orelse", "receive", "rem", "try", "when", "xor"};
    const char *p = text, *end = text + len;
    uint32_t code;
    size_t n = ph_utf8_get(p, end, &code);
    if (n == 0 || !is_lower(code))
        return false;
    for (p += n; p < end; p += n) {
        n = ph_utf8_get(p, end, &code);
        if (n == 0 || !is_name(code))
            return false;
    }
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strlen(reserved[i]) == len && memcmp(reserved[i], text, len) == 0)
            return false;
    return true;
}

static bool atom_fits(struct ph_lex *x)
{
    size_t points = 0;
    for (size_t i = 0; i < x->len; i++)
        points += ((uint8_t)x->buf[i] & 0xc0) != 0x80;
    if (points <= ATOM_MAX)
        return true;
    ph_lex_error(x, x->start, "this atom is longer than 255 characters");
    return false;
}

static bool lex_atom(struct ph_lex *x)
{
    x->quoted = *x->pos == '\'';
    x->pos += x->quoted;
    x->tok = PH_TOK_ATOM;
    return (x->quoted ? take_quoted(x, '\'', "atom") : take_name(x)) && atom_fits(x);
}

/* ---- numbers ---- */

/* Digits of the base with single '_' between them. */
static const char *skip_digits(const struct ph_lex *x, const char *p, int base)
{
    while (at_digit(x, p, base) || (p < x->end && *p == '_' && at_digit(x, p + 1, base)))
        p++;
    return p;
}

static bool lex_float(struct ph_lex *x, const char *dot)
{
    const char *p = skip_digits(x, dot + 1, 10);
    if (p < x->end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < x->end && (*p == '-' || *p == '+');
        if (!at_digit(x, p, 10)) {
            ph_lex_expected(x, p, "a digit of the exponent");
            return false;
        }
        p = skip_digits(x, p, 10);
    }
    for (const char *q = x->start; q < p; q++)
        if (*q != '_' && !buf_put(x, (uint8_t)*q))
            return false;
    x->pos = p;
    x->tok = PH_TOK_FLOAT;
    x->number = strtod(x->buf, NULL);
    if (isfinite(x->number))
        return true;
    ph_lex_error(x, x->start, "this float is out of range");
    return false;
}

static bool lex_based(struct ph_lex *x, const char *hash)
{
    unsigned base = 0;
    for (const char *p = x->start; p < hash && base < 1000; p++)
        base = base * 10 + (unsigned)digit_of(*p);
    if (base < 2 || base > 36) {
        ph_lex_error(x, x->start, "expected a base from 2 to 36 before '#'");
        return false;
    }
    if (!at_digit(x, hash + 1, (int)base)) {
        char what[40];
        snprintf(what, sizeof what, "a digit of base %u", base);
        ph_lex_expected(x, hash + 1, what);
        return false;
    }
    x->base = base;
    x->digits = hash + 1;
    x->pos = skip_digits(x, hash + 1, (int)base);
    return true;
}

static bool lex_number(struct ph_lex *x)
{
    const char *p = skip_digits(x, x->pos, 10);
    if (p + 1 < x->end && *p == '.' && at_digit(x, p + 1, 10))
        return lex_float(x, p);
    x->tok = PH_TOK_INT;
    x->base = 10;
    x->digits = x->start;
    x->pos = p;
    if (p < x->end && *p == '#' && !memchr(x->start, '_', (size_t)(p - x->start)) && !lex_based(x, p))
        return false;
    x->digits_len = (size_t)(x->pos - x->digits);
    if (x->digits_len <= PH_BIG_MAX_DIGITS)
        return true;
    ph_lex_error(x, x->start, "this integer has more than 100000 digits");
    return false;
}

static bool lex_char(struct ph_lex *x)
{
    x->pos++;
    x->tok = PH_TOK_INT;
    x->base = 0;
    if (!take_code(x, &x->code))
        return false;
    return x->code != '\\' || take_escape(x, &x->code);
}

/* ---- tokens ---- */

static void skip_blank(struct ph_lex *x)
{
    bool comment = false;
    for (; x->pos < x->end; x->pos++) {
        char c = *x->pos;
        if (c == '%')
            comment = true;
        else if (c == '\n')
            comment = false;
        else if (!comment && c != ' ' && c != '\t' && c != '\r' && c != '\f' && c != '\v')
            return;
    }
}

char ph_lex_peek(struct ph_lex *x)
{
    struct ph_lex ahead = *x;
    skip_blank(&ahead);
    return (char)(ahead.pos < ahead.end ? *ahead.pos : 0);
}

static bool lex_punct(struct ph_lex *x)
{
    static const struct {
        char text[3];
        enum ph_tok tok;
    } pairs[] = {{"<<", PH_TOK_BIN_OPEN}, {">>", PH_TOK_BIN_CLOSE}, {"=>", PH_TOK_ARROW}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (x->end - x->pos >= 2 && memcmp(x->pos, pairs[i].text, 2) == 0) {
            x->tok = pairs[i].tok;
            x->pos += 2;
            return true;
        }
    }
    if (*x->pos == 0 || !strchr("{}[](),|/:-+.<>#=", *x->pos)) {
        ph_lex_expected(x, x->pos, "a term");
        return false;
    }
    x->tok = PH_TOK_PUNCT;
    x->code = (uint8_t)*x->pos++;
    return true;
}

static bool lex_token(struct ph_lex *x)
{
    uint32_t code = 0;
    char c = *x->pos;
    if (at_digit(x, x->pos, 10))
        return lex_number(x);
    if (c == '\'')
        return lex_atom(x);
    if (c == '$')
        return lex_char(x);
    if (c == '"') {
        x->pos++;
        x->tok = PH_TOK_STRING;
        return take_quoted(x, '"', "string");
    }
    ph_utf8_get(x->pos, x->end, &code);
    if (is_lower(code))
        return lex_atom(x);
    if (is_upper(code)) {
        x->tok = PH_TOK_VAR;
        return take_name(x);
    }
    return lex_punct(x);
}

enum ph_tok ph_lex_next(struct ph_lex *x)
{
    if (x->err->text[0])
        return x->tok = PH_TOK_BAD;
    skip_blank(x);
    begin_token(x);
    if (x->pos >= x->end)
        return x->tok = PH_TOK_END;
    if (!lex_token(x))
        x->tok = PH_TOK_BAD;
    return x->tok;
}

/* ---- identifiers ---- */

static bool take_number(struct ph_lex *x, uint64_t *out)
{
    const char *from = x->pos;
    if (!at_digit(x, x->pos, 10)) {
        ph_lex_expected(x, x->pos, "a number");
        return false;
    }
    uint64_t v = 0;
    for (; at_digit(x, x->pos, 10); x->pos++) {
        unsigned d = (unsigned)digit_of(*x->pos);
        if (v > (UINT64_MAX - d) / 10) {
            ph_lex_error(x, from, "this number does not fit 64 bits");
            return false;
        }
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

static bool take_creation(struct ph_lex *x, uint32_t *creation)
{
    uint64_t v = 0;
    const char *from = x->pos;
    if (x->pos < x->end && *x->pos == '/') {
        x->pos++;
        if (!take_number(x, &v))
            return false;
    }
    if (v > UINT32_MAX) {
        ph_lex_error(x, from, "this creation does not fit 32 bits");
        return false;
    }
    *creation = (uint32_t)v;
    return true;
}

static bool take_node(struct ph_lex *x, uint32_t *creation)
{
    begin_token(x);
    *creation = 0;
    if (x->end - x->pos >= 2 && x->pos[0] == '0' && x->pos[1] == '.') {
        x->pos++;
        return true;
    }
    uint32_t code = 0;
    ph_utf8_get(x->pos, x->end, &code);
    if (code != '\'' && !is_lower(code)) {
        ph_lex_expected(x, x->pos, "0 or the name of a node");
        return false;
    }
    return lex_atom(x) && take_creation(x, creation);
}

int ph_lex_identifier(struct ph_lex *x, uint64_t *numbers, int max, uint32_t *creation)
{
    if (!take_node(x, creation))
        return -1;
    int n = 0;
    while (n < max && x->pos < x->end && *x->pos == '.') {
        x->pos++;
        if (!take_number(x, &numbers[n++]))
            return -1;
    }
    if (x->pos < x->end && *x->pos == '>') {
        x->pos++;
        return n;
    }
    ph_lex_expected(x, x->pos, n < max ? "'.' or '>'" : "'>'");
    return -1;
}

/* ---- showing an error ---- */

#define SHOWN 100 /* bytes of a line at most, around the place */

static void show_char(FILE *f, char c)
{
    fputc((uint8_t)c < 32 && c != '\t' ? '.' : c, f);
}

void ph_term_error_print(FILE *f, const char *name, unsigned line_base, const char *text, size_t len,
                         const struct ph_term_error *err)
{
    fprintf(f, "%s:%u:%u: %s\n", name, line_base + err->line, err->column, err->text);
    const char *at = text + (err->offset < len ? err->offset : len);
    const char *from = at, *to = at;
    while (from > text && from[-1] != '\n' && at - from < SHOWN / 2)
        from--;
    while (from < at && ((uint8_t)*from & 0xc0) == 0x80)
        from++;
    while (to < text + len && *to != '\n' && to - from < SHOWN)
        to++;
    fputs("  ", f);
    for (const char *p = from; p < to; p++)
        show_char(f, *p);
    fputs("\n  ", f);
    for (const char *p = from; p < at; p++)
        if (((uint8_t)*p & 0xc0) != 0x80)
            fputc(*p == '\t' ? '\t' : ' ', f);
    fputs("^\n", f);
}
