/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded reading of the external term format; the contract is in etf.h. The one rule of this file: the
 * extent of a leaf (a term that holds no other terms but node and module names) is established by leaf_size(),
 * which looks at no byte before it knows that the byte is there. Only then is a leaf given to ei.
 * Text and iodata, which are read through these functions, are in etf_data.c. */
#include "etf.h"

#include <ei.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LEVELS 1024u /* containers open at once: more than a frame of a client may nest; for those of hosts there is memory */
#define TOO_DEEP (-2)
#define MAX_ATOM_CHARS 255u
#define MAX_REF_WORDS 5u
#define FLOAT_TEXT 31u

static size_t left(const struct ph_cur *c)
{
    return (size_t)(c->end - c->p);
}

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Bytes of the UTF-8 character at p, 0 if there is none that is well-formed (shortest form, no surrogate). */
static size_t utf8_char(const uint8_t *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

/* How many bytes at p are ASCII, looked at eight at a time: a multiple of 8. */
static size_t ascii_prefix(const uint8_t *p, size_t n)
{
    uint64_t eight;
    size_t i = 0;
    for (; n - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, p + i, sizeof eight);
        if (eight & UINT64_C(0x8080808080808080))
            break;
    }
    return i;
}

static bool utf8_atom_ok(const uint8_t *p, size_t n)
{
    size_t chars = ascii_prefix(p, n);
    for (size_t i = chars; i < n; chars++) {
        size_t len = utf8_char(p + i, n - i);
        if (len == 0)
            return false;
        i += len;
    }
    return chars <= MAX_ATOM_CHARS;
}

/* Where the text of the atom at p is. 0, or -1 if no well-formed atom is there. */
static int atom_text(const uint8_t *p, size_t n, struct ph_slice *text)
{
    size_t head;

    if (n < 2)
        return -1;
    if (p[0] == ERL_SMALL_ATOM_UTF8_EXT || p[0] == ERL_SMALL_ATOM_EXT) {
        head = 2;
        text->len = p[1];
    } else if (p[0] == ERL_ATOM_EXT || p[0] == ERL_ATOM_UTF8_EXT) {
        if (n < 3)
            return -1;
        head = 3;
        text->len = get16(p + 1);
    } else {
        return -1;
    }
    if (text->len > n - head)
        return -1;
    text->p = p + head;
    if (p[0] == ERL_SMALL_ATOM_UTF8_EXT || p[0] == ERL_ATOM_UTF8_EXT)
        return utf8_atom_ok(text->p, text->len) ? 0 : -1;
    return text->len <= MAX_ATOM_CHARS ? 0 : -1;
}

/* Encoded size of the atom at p, 0 if there is none. */
static size_t atom_size(const uint8_t *p, size_t n)
{
    struct ph_slice text;

    if (atom_text(p, n, &text))
        return 0;
    return (size_t)(text.p - p) + text.len;
}

/* A head of `head` bytes, a node atom, and `tail` bytes: the shape of all identifiers. */
static size_t ident_size(const uint8_t *p, size_t n, size_t head, size_t tail)
{
    if (n < head)
        return 0;
    size_t node = atom_size(p + head, n - head);
    if (node == 0 || tail > n - head - node)
        return 0;
    return head + node + tail;
}

static size_t ref_size(const uint8_t *p, size_t n)
{
    if (p[0] == ERL_REFERENCE_EXT)
        return ident_size(p, n, 1, 5);
    if (n < 3)
        return 0;
    size_t words = get16(p + 1);
    if (words == 0 || words > MAX_REF_WORDS)
        return 0;
    return ident_size(p, n, 3, (p[0] == ERL_NEWER_REFERENCE_EXT ? 4 : 1) + 4 * words);
}

static size_t export_size(const uint8_t *p, size_t n)
{
    size_t module = ident_size(p, n, 1, 0);
    if (module == 0)
        return 0;
    size_t function = atom_size(p + module, n - module);
    size_t size = module + function;
    if (function == 0 || n - size < 2 || p[size] != ERL_SMALL_INTEGER_EXT)
        return 0;
    return size + 2;
}

/* The old float is text in 31 bytes: what ei cannot read as a finite number is not one. */
static bool float_ok(const uint8_t *p)
{
    char copy[1 + FLOAT_TEXT + 1];
    int index = 0;
    double d;

    memcpy(copy, p, 1 + FLOAT_TEXT);
    copy[1 + FLOAT_TEXT] = '\0';
    return ei_decode_double(copy, &index, &d) == 0 && isfinite(d);
}

