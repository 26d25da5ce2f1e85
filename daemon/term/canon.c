/* SPDX-License-Identifier: Apache-2.0 */
/* Walks an encoded term, with a stack of its own. To find equal keys it writes the keys of maps in a canonical form and sorts them:
 * two terms are equal if and only if their canonical bytes are. Sorting instead of hashing, because keys come from
 * outside and may be chosen to collide.
 *
 * Canonical form: a letter for the type, then parts of fixed size, or counted. A list is a letter and an element for
 * each cell, then its tail, so that it is the same however it was encoded. A map is its pairs in the order of their keys'
 * canonical bytes. */
#include "term/canon.h"

#include <ei.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "etf.h"

#define MAX_DEPTH 1000000u /* of a term that someone else has encoded: bounds the memory that its bytes can ask for */
#define MAX_BIG 4194296u /* bytes of a number, leading zeros too: what the VM's bignums have room for */
#define MAX_SMALL ((INT64_C(1) << 59) - 1)
#define NEW_FUN_FIXED 29u /* size (4), arity (1), uniq (16), index (4), number of free variables (4) */

enum frame_kind { FRAME_TERMS, FRAME_LIST, FRAME_MAP };

struct frame {
    enum frame_kind kind;
    bool keep;     /* inside a key: what is walked is written to out */
    uint64_t left; /* terms still to come in it; of a list the last one is the tail */
    size_t start;  /* where it began in out */
    size_t marks;  /* a map with two pairs or more: where its marks begin */
};

struct pair {
    const uint8_t *p;
    size_t key_len, len;
};

struct walk {
    struct ph_cur in;
    const uint8_t *base; /* offset 0 of the wbuf, to which the refs are relative */
    const struct ph_wref *ref, *ref_end;
    struct ph_wbuf out; /* canonical bytes */
    bool keys;          /* compare keys: else nothing is written to out */
    struct frame *frames;
    size_t nframes, cap_frames, max_frames;
    size_t *marks; /* offsets in out: where each key and value of the open maps began */
    size_t nmarks, cap_marks;
};

static void put(struct walk *k, char letter, const void *p, size_t len)
{
    ph_w_raw(&k->out, &letter, 1);
    ph_w_raw(&k->out, p, len);
}

static void put_counted(struct walk *k, char letter, const void *p, uint64_t len)
{
    put(k, letter, &len, sizeof len);
    ph_w_raw(&k->out, p, len);
}

static int push_frame(struct walk *k, struct frame f)
{
    if (k->nframes == k->max_frames)
        return -1;
    if (k->nframes == k->cap_frames) {
        size_t cap = k->cap_frames == 0 ? 32 : 2 * k->cap_frames;
        struct frame *frames = ph_realloc_try(k->frames, cap * sizeof *frames);
        if (frames == NULL)
            return -1;
        k->frames = frames;
        k->cap_frames = cap;
    }
    k->frames[k->nframes++] = f;
    return 0;
}

static int push_mark(struct walk *k)
{
    if (k->nmarks == k->cap_marks) {
        size_t cap = k->cap_marks == 0 ? 64 : 2 * k->cap_marks;
        size_t *marks = ph_realloc_try(k->marks, cap * sizeof *marks);
        if (marks == NULL)
            return -1;
        k->marks = marks;
        k->cap_marks = cap;
    }
    k->marks[k->nmarks++] = k->out.len;
    return 0;
}

/* Magnitude little endian, as in the big encodings. */
static void put_integer(struct walk *k, bool negative, const uint8_t *p, size_t len)
{
    while (len > 0 && p[len - 1] == 0)
        len--;
    put_counted(k, negative && len > 0 ? '-' : '+', p, len);
}

static void put_small_integer(struct walk *k, int64_t v)
{
    uint64_t magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v;
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(magnitude >> (8 * i));
    put_integer(k, v < 0, bytes, sizeof bytes);
}

