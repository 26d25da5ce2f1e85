/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the grammar of Erlang terms: turns tokens into the external format. Binaries are in term_bits.c, identifiers in term_ident.c. Called by whoever has a
 * term in text. Every parse function is entered with the lexer at the first token of what it reads and leaves it at the last. */
#include "term/term_read.h"

#include <ei.h>
#include <stdlib.h>
#include <string.h>

#include "term/bignum.h"
#include "term/utf8.h"

static bool parse(struct ph_reader *r, unsigned depth);

bool ph_read_expected(struct ph_reader *r, const char *what)
{
    ph_lex_expected(&r->lex, r->lex.start, what);
    return false;
}

bool ph_read_no_memory(struct ph_reader *r)
{
    ph_lex_error(&r->lex, r->lex.start, "there is no memory for this term");
    return false;
}

bool ph_read_fits(struct ph_reader *r, size_t more)
{
    char text[80];
    if (r->w->failed)
        return ph_read_no_memory(r);
    size_t used = r->w->len - r->begin;
    if (used <= r->limits.max_bytes && more <= r->limits.max_bytes - used)
        return true;
    snprintf(text, sizeof text, "this term is longer than %zu bytes", r->limits.max_bytes);
    ph_lex_error(&r->lex, r->lex.start, text);
    return false;
}

void ph_put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

void ph_put_raw8(struct ph_wbuf *w, unsigned v)
{
    uint8_t b = (uint8_t)v;
    ph_w_raw(w, &b, 1);
}

void ph_put_raw32(struct ph_wbuf *w, uint32_t v)
{
    uint8_t b[4];
    ph_put32(b, v);
    ph_w_raw(w, b, 4);
}

/* ---- numbers ---- */

bool ph_read_sign(struct ph_reader *r)
{
    bool negative = ph_lex_is(&r->lex, '-');
    if (negative || ph_lex_is(&r->lex, '+'))
        ph_lex_next(&r->lex);
    return negative;
}

bool ph_read_integer(struct ph_reader *r, bool negative, struct ph_integer *n)
{
    struct ph_lex *x = &r->lex;
    *n = (struct ph_integer){.negative = negative};
    if (x->tok != PH_TOK_INT)
        return ph_read_expected(r, "an integer");
    if (x->base > 0) {
        n->mag = ph_big_from_digits(x->digits, x->digits_len, x->base, &n->len);
    } else {
        n->mag = malloc(4);
        for (uint32_t v = x->code; n->mag && v; v >>= 8)
            n->mag[n->len++] = (uint8_t)v;
    }
    return n->mag || ph_read_no_memory(r);
}

bool ph_integer_small(const struct ph_integer *n, int64_t *v)
{
    if (n->len > 8 || (n->len == 8 && n->mag[7] > 127))
        return false;
    uint64_t u = 0;
    for (size_t i = n->len; i > 0; i--)
        u = u << 8 | n->mag[i - 1];
    *v = n->negative ? -(int64_t)u : (int64_t)u;
    return true;
}

static void write_integer(struct ph_wbuf *w, const struct ph_integer *n)
{
    int64_t v;
    if (ph_integer_small(n, &v)) {
        ph_w_int(w, v);
        return;
    }
    ph_put_raw8(w, n->len < 256 ? ERL_SMALL_BIG_EXT : ERL_LARGE_BIG_EXT);
    if (n->len < 256)
        ph_put_raw8(w, (unsigned)n->len);
    else
        ph_put_raw32(w, (uint32_t)n->len);
    ph_put_raw8(w, n->negative);
    ph_w_raw(w, n->mag, n->len);
}

static bool parse_number(struct ph_reader *r)
{
    bool negative = ph_read_sign(r);
    struct ph_integer n;
    if (r->lex.tok == PH_TOK_FLOAT) {
        ph_w_double(r->w, negative ? -r->lex.number : r->lex.number);
        return true;
    }
    if (!ph_read_integer(r, negative, &n))
        return false;
    write_integer(r->w, &n);
    free(n.mag);
    return true;
}