static bool new_float_ok(const uint8_t *p)
{
    return ((p[1] & 0x7f) != 0x7f || (p[2] & 0xf0) != 0xf0);
}

/* A head of `head` bytes with the length in its bytes [1..1+width), then that many bytes, all of them there. */
static size_t counted_size(const uint8_t *p, size_t n, size_t head, unsigned width)
{
    if (n < head)
        return 0;
    size_t len = width == 1 ? p[1] : width == 2 ? get16(p + 1) : get32(p + 1);
    return len > n - head ? 0 : head + len;
}

static size_t bits_size(const uint8_t *p, size_t n)
{
    size_t size = counted_size(p, n, 6, 4);
    if (size == 0 || p[5] > 8 || (p[5] == 0) != (size == 6))
        return 0;
    return size;
}

/* Encoded size of the leaf at p, whose tag byte is there; 0 if it is malformed, cut short or not a leaf. */
static size_t leaf_size(const uint8_t *p, size_t n)
{
    switch (p[0]) {
    case ERL_SMALL_INTEGER_EXT:
        return n < 2 ? 0 : 2;
    case ERL_INTEGER_EXT:
        return n < 5 ? 0 : 5;
    case NEW_FLOAT_EXT:
        return n < 9 || !new_float_ok(p) ? 0 : 9;
    case ERL_FLOAT_EXT:
        return n < 1 + FLOAT_TEXT || !float_ok(p) ? 0 : 1 + FLOAT_TEXT;
    case ERL_ATOM_EXT:
    case ERL_SMALL_ATOM_EXT:
    case ERL_ATOM_UTF8_EXT:
    case ERL_SMALL_ATOM_UTF8_EXT:
        return atom_size(p, n);
    case ERL_NIL_EXT:
        return 1;
    case ERL_STRING_EXT:
        return counted_size(p, n, 3, 2);
    case ERL_BINARY_EXT:
        return counted_size(p, n, 5, 4);
    case ERL_BIT_BINARY_EXT:
        return bits_size(p, n);
    case ERL_SMALL_BIG_EXT:
        return counted_size(p, n, 3, 1);
    case ERL_LARGE_BIG_EXT:
        return counted_size(p, n, 6, 4);
    case ERL_PID_EXT:
    case ERL_NEW_PORT_EXT:
        return ident_size(p, n, 1, p[0] == ERL_PID_EXT ? 9 : 8);
    case ERL_NEW_PID_EXT:
    case ERL_V4_PORT_EXT:
        return ident_size(p, n, 1, 12);
    case ERL_PORT_EXT:
        return ident_size(p, n, 1, 5);
    case ERL_REFERENCE_EXT:
    case ERL_NEW_REFERENCE_EXT:
    case ERL_NEWER_REFERENCE_EXT:
        return ref_size(p, n);
    case ERL_EXPORT_EXT:
        return export_size(p, n);
    default:
        return 0;
    }
}

static size_t integer_size(const uint8_t *p, size_t n)
{
    if (n == 0 || (p[0] != ERL_SMALL_INTEGER_EXT && p[0] != ERL_INTEGER_EXT && p[0] != ERL_SMALL_BIG_EXT &&
                   p[0] != ERL_LARGE_BIG_EXT))
        return 0;
    return leaf_size(p, n);
}

/* A fun made by fun ... end: 112, size, arity, 16 bytes, index, number of free variables; then module, two
 * integers and a pid, all leaves; then the free variables, any terms. */
static int open_fun(struct ph_cur *c, uint64_t *elements)
{
    enum { HEAD = 1 + 4 + 1 + 16 + 4 + 4 };
    struct ph_cur q = *c;
    struct ph_slice pid;

    if (left(c) < HEAD || get32(c->p + 1) > left(c) - 1)
        return -1;
    *elements = get32(c->p + HEAD - 4);
    q.p += HEAD;
    size_t size = atom_size(q.p, left(&q));
    for (int i = 0; size != 0 && i < 2; i++) {
        q.p += size;
        size = integer_size(q.p, left(&q));
    }
    if (size == 0)
        return -1;
    q.p += size;
    if (ph_etf_pid(&q, &pid))
        return -1;
    c->p = q.p;
    return 0;
}