static void put_float(struct walk *k, const uint8_t *p, size_t len)
{
    char copy[64] = {0};
    int index = 0;
    double d = 0;

    memcpy(copy, p, len);
    if (ei_decode_double(copy, &index, &d))
        k->out.failed = true;
    if (d == 0)
        d = 0; /* -0.0 */
    put(k, 'f', &d, sizeof d);
}

static int put_atom(struct walk *k, struct ph_cur *c)
{
    char utf8[MAXATOMLEN_UTF8];
    size_t len;

    if (ph_etf_atom(c, utf8, sizeof utf8, &len))
        return -1;
    put_counted(k, 'a', utf8, len);
    return 0;
}

static void put_bytes(struct walk *k, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        put(k, 'c', NULL, 0);
        put_small_integer(k, p[i]);
    }
    put(k, 'n', NULL, 0);
}

/* The bits of the last byte that do not count may be anything. */
static void put_bits(struct walk *k, const uint8_t *p, size_t len, unsigned last)
{
    uint8_t letter_and_bits = (uint8_t)(last % 8);

    put_counted(k, 'b', p, len);
    if (letter_and_bits != 0 && len > 0 && !k->out.failed)
        k->out.buf[k->out.len - 1] &= (uint8_t)(0xff << (8 - last));
    ph_w_raw(&k->out, &letter_and_bits, 1);
}

/* What follows the node in pids, ports and references, with the creation widened to 4 bytes and put first. */
static int put_identifier(struct walk *k, char letter, struct ph_slice etf, size_t head, size_t creation_at_end)
{
    struct ph_cur c = {etf.p + head, etf.p + etf.len};
    uint8_t creation[4] = {0};
    bool wide = etf.p[0] == ERL_NEW_PID_EXT || etf.p[0] == ERL_NEW_PORT_EXT || etf.p[0] == ERL_V4_PORT_EXT ||
                etf.p[0] == ERL_NEWER_REFERENCE_EXT;
    size_t width = wide ? 4 : 1;

    put(k, letter, NULL, 0);
    if (put_atom(k, &c) || (size_t)(c.end - c.p) < width)
        return -1;
    memcpy(creation + 4 - width, creation_at_end ? c.end - width : c.p, width);
    if (creation_at_end)
        c.end -= width;
    else
        c.p += width;
    ph_w_raw(&k->out, creation, sizeof creation);
    if (letter == 'r') /* the words that are not there are 0 */
        while (c.end - c.p >= 4 && memcmp(c.end - 4, "\0\0\0", 4) == 0)
            c.end -= 4;
    else
        while (c.p < c.end && *c.p == 0) /* a port's number has 4 bytes or 8 */
            c.p++;
    put_counted(k, 'i', c.p, (size_t)(c.end - c.p));
    return 0;
}

static int put_export(struct walk *k, struct ph_slice etf)
{
    struct ph_cur c = {etf.p + 1, etf.p + etf.len};

    put(k, 'e', NULL, 0);
    if (put_atom(k, &c) || put_atom(k, &c))
        return -1;
    ph_w_raw(&k->out, etf.p + etf.len - 1, 1);
    return 0;
}