/* ---- strings ---- */

struct codes {
    uint32_t *at;
    size_t len, cap;
    bool wide; /* some are over 255 */
};

static bool codes_add(struct codes *s, const char *p, const char *end)
{
    size_t need = s->len + (size_t)(end - p);
    if (need > s->cap) {
        uint32_t *at = realloc(s->at, need * sizeof *at);
        if (!at)
            return false;
        s->at = at;
        s->cap = need;
    }
    while (p < end) {
        p += ph_utf8_get(p, end, &s->at[s->len]);
        s->wide |= s->at[s->len++] > 255;
    }
    return true;
}

/* "text" ++ Term, in a pattern: the tail follows. The lexer is at the first '+'. */
static bool write_prefix(struct ph_reader *r, const struct codes *s, unsigned depth)
{
    ph_lex_next(&r->lex);
    if (!ph_lex_is(&r->lex, '+'))
        return ph_read_expected(r, "'++'");
    ph_lex_next(&r->lex);
    if (!ph_read_fits(r, s->len * 2))
        return false;
    if (s->len > 0)
        ph_w_list(r->w, (uint32_t)s->len);
    for (size_t i = 0; i < s->len; i++)
        ph_w_int(r->w, s->at[i]);
    return parse(r, depth + 1);
}

static bool write_codes(struct ph_reader *r, struct codes *s, unsigned depth)
{
    if (!ph_read_fits(r, s->len))
        return false;
    if (r->variables && ph_lex_peek(&r->lex) == '+') {
        ph_lex_next(&r->lex);
        return write_prefix(r, s, depth);
    }
    if (!s->wide) {
        uint8_t *bytes = (uint8_t *)s->at; /* shrinks in place, from the front */
        for (size_t i = 0; i < s->len; i++)
            bytes[i] = (uint8_t)s->at[i];
        ph_w_string(r->w, bytes, s->len);
        return true;
    }
    ph_w_list(r->w, (uint32_t)s->len);
    for (size_t i = 0; i < s->len; i++)
        ph_w_int(r->w, s->at[i]);
    ph_w_nil(r->w);
    return true;
}

/* One string, or several next to each other. */
static bool parse_string(struct ph_reader *r, unsigned depth)
{
    struct codes s = {0};
    bool ok;
    for (;;) {
        ok = codes_add(&s, r->lex.buf, r->lex.buf + r->lex.len) || ph_read_no_memory(r);
        if (!ok || ph_lex_peek(&r->lex) != '"')
            break;
        if (ph_lex_next(&r->lex) != PH_TOK_STRING) {
            ok = false;
            break;
        }
    }
    ok = ok && write_codes(r, &s, depth);
    free(s.at);
    return ok;
}

/* ---- lists, tuples, maps ---- */

/* Elements that are all bytes become a string, as the VM writes them. They are 2 bytes each, behind a list header at `at`. */
static void list_to_string(struct ph_wbuf *w, size_t at, uint32_t n)
{
    uint8_t *p = w->buf + at;
    p[0] = ERL_STRING_EXT;
    p[1] = (uint8_t)(n >> 8);
    p[2] = (uint8_t)n;
    for (uint32_t i = 0; i < n; i++)
        p[3 + i] = p[5 + 2 * i + 1];
    ph_wbuf_truncate(w, at + 3 + n, w->nrefs);
}

static void close_list(struct ph_reader *r, size_t at, uint32_t n, bool bytes)
{
    struct ph_wbuf *w = r->w;
    if (bytes && n <= 65535) {
        list_to_string(w, at, n);
        return;
    }
    ph_w_nil(w);
    ph_put32(w->buf + at + 1, n);
}

