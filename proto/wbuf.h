/* SPDX-License-Identifier: Apache-2.0 */
/* Building one outgoing term: bytes, with references to large binaries in between that are not copied.
 * A wbuf is used by one thread; it is reused (reset) rather than freed. Its bytes are what goes on the wire but for the
 * frame length: `buf` with each ref's bytes inserted at its position. Appending functions never fail to the caller: on lack
 * of memory they set `failed`, which the committer checks. */
#ifndef PH_WBUF_H
#define PH_WBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ph_wref {
    size_t at;         /* offset in buf before which the bytes go */
    const void *p;
    size_t len;
    void *owner;       /* a reference held by the wbuf; released by its release function */
};

struct ph_wbuf {
    uint8_t *buf;
    size_t len, cap;
    struct ph_wref *refs;
    size_t nrefs, cap_refs, ref_bytes;
    void (*release)(void *owner);
    bool failed;
};

void ph_wbuf_init(struct ph_wbuf *w, void (*release)(void *owner));
void ph_wbuf_free(struct ph_wbuf *w);
void ph_wbuf_truncate(struct ph_wbuf *w, size_t len, size_t nrefs);     /* back to an earlier len and nrefs, releasing later refs */
uint8_t *ph_w_grow(struct ph_wbuf *w, size_t len);                      /* for ph_w_reserve */

/* Empties it, releasing its refs, keeps the memory. */
static inline void ph_wbuf_reset(struct ph_wbuf *w)
{
    if (w->nrefs)
        ph_wbuf_truncate(w, 0, 0);
    w->len = 0;
    w->failed = false;
}

static inline size_t ph_wbuf_total(const struct ph_wbuf *w)
{
    return w->len + w->ref_bytes;
}

/* Room for len bytes at the end, not yet counted; NULL if failed. */
static inline uint8_t *ph_w_reserve(struct ph_wbuf *w, size_t len)
{
    return !w->failed && w->cap - w->len >= len && w->buf ? w->buf + w->len : ph_w_grow(w, len);
}

static inline void ph_w_raw(struct ph_wbuf *w, const void *p, size_t len)
{
    uint8_t *out = ph_w_reserve(w, len);
    if (!out || len == 0)
        return;
    memcpy(out, p, len);
    w->len += len;
}

void ph_w_version(struct ph_wbuf *w);                                   /* 131 */
void ph_w_tuple(struct ph_wbuf *w, uint32_t arity);
void ph_w_map(struct ph_wbuf *w, uint32_t pairs);
void ph_w_list(struct ph_wbuf *w, uint32_t n);                          /* header only; n = 0 writes nil */
void ph_w_nil(struct ph_wbuf *w);
void ph_w_atom(struct ph_wbuf *w, const char *utf8);                    /* at most 255 code points */
void ph_w_atom_len(struct ph_wbuf *w, const char *utf8, size_t len);
void ph_w_bool(struct ph_wbuf *w, bool v);
void ph_w_int(struct ph_wbuf *w, int64_t v);
void ph_w_uint(struct ph_wbuf *w, uint64_t v);
void ph_w_double(struct ph_wbuf *w, double v);                          /* not finite, which no term can be: failed */
void ph_w_binary(struct ph_wbuf *w, const void *p, size_t len);         /* header and a copy */
void ph_w_string(struct ph_wbuf *w, const void *p, size_t len);         /* a list of bytes: nil, STRING_EXT, or LIST_EXT from 65536 on */
/* The same bytes as list cells. nil_follows: the list ends there, nil is included (this is ph_w_string). Otherwise the caller
 * writes the tail next; no bytes (len = 0) write nothing, and the tail is the whole. */
void ph_w_bytes_open(struct ph_wbuf *w, const void *p, size_t len, bool nil_follows);
void ph_w_binary_ref(struct ph_wbuf *w, const void *p, size_t len, void *owner); /* header and a ref; takes the caller's reference to owner */
void ph_w_raw_ref(struct ph_wbuf *w, const void *p, size_t len, void *owner);    /* the same without header: encoded terms, or their parts */

#endif