/* etf: all of the leaf's bytes, found well-formed. */
static int put_leaf(struct walk *k, struct ph_slice etf)
{
    struct ph_cur c = {etf.p, etf.p + etf.len};
    int64_t v;

    switch (etf.p[0]) {
    case ERL_SMALL_INTEGER_EXT:
    case ERL_INTEGER_EXT:
        if (ph_etf_int64(&c, &v))
            return -1;
        put_small_integer(k, v);
        return 0;
    case ERL_SMALL_BIG_EXT: put_integer(k, etf.p[2], etf.p + 3, etf.len - 3); return 0;
    case ERL_LARGE_BIG_EXT: put_integer(k, etf.p[5], etf.p + 6, etf.len - 6); return 0;
    case NEW_FLOAT_EXT:
    case ERL_FLOAT_EXT: put_float(k, etf.p, etf.len); return 0;
    case ERL_NIL_EXT: put(k, 'n', NULL, 0); return 0;
    case ERL_STRING_EXT: put_bytes(k, etf.p + 3, etf.len - 3); return 0;
    case ERL_BINARY_EXT: put_bits(k, etf.p + 5, etf.len - 5, 8); return 0;
    case ERL_BIT_BINARY_EXT: put_bits(k, etf.p + 6, etf.len - 6, etf.p[5]); return 0;
    case ERL_PID_EXT:
    case ERL_NEW_PID_EXT: return put_identifier(k, 'p', etf, 1, true);
    case ERL_PORT_EXT:
    case ERL_NEW_PORT_EXT:
    case ERL_V4_PORT_EXT: return put_identifier(k, 'o', etf, 1, true);
    case ERL_REFERENCE_EXT: return put_identifier(k, 'r', etf, 1, true);
    case ERL_NEW_REFERENCE_EXT:
    case ERL_NEWER_REFERENCE_EXT: return put_identifier(k, 'r', etf, 3, false);
    case ERL_EXPORT_EXT: return put_export(k, etf);
    default: return put_atom(k, &c);
    }
}

static size_t left(const struct walk *k)
{
    return (size_t)(k->in.end - k->in.p);
}

/* A binary whose bytes are a ref. 1: it was one. */
static int walk_ref(struct walk *k, bool keep)
{
    if (k->ref == k->ref_end || left(k) < 5 || k->in.p[0] != ERL_BINARY_EXT ||
        k->in.p + 5 != k->base + k->ref->at)
        return 0;
    if (keep)
        put_bits(k, k->ref->p, k->ref->len, 8);
    k->in.p += 5;
    k->ref++;
    return 1;
}

static const uint8_t *past_digits(const uint8_t *p)
{
    const uint8_t *start = p;
    while (*p >= '0' && *p <= '9')
        p++;
    return p == start ? NULL : p;
}

static bool old_float_ok(const uint8_t *bytes, size_t len)
{
    uint8_t text[64] = {0};
    const uint8_t *p = text;

    if (len >= sizeof text || memchr(bytes, 0, len) == NULL)
        return false;
    memcpy(text, bytes, len);
    p = past_digits(p + (*p == '-' || *p == '+'));
    if (p == NULL || *p != '.' || (p = past_digits(p + 1)) == NULL)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p = past_digits(p + (*p == '-' || *p == '+'));
    }
    return p != NULL && *p == 0;
}

/* Old references: the creation has 2 bits and the first word 18, which is the first one after the creation or the only one. */
static bool old_reference_ok(struct ph_slice etf)
{
    struct ph_cur c = {etf.p + (etf.p[0] == ERL_REFERENCE_EXT ? 1 : 3), etf.p + etf.len};
    if (ph_etf_skip(&c, 1) || c.end - c.p < 5)
        return false;
    const uint8_t *creation = etf.p[0] == ERL_REFERENCE_EXT ? c.p + 4 : c.p;
    const uint8_t *word = etf.p[0] == ERL_REFERENCE_EXT ? c.p : c.p + 1;
    return *creation < 4 && word[0] == 0 && word[1] < 4;
}

/* What the VM refuses in leaves that are well-formed otherwise. A receiver could not decode any of it. */
static bool leaf_ok(struct ph_slice etf)
{
    switch (etf.p[0]) {
    case ERL_LARGE_BIG_EXT: return etf.len - 6 <= MAX_BIG;
    case ERL_FLOAT_EXT: return old_float_ok(etf.p + 1, etf.len - 1);
    case ERL_PID_EXT:
    case ERL_PORT_EXT: return etf.p[etf.len - 1] < 4;
    case ERL_REFERENCE_EXT:
    case ERL_NEW_REFERENCE_EXT: return old_reference_ok(etf);
    default: return true;
    }
}