static bool parse_list(struct ph_reader *r, unsigned depth)
{
    struct ph_wbuf *w = r->w;
    size_t at = w->len;
    uint32_t n = 0;
    bool bytes = true;
    ph_lex_next(&r->lex);
    if (ph_lex_is(&r->lex, ']')) {
        ph_w_nil(w);
        return true;
    }
    ph_put_raw8(w, ERL_LIST_EXT);
    ph_put_raw32(w, 0);
    for (;; ph_lex_next(&r->lex)) {
        size_t from = w->len;
        if (!parse(r, depth + 1))
            return false;
        n++;
        bytes = bytes && w->len == from + 2 && w->buf[from] == ERL_SMALL_INTEGER_EXT;
        ph_lex_next(&r->lex);
        if (!ph_lex_is(&r->lex, ','))
            break;
    }
    if (ph_lex_is(&r->lex, ']')) {
        close_list(r, at, n, bytes);
        return true;
    }
    if (!ph_lex_is(&r->lex, '|'))
        return ph_read_expected(r, "',', '|' or ']'");
    ph_lex_next(&r->lex);
    if (!parse(r, depth + 1))
        return false;
    ph_put32(w->buf + at + 1, n);
    ph_lex_next(&r->lex);
    return ph_lex_is(&r->lex, ']') || ph_read_expected(r, "']'");
}

/* The header of a tuple is 2 bytes for an arity below 256, else 5. */
static bool close_tuple(struct ph_reader *r, size_t at, uint32_t n)
{
    struct ph_wbuf *w = r->w;
    if (n < 256) {
        w->buf[at + 1] = (uint8_t)n;
        return true;
    }
    size_t body = w->len - at - 2;
    ph_w_raw(w, "\0\0", 3);
    if (w->failed)
        return ph_read_no_memory(r);
    memmove(w->buf + at + 5, w->buf + at + 2, body);
    w->buf[at] = ERL_LARGE_TUPLE_EXT;
    ph_put32(w->buf + at + 1, n);
    return true;
}

static bool parse_tuple(struct ph_reader *r, unsigned depth)
{
    size_t at = r->w->len;
    uint32_t n = 0;
    ph_put_raw8(r->w, ERL_SMALL_TUPLE_EXT);
    ph_put_raw8(r->w, 0);
    ph_lex_next(&r->lex);
    if (ph_lex_is(&r->lex, '}'))
        return ph_read_fits(r, 0);
    for (;; ph_lex_next(&r->lex)) {
        if (!parse(r, depth + 1))
            return false;
        n++;
        ph_lex_next(&r->lex);
        if (!ph_lex_is(&r->lex, ','))
            break;
    }
    if (!ph_lex_is(&r->lex, '}'))
        return ph_read_expected(r, "',' or '}'");
    return close_tuple(r, at, n);
}

struct key {
    size_t at, len;   /* encoded, from the start of the buffer */
    const char *text; /* where it is written */
};

struct keys {
    struct key *at;
    size_t n, cap;
};

static bool keys_add(struct keys *k, struct key key)
{
    if (k->n == k->cap) {
        size_t cap = k->cap ? k->cap * 2 : 8;
        struct key *at = realloc(k->at, cap * sizeof *at);
        if (!at)
            return false;
        k->at = at;
        k->cap = cap;
    }
    k->at[k->n++] = key;
    return true;
}

static int compare_keys(const void *a, const void *b, void *buf)
{
    const struct key *x = a, *y = b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    int d = memcmp((uint8_t *)buf + x->at, (uint8_t *)buf + y->at, x->len);
    return d ? d : x->text < y->text ? -1 : 1;
}

/* A map with equal keys is not well-formed for the VM. What is equal is encoded equally, but for maps as keys. */
static bool keys_differ(struct ph_reader *r, struct keys *k)
{
    const uint8_t *buf = r->w->buf;
    if (k->n > 1)
        qsort_r(k->at, k->n, sizeof *k->at, compare_keys, r->w->buf);
    for (size_t i = 1; i < k->n; i++) {
        const struct key *a = &k->at[i - 1], *b = &k->at[i];
        if (a->len == b->len && memcmp(buf + a->at, buf + b->at, a->len) == 0) {
            ph_lex_error(&r->lex, b->text, "this key is in the map already");
            return false;
        }
    }
    return true;
}