/* Passes the head of a container, and says how many terms are in it. -1: not one, or it claims more terms
 * than there are bytes. A list's tail is a term in it. */
static int open_container(struct ph_cur *c, uint64_t *elements)
{
    size_t head = 5;
    uint64_t n;

    switch (c->p[0]) {
    case ERL_NEW_FUN_EXT:
        if (open_fun(c, elements))
            return -1;
        return *elements > left(c) ? -1 : 0;
    case ERL_SMALL_TUPLE_EXT:
        head = 2;
        break;
    case ERL_LARGE_TUPLE_EXT:
    case ERL_LIST_EXT:
    case ERL_MAP_EXT:
        break;
    default:
        return -1;
    }
    if (left(c) < head)
        return -1;
    n = head == 2 ? c->p[1] : get32(c->p + 1);
    if (c->p[0] == ERL_LIST_EXT)
        n += 1;
    else if (c->p[0] == ERL_MAP_EXT)
        n *= 2;
    if (n > left(c) - head)
        return -1;
    c->p += head;
    *elements = n;
    return 0;
}

/* A term of any type; iterative. todo has a level more than max_depth: the terms still to come in each open container; level 0 holds the term
 * asked for. 0, -1, or TOO_DEEP. */
static int skip_levels(struct ph_cur *c, unsigned max_depth, uint64_t *todo)
{
    struct ph_cur q = *c;
    unsigned level = 0;

    todo[0] = 1;
    for (;;) {
        while (todo[level] == 0) {
            if (level == 0) {
                c->p = q.p;
                return 0;
            }
            level--;
        }
        todo[level]--;
        if (q.p == q.end)
            return -1;
        if (level >= max_depth)
            return TOO_DEEP;
        size_t size = leaf_size(q.p, left(&q));
        if (size != 0)
            q.p += size;
        else if (open_container(&q, &todo[level + 1]) == 0)
            level++;
        else
            return -1;
    }
}

/* A count is at most the bytes that were left (open_container), so 32 bits would only fail for input over 4 GiB. */
static int skip_any(struct ph_cur *c, unsigned max_depth)
{
    uint64_t todo[MAX_LEVELS + 1];
    return skip_levels(c, max_depth < MAX_LEVELS ? max_depth : MAX_LEVELS, todo);
}

static int skip_deep(struct ph_cur *c, unsigned max_depth)
{
    unsigned depth = max_depth < PH_ETF_DEPTH_MAX ? max_depth : PH_ETF_DEPTH_MAX;
    uint64_t *todo = malloc((depth + 1) * sizeof *todo);
    int rc = todo ? skip_levels(c, depth, todo) : -1;
    free(todo);
    return rc;
}

int ph_etf_skip(struct ph_cur *c, unsigned max_depth)
{
    size_t size = max_depth > 0 && left(c) > 0 ? leaf_size(c->p, left(c)) : 0; /* mostly it is one */
    if (size == 0) {
        int rc = skip_any(c, max_depth);
        if (rc == TOO_DEEP && max_depth > MAX_LEVELS)
            rc = skip_deep(c, max_depth);
        return rc ? -1 : 0;
    }
    c->p += size;
    return 0;
}

bool ph_etf_is_deeper(struct ph_cur c, unsigned max_depth)
{
    return skip_deep(&c, max_depth) == TOO_DEEP;
}

int ph_etf_raw(struct ph_cur *c, struct ph_slice *out)
{
    const uint8_t *start = c->p;

    if (ph_etf_skip(c, PH_ETF_DEPTH_MAX))
        return -1;
    *out = (struct ph_slice){start, (size_t)(c->p - start)};
    return 0;
}

int ph_etf_tuple(struct ph_cur *c, uint32_t *arity)
{
    uint64_t n;

    if (left(c) < 1 || (c->p[0] != ERL_SMALL_TUPLE_EXT && c->p[0] != ERL_LARGE_TUPLE_EXT) || open_container(c, &n))
        return -1;
    *arity = (uint32_t)n;
    return 0;
}

int ph_etf_map(struct ph_cur *c, uint32_t *pairs)
{
    uint64_t n;

    if (left(c) < 1 || c->p[0] != ERL_MAP_EXT || open_container(c, &n))
        return -1;
    *pairs = (uint32_t)(n / 2);
    return 0;
}

int ph_etf_nil(struct ph_cur *c)
{
    if (left(c) < 1 || c->p[0] != ERL_NIL_EXT)
        return -1;
    c->p++;
    return 0;
}

