/* SPDX-License-Identifier: Apache-2.0 */
/* Building outgoing terms; the contract is in wbuf.h. Headers and small integers are written here, values that
 * need thought (big integers, floats) by ei. A failed wbuf ignores everything until it is reset. */
#include "wbuf.h"

#include <arpa/inet.h>
#include <ei.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256u
#define FIRST_REFS 8u
#define STRING_MAX 65535u
#define VERSION_MAGIC 131

void ph_wbuf_init(struct ph_wbuf *w, void (*release)(void *owner))
{
    memset(w, 0, sizeof *w);
    w->release = release;
}

void ph_wbuf_truncate(struct ph_wbuf *w, size_t len, size_t nrefs)
{
    while (w->nrefs > nrefs) {
        struct ph_wref *ref = &w->refs[--w->nrefs];
        w->ref_bytes -= ref->len;
        if (w->release != NULL)
            w->release(ref->owner);
    }
    if (w->len > len)
        w->len = len;
}

void ph_wbuf_free(struct ph_wbuf *w)
{
    ph_wbuf_reset(w);
    free(w->buf);
    free(w->refs);
    ph_wbuf_init(w, w->release);
}

static bool grow(struct ph_wbuf *w, size_t len)
{
    size_t cap = w->cap < FIRST_CAP ? FIRST_CAP : w->cap;

    while (cap - w->len < len) {
        if (cap > SIZE_MAX / 2)
            return false;
        cap *= 2;
    }
    uint8_t *buf = realloc(w->buf, cap);
    if (buf == NULL)
        return false;
    w->buf = buf;
    w->cap = cap;
    return true;
}

uint8_t *ph_w_grow(struct ph_wbuf *w, size_t len)
{
    if (w->failed || !grow(w, len)) {
        w->failed = true;
        return NULL;
    }
    return w->buf + w->len;
}

static void put1(struct ph_wbuf *w, uint8_t b)
{
    ph_w_raw(w, &b, 1);
}