static bool parse_pair(struct ph_reader *r, unsigned depth, struct keys *k)
{
    struct key key = {.at = r->w->len, .text = r->lex.start};
    r->in_key++;
    if (!parse(r, depth + 1))
        return false;
    r->in_key--;
    key.len = r->w->len - key.at;
    if (!keys_add(k, key))
        return ph_read_no_memory(r);
    if (ph_lex_next(&r->lex) != PH_TOK_ARROW)
        return ph_read_expected(r, "'=>'");
    ph_lex_next(&r->lex);
    return parse(r, depth + 1);
}

static bool parse_pairs(struct ph_reader *r, unsigned depth, struct keys *k)
{
    ph_lex_next(&r->lex);
    if (ph_lex_is(&r->lex, '}'))
        return true;
    for (;; ph_lex_next(&r->lex)) {
        if (!parse_pair(r, depth, k))
            return false;
        ph_lex_next(&r->lex);
        if (!ph_lex_is(&r->lex, ','))
            break;
    }
    return ph_lex_is(&r->lex, '}') || ph_read_expected(r, "',' or '}'");
}

/* The lexer is at the '{' behind the '#'. */
static bool parse_map(struct ph_reader *r, unsigned depth)
{
    struct keys k = {0};
    size_t at = r->w->len;
    ph_w_map(r->w, 0);
    bool ok = ph_read_fits(r, 0) && parse_pairs(r, depth, &k) && keys_differ(r, &k);
    if (ok)
        ph_put32(r->w->buf + at + 1, (uint32_t)k.n);
    free(k.at);
    return ok;
}

/* ---- atoms, funs and what begins with # ---- */

static bool parse_atom(struct ph_reader *r)
{
    ph_w_atom_len(r->w, r->lex.buf, r->lex.len);
    return true;
}

static bool ascii(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)p[i] > 127)
            return false;
    return true;
}

bool ph_read_var_ok(struct ph_reader *r)
{
    struct ph_lex *x = &r->lex;
    if (!r->variables) {
        ph_lex_error(x, x->start, "expected a term, found a variable");
        return false;
    }
    if (r->in_key || x->len >= PH_TERM_VAR_MAX || !ascii(x->buf, x->len)) {
        ph_lex_error(x, x->start, r->in_key ? "a key of a map cannot have variables" : "expected a variable of at most 62 ASCII characters");
        return false;
    }
    return true;
}

void ph_read_put_var(struct ph_reader *r, const char *name, size_t len)
{
    ph_put_raw8(r->w, PH_TERM_VAR);
    ph_put_raw8(r->w, (unsigned)len + 1);
    ph_put_raw8(r->w, 0);
    ph_w_raw(r->w, name, len);
}

static bool parse_var(struct ph_reader *r)
{
    if (!ph_read_var_ok(r))
        return false;
    ph_read_put_var(r, r->lex.buf, r->lex.len);
    return true;
}

static bool parse_name(struct ph_reader *r, const char *what)
{
    return ph_lex_next(&r->lex) == PH_TOK_ATOM ? parse_atom(r) : ph_read_expected(r, what);
}

/* fun module:name/arity */
static bool parse_export(struct ph_reader *r)
{
    struct ph_integer n = {0};
    int64_t arity = -1;
    ph_put_raw8(r->w, ERL_EXPORT_EXT);
    if (!parse_name(r, "the name of a module after 'fun'"))
        return false;
    ph_lex_next(&r->lex);
    if (!ph_lex_is(&r->lex, ':'))
        return ph_read_expected(r, "':'");
    if (!parse_name(r, "the name of a function"))
        return false;
    ph_lex_next(&r->lex);
    if (!ph_lex_is(&r->lex, '/'))
        return ph_read_expected(r, "'/'");
    ph_lex_next(&r->lex);
    bool ok = ph_read_integer(r, false, &n) && ph_integer_small(&n, &arity);
    free(n.mag);
    if (!ok || arity > 255)
        return ph_read_expected(r, "an arity of at most 255");
    ph_w_int(r->w, arity);
    return true;
}