static int walk_leaf(struct walk *k, bool keep)
{
    struct ph_slice etf = {k->in.p, 0};

    if (ph_etf_skip(&k->in, 1))
        return -1;
    etf.len = (size_t)(k->in.p - etf.p);
    if (!leaf_ok(etf))
        return -1;
    return keep ? put_leaf(k, etf) : 0;
}

static int open_tuple(struct walk *k, struct frame *f)
{
    uint32_t arity;

    if (ph_etf_tuple(&k->in, &arity))
        return -1;
    f->left = arity;
    if (f->keep)
        put(k, 't', &arity, sizeof arity);
    return push_frame(k, *f);
}

static int open_map(struct walk *k, struct frame *f)
{
    uint32_t pairs;

    if (ph_etf_map(&k->in, &pairs))
        return -1;
    f->kind = pairs < 2 || !k->keys ? FRAME_TERMS : FRAME_MAP;
    f->left = 2 * (uint64_t)pairs;
    f->marks = k->nmarks;
    if (f->keep)
        put(k, 'm', &pairs, sizeof pairs);
    return push_frame(k, *f);
}

/* Not ph_etf_list: the VM takes a list of no elements, and it is its tail. */
static int open_list(struct walk *k, struct frame *f)
{
    if (left(k) < 5)
        return -1;
    const uint8_t *p = k->in.p + 1;
    f->kind = FRAME_LIST;
    f->left = 1 + ((uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3]);
    k->in.p += 5;
    return push_frame(k, *f);
}

/* One that is no bignum in the VM: nothing else may be the numbers in a fun. */
static int take_small(struct walk *k, int64_t *v)
{
    return ph_etf_int64(&k->in, v) || *v < -MAX_SMALL - 1 || *v > MAX_SMALL ? -1 : 0;
}

/* Two funs are equal if they are of the same code and their free variables are equal; who made them does not matter. */
static int open_fun(struct walk *k, struct frame *f)
{
    struct ph_slice creator;
    const uint8_t *fixed = k->in.p + 1;
    int64_t old[2];

    if (left(k) < 1 + NEW_FUN_FIXED)
        return -1;
    k->in.p += 1 + NEW_FUN_FIXED;
    if (f->keep)
        put(k, 'F', fixed + 4, NEW_FUN_FIXED - 4);
    if (put_atom(k, &k->in) || take_small(k, &old[0]) || take_small(k, &old[1]) ||
        ph_etf_pid(&k->in, &creator) || !leaf_ok(creator))
        return -1;
    if (f->keep)
        ph_w_raw(&k->out, old, sizeof old);
    else
        k->out.len = f->start;
    f->left = (uint64_t)fixed[25] << 24 | (uint64_t)fixed[26] << 16 | (uint64_t)fixed[27] << 8 | fixed[28];
    return push_frame(k, *f);
}

static int walk_term(struct walk *k, bool keep)
{
    struct frame f = {.kind = FRAME_TERMS, .keep = keep, .start = k->out.len};

    if (left(k) == 0)
        return -1;
    switch (k->in.p[0]) {
    case ERL_SMALL_TUPLE_EXT:
    case ERL_LARGE_TUPLE_EXT: return open_tuple(k, &f);
    case ERL_MAP_EXT: return open_map(k, &f);
    case ERL_LIST_EXT: return open_list(k, &f);
    case ERL_NEW_FUN_EXT: return open_fun(k, &f);
    default: return walk_ref(k, keep) ? 0 : walk_leaf(k, keep);
    }
}