int ph_etf_list(struct ph_cur *c, uint32_t *n)
{
    struct ph_cur q = *c;
    uint64_t elements;

    if (left(c) < 1)
        return -1;
    if (c->p[0] == ERL_NIL_EXT) {
        *n = 0;
    } else if (c->p[0] != ERL_LIST_EXT || open_container(&q, &elements)) {
        return -1;
    } else {
        *n = (uint32_t)(elements - 1);
    }
    /* A LIST_EXT without elements is its tail, and so that of [] if that is nil: as the VM reads it. */
    if (*n == 0 && ph_etf_nil(&q))
        return -1;
    c->p = q.p;
    return 0;
}

static size_t latin1_as_utf8(const struct ph_slice *text)
{
    size_t len = text->len;
    for (size_t i = 0; i < text->len; i++)
        len += text->p[i] >= 0x80;
    return len;
}

int ph_etf_atom(struct ph_cur *c, char *buf, size_t cap, size_t *len)
{
    struct ph_slice text;
    int index = 0;

    if (atom_text(c->p, left(c), &text))
        return -1;
    bool utf8 = c->p[0] == ERL_ATOM_UTF8_EXT || c->p[0] == ERL_SMALL_ATOM_UTF8_EXT;
    size_t need = utf8 ? text.len : latin1_as_utf8(&text);
    if (need >= cap || ei_decode_atom_as((const char *)c->p, &index, buf, (int)cap, ERLANG_UTF8, NULL, NULL))
        return -1;
    *len = need;
    c->p = text.p + text.len;
    return 0;
}

int ph_etf_is_atom(struct ph_cur *c, const char *text)
{
    struct ph_slice t;

    if (atom_text(c->p, left(c), &t) || t.len != strlen(text) || memcmp(t.p, text, t.len) != 0)
        return -1;
    c->p = t.p + t.len;
    return 0;
}

int ph_etf_int64(struct ph_cur *c, int64_t *v)
{
    size_t size = integer_size(c->p, left(c));
    long long n;
    int index = 0;

    if (size == 0 || ei_decode_longlong((const char *)c->p, &index, &n))
        return -1;
    *v = n;
    c->p += size;
    return 0;
}

int ph_etf_uint64(struct ph_cur *c, uint64_t *v)
{
    if (left(c) >= 2 && c->p[0] == ERL_SMALL_INTEGER_EXT) { /* nearly all are */
        *v = c->p[1];
        c->p += 2;
        return 0;
    }
    size_t size = integer_size(c->p, left(c));
    unsigned long long n;
    int index = 0;

    if (size == 0 || ei_decode_ulonglong((const char *)c->p, &index, &n))
        return -1;
    *v = n;
    c->p += size;
    return 0;
}

int ph_etf_bool(struct ph_cur *c, bool *v)
{
    if (ph_etf_is_atom(c, "true") == 0)
        *v = true;
    else if (ph_etf_is_atom(c, "false") == 0)
        *v = false;
    else
        return -1;
    return 0;
}

int ph_etf_binary(struct ph_cur *c, struct ph_slice *out)
{
    if (left(c) < 1 || c->p[0] != ERL_BINARY_EXT)
        return -1;
    size_t size = counted_size(c->p, left(c), 5, 4);
    if (size == 0)
        return -1;
    *out = (struct ph_slice){c->p + 5, size - 5};
    c->p += size;
    return 0;
}

static int whole_leaf(struct ph_cur *c, struct ph_slice *out)
{
    size_t size = leaf_size(c->p, left(c));

    if (size == 0)
        return -1;
    *out = (struct ph_slice){c->p, size};
    c->p += size;
    return 0;
}

int ph_etf_pid(struct ph_cur *c, struct ph_slice *out)
{
    if (left(c) < 1 || (c->p[0] != ERL_PID_EXT && c->p[0] != ERL_NEW_PID_EXT))
        return -1;
    return whole_leaf(c, out);
}

int ph_etf_ref(struct ph_cur *c, struct ph_slice *out)
{
    if (left(c) < 1 || (c->p[0] != ERL_REFERENCE_EXT && c->p[0] != ERL_NEW_REFERENCE_EXT &&
                        c->p[0] != ERL_NEWER_REFERENCE_EXT))
        return -1;
    return whole_leaf(c, out);
}