static bool parse_hash(struct ph_reader *r, unsigned depth)
{
    struct ph_lex *x = &r->lex;
    ph_lex_next(x);
    if (ph_lex_is(x, '{'))
        return parse_map(r, depth);
    bool port = x->tok == PH_TOK_VAR && strcmp(x->buf, "Port") == 0;
    if (!port && !(x->tok == PH_TOK_VAR && strcmp(x->buf, "Ref") == 0))
        return ph_read_expected(r, "'{', Port or Ref after '#'");
    ph_lex_next(x);
    if (!ph_lex_is(x, '<'))
        return ph_read_expected(r, "'<'");
    return port ? ph_read_port(r) : ph_read_ref(r);
}

/* ---- the whole ---- */

static bool parse_punct(struct ph_reader *r, unsigned depth)
{
    switch (r->lex.code) {
    case '[':
        return parse_list(r, depth);
    case '{':
        return parse_tuple(r, depth);
    case '#':
        return parse_hash(r, depth);
    case '<':
        return ph_read_pid(r);
    case '-':
    case '+':
        return parse_number(r);
    default:
        return ph_read_expected(r, "a term");
    }
}

static bool parse_token(struct ph_reader *r, unsigned depth)
{
    struct ph_lex *x = &r->lex;
    switch (x->tok) {
    case PH_TOK_ATOM:
        return !x->quoted && strcmp(x->buf, "fun") == 0 ? parse_export(r) : parse_atom(r);
    case PH_TOK_INT:
    case PH_TOK_FLOAT:
        return parse_number(r);
    case PH_TOK_STRING:
        return parse_string(r, depth);
    case PH_TOK_BIN_OPEN:
        return ph_read_binary(r);
    case PH_TOK_PUNCT:
        return parse_punct(r, depth);
    case PH_TOK_VAR:
        return parse_var(r);
    default:
        return ph_read_expected(r, "a term");
    }
}

static bool parse(struct ph_reader *r, unsigned depth)
{
    if (depth > r->limits.max_depth) {
        char text[80];
        snprintf(text, sizeof text, "this term is nested more than %u deep", r->limits.max_depth);
        ph_lex_error(&r->lex, r->lex.start, text);
        return false;
    }
    return parse_token(r, depth) && ph_read_fits(r, 0);
}

static int end_of_text(struct ph_reader *r)
{
    ph_lex_next(&r->lex);
    if (ph_lex_is(&r->lex, '.'))
        ph_lex_next(&r->lex);
    if (r->lex.tok == PH_TOK_END)
        return 0;
    ph_read_expected(r, "the end of the term");
    return -1;
}

static int read_term(struct ph_reader r, const char *text, size_t len, struct ph_term_error *err, size_t *used)
{
    struct ph_wbuf *w = r.w;
    size_t nrefs = w->nrefs;
    r.begin = w->len;
    ph_lex_init(&r.lex, text, len, err);
    ph_lex_next(&r.lex);
    int rc = parse(&r, 1) ? 0 : -1;
    if (used)
        *used = (size_t)(r.lex.pos - text);
    else if (rc == 0)
        rc = end_of_text(&r);
    if (rc < 0)
        ph_wbuf_truncate(w, r.begin, nrefs);
    ph_lex_free(&r.lex);
    return rc;
}

int ph_term_read(const char *text, size_t len, struct ph_term_limits limits, struct ph_wbuf *w, struct ph_term_error *err)
{
    return read_term((struct ph_reader){.limits = limits, .w = w}, text, len, err, NULL);
}

int ph_term_read_prefix(const char *text, size_t len, struct ph_term_limits limits, struct ph_wbuf *w,
                        struct ph_term_error *err, size_t *used)
{
    return read_term((struct ph_reader){.limits = limits, .w = w}, text, len, err, used);
}

int ph_term_read_pattern(const char *text, size_t len, struct ph_term_limits limits, struct ph_wbuf *w,
                         struct ph_term_error *err, size_t *used)
{
    return read_term((struct ph_reader){.limits = limits, .w = w, .variables = true}, text, len, err, used);
}