static int compare_keys(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    size_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
    int order = memcmp(x->p, y->p, n);
    return order != 0 ? order : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

/* marks: key, value, key, value, ..., end of the last value. -1: two keys are equal. */
static int sort_pairs(struct pair *pairs, size_t n, const uint8_t *out, const size_t *marks)
{
    for (size_t i = 0; i < n; i++)
        pairs[i] = (struct pair){out + marks[2 * i], marks[2 * i + 1] - marks[2 * i], marks[2 * i + 2] - marks[2 * i]};
    qsort(pairs, n, sizeof *pairs, compare_keys);
    for (size_t i = 1; i < n; i++)
        if (compare_keys(&pairs[i - 1], &pairs[i]) == 0)
            return -1;
    return 0;
}

static int rewrite_sorted(struct walk *k, const struct pair *pairs, size_t n, size_t from)
{
    uint8_t *sorted = ph_alloc_try(k->out.len - from);
    size_t at = 0;

    if (sorted == NULL)
        return -1;
    for (size_t i = 0; i < n; at += pairs[i++].len)
        memcpy(sorted + at, pairs[i].p, pairs[i].len);
    memcpy(k->out.buf + from, sorted, at);
    ph_free(sorted);
    return 0;
}

/* All of the map is walked. */
static int close_map(struct walk *k, const struct frame *f)
{
    if (push_mark(k) || k->out.failed)
        return -1;
    const size_t *marks = k->marks + f->marks;
    size_t n = (k->nmarks - f->marks) / 2;
    struct pair *pairs = ph_alloc_try(n * sizeof *pairs);
    int rc = pairs == NULL ? -1 : sort_pairs(pairs, n, k->out.buf, marks);

    if (rc == 0 && f->keep)
        rc = rewrite_sorted(k, pairs, n, marks[0]);
    ph_free(pairs);
    k->nmarks = f->marks;
    if (!f->keep)
        k->out.len = f->start;
    return rc;
}

/* The next term of the innermost frame, which has one. The frame of a list is gone before its tail is walked, so that
 * a list does not get deeper by being encoded in pieces. */
static int walk_next(struct walk *k)
{
    struct frame *f = &k->frames[k->nframes - 1];
    bool keep = f->keep;

    if (f->kind == FRAME_MAP) {
        keep = keep || f->left % 2 == 0;
        if (push_mark(k))
            return -1;
    } else if (f->kind == FRAME_LIST) {
        if (f->left == 1)
            k->nframes--;
        else if (keep)
            put(k, 'c', NULL, 0);
    }
    f->left--;
    return walk_term(k, keep);
}

static int walk_all(struct walk *k)
{
    if (walk_term(k, false))
        return -1;
    while (k->nframes > 0) {
        struct frame f = k->frames[k->nframes - 1];
        if (f.left > 0) {
            if (walk_next(k))
                return -1;
        } else {
            k->nframes--;
            if (f.kind == FRAME_MAP && close_map(k, &f))
                return -1;
        }
    }
    return k->out.failed ? -1 : 0;
}

static int walk_and_free(struct walk *k)
{
    ph_wbuf_init(&k->out, NULL);
    int rc = walk_all(k);
    ph_wbuf_free(&k->out);
    ph_free(k->frames);
    ph_free(k->marks);
    return rc;
}

int ph_canon_skip(struct ph_cur *c)
{
    struct walk k = {.in = *c, .max_frames = MAX_DEPTH};
    if (walk_and_free(&k))
        return -1;
    c->p = k.in.p;
    return 0;
}

int ph_canon_raw(struct ph_cur *c, struct ph_slice *out)
{
    struct walk k = {.in = *c, .keys = true, .max_frames = MAX_DEPTH};
    if (walk_and_free(&k))
        return -1;
    *out = (struct ph_slice){c->p, (size_t)(k.in.p - c->p)};
    c->p = k.in.p;
    return 0;
}

bool ph_canon_is_term(struct ph_slice etf)
{
    struct ph_cur c = {etf.p, etf.p + etf.len};
    struct ph_slice term;
    return ph_canon_raw(&c, &term) == 0 && c.p == c.end;
}

int ph_canon_check_keys(const struct ph_wbuf *w, size_t len, size_t nrefs)
{
    struct walk k = {.in = {w->buf + len, w->buf + w->len},
                     .base = w->buf,
                     .ref = w->refs + nrefs,
                     .ref_end = w->refs + w->nrefs,
                     .keys = true,
                     .max_frames = SIZE_MAX};
    return walk_and_free(&k) == 0 && k.in.p == k.in.end ? 0 : -1;
}