static void put_tag32(struct ph_wbuf *w, uint8_t tag, uint32_t v)
{
    uint8_t b[5] = {tag, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    ph_w_raw(w, b, sizeof b);
}

void ph_w_version(struct ph_wbuf *w)
{
    put1(w, VERSION_MAGIC);
}

void ph_w_tuple(struct ph_wbuf *w, uint32_t arity)
{
    uint8_t b[2] = {ERL_SMALL_TUPLE_EXT, (uint8_t)arity};

    if (arity > UINT8_MAX)
        put_tag32(w, ERL_LARGE_TUPLE_EXT, arity);
    else
        ph_w_raw(w, b, sizeof b);
}

void ph_w_map(struct ph_wbuf *w, uint32_t pairs)
{
    put_tag32(w, ERL_MAP_EXT, pairs);
}

void ph_w_list(struct ph_wbuf *w, uint32_t n)
{
    if (n == 0)
        ph_w_nil(w);
    else
        put_tag32(w, ERL_LIST_EXT, n);
}

void ph_w_nil(struct ph_wbuf *w)
{
    put1(w, ERL_NIL_EXT);
}

void ph_w_atom(struct ph_wbuf *w, const char *utf8)
{
    ph_w_atom_len(w, utf8, strlen(utf8));
}

void ph_w_atom_len(struct ph_wbuf *w, const char *utf8, size_t len)
{
    uint8_t head[3] = {ERL_SMALL_ATOM_UTF8_EXT, (uint8_t)len, 0};
    size_t nhead = 2;

    if (len > UINT8_MAX) {
        head[0] = ERL_ATOM_UTF8_EXT;
        head[1] = (uint8_t)(len >> 8);
        head[2] = (uint8_t)len;
        nhead = 3;
    }
    ph_w_raw(w, head, nhead);
    ph_w_raw(w, utf8, len);
}

void ph_w_bool(struct ph_wbuf *w, bool v)
{
    ph_w_atom(w, v ? "true" : "false");
}

void ph_w_int(struct ph_wbuf *w, int64_t v)
{
    char big[16];
    int n = 0;

    if (v >= 0)
        ph_w_uint(w, (uint64_t)v);
    else if (v >= INT32_MIN)
        put_tag32(w, ERL_INTEGER_EXT, (uint32_t)v);
    else if (ei_encode_longlong(big, &n, v))
        w->failed = true;
    else
        ph_w_raw(w, big, (size_t)n);
}

void ph_w_uint(struct ph_wbuf *w, uint64_t v)
{
    uint8_t small[2] = {ERL_SMALL_INTEGER_EXT, (uint8_t)v};
    char big[16];
    int n = 0;

    if (v <= UINT8_MAX)
        ph_w_raw(w, small, sizeof small);
    else if (v <= INT32_MAX)
        put_tag32(w, ERL_INTEGER_EXT, (uint32_t)v);
    else if (ei_encode_ulonglong(big, &n, v))
        w->failed = true;
    else
        ph_w_raw(w, big, (size_t)n);
}

void ph_w_double(struct ph_wbuf *w, double v)
{
    char b[16];
    int n = 0;

    if (!isfinite(v) || ei_encode_double(b, &n, v))
        w->failed = true;
    else
        ph_w_raw(w, b, (size_t)n);
}

void ph_w_binary(struct ph_wbuf *w, const void *p, size_t len)
{
    uint32_t size = htonl((uint32_t)len);
    uint8_t *out = len > UINT32_MAX ? NULL : ph_w_reserve(w, 5 + len);

    if (out == NULL) {
        w->failed = true;
        return;
    }
    out[0] = ERL_BINARY_EXT;
    memcpy(out + 1, &size, sizeof size);
    if (len > 0)
        memcpy(out + 5, p, len);
    w->len += 5 + len;
}

static void put_cells(struct ph_wbuf *w, const uint8_t *p, size_t len)
{
    uint8_t *out = len > UINT32_MAX ? NULL : ph_w_reserve(w, 5 + 2 * len);

    if (out == NULL) {
        w->failed = true;
        return;
    }
    put_tag32(w, ERL_LIST_EXT, (uint32_t)len);
    out += 5;
    for (size_t i = 0; i < len; i++) {
        *out++ = ERL_SMALL_INTEGER_EXT;
        *out++ = p[i];
    }
    w->len += 2 * len;
}

void ph_w_string(struct ph_wbuf *w, const void *p, size_t len)
{
    uint8_t head[3] = {ERL_STRING_EXT, (uint8_t)(len >> 8), (uint8_t)len};

    if (len == 0 || len > STRING_MAX) {
        if (len != 0)
            put_cells(w, p, len);
        ph_w_nil(w);
        return;
    }
    ph_w_raw(w, head, sizeof head);
    ph_w_raw(w, p, len);
}

void ph_w_bytes_open(struct ph_wbuf *w, const void *p, size_t len, bool nil_follows)
{
    if (nil_follows)
        ph_w_string(w, p, len);
    else if (len != 0)
        put_cells(w, p, len);
}

static bool room_for_ref(struct ph_wbuf *w)
{
    if (w->nrefs < w->cap_refs)
        return true;
    size_t cap = w->cap_refs == 0 ? FIRST_REFS : 2 * w->cap_refs;
    struct ph_wref *refs = realloc(w->refs, cap * sizeof *refs);
    if (refs == NULL)
        return false;
    w->refs = refs;
    w->cap_refs = cap;
    return true;
}

void ph_w_binary_ref(struct ph_wbuf *w, const void *p, size_t len, void *owner)
{
    if (len > UINT32_MAX)
        w->failed = true;
    else
        put_tag32(w, ERL_BINARY_EXT, (uint32_t)len);
    ph_w_raw_ref(w, p, len, owner);
}

void ph_w_raw_ref(struct ph_wbuf *w, const void *p, size_t len, void *owner)
{
    if (w->failed || !room_for_ref(w)) {
        w->failed = true;
        if (w->release != NULL)
            w->release(owner);
        return;
    }
    w->refs[w->nrefs++] = (struct ph_wref){w->len, p, len, owner};
    w->ref_bytes += len;
}
