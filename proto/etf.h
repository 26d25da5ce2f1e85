/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded reading of the external term format: a cursor over bytes from outside. Every function
 * checks the bytes it needs before it looks at them (ei does not), then lets ei decode what is there.
 * Pure functions, any thread. Unless said otherwise: 0 on success with the cursor moved behind the term,
 * -1 if the next term is not of that type or the bytes are malformed or end too early, the cursor unmoved. */
#ifndef PH_ETF_H
#define PH_ETF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ph_cur {
    const uint8_t *p;
    const uint8_t *end;
};

/* A piece of the bytes read: borrowed, valid as long as they are. */
struct ph_slice {
    const uint8_t *p;
    size_t len;
};

/* Passes one whole well-formed term of any type, nested at most max_depth and PH_ETF_DEPTH_MAX deep (an atom has depth 1).
 * Iterative, and takes memory only for what is nested over 1024 deep; reads nothing outside the cursor. Knows every tag that OTP 25 to 27 writes:
 * all atoms, integers, both floats, binaries, bit strings (last-byte bits 1..8), lists, string, nil, tuples, maps
 * (an even number of terms; equal keys are not looked for), pids, ports, references, funs, exports. Not: compressed terms, the atom cache. */
#define PH_ETF_DEPTH_MAX 5000u
int ph_etf_skip(struct ph_cur *c, unsigned max_depth);

/* Same, as deep as can be, and the slice gets its encoded bytes (no leading 131). */
int ph_etf_raw(struct ph_cur *c, struct ph_slice *out);

/* Whether the term was passed but for its depth, as far as it is no deeper. */
bool ph_etf_is_deeper(struct ph_cur c, unsigned max_depth);

static inline int ph_etf_version(struct ph_cur *c) /* the leading 131 */
{
    if (c->p == c->end || *c->p != 131)
        return -1;
    c->p++;
    return 0;
}

int ph_etf_tuple(struct ph_cur *c, uint32_t *arity);
int ph_etf_map(struct ph_cur *c, uint32_t *pairs);
/* The header of a LIST_EXT, or nil (n = 0, and no tail follows), but not STRING_EXT. After n elements a tail follows. */
int ph_etf_list(struct ph_cur *c, uint32_t *n);
int ph_etf_nil(struct ph_cur *c);
/* The atom's text as UTF-8 in buf (NUL-terminated, cap at least 1021); Latin-1 encodings are converted. *len without the NUL. */
int ph_etf_atom(struct ph_cur *c, char *buf, size_t cap, size_t *len);
/* Passes an atom equal to the ASCII text. */
int ph_etf_is_atom(struct ph_cur *c, const char *text);
int ph_etf_int64(struct ph_cur *c, int64_t *v);   /* small, integer or big that fits */
int ph_etf_uint64(struct ph_cur *c, uint64_t *v); /* not negative, fits */
int ph_etf_bool(struct ph_cur *c, bool *v);
int ph_etf_binary(struct ph_cur *c, struct ph_slice *out);
int ph_etf_pid(struct ph_cur *c, struct ph_slice *out); /* the encoded pid; both pid encodings, the node atom well-formed */
int ph_etf_ref(struct ph_cur *c, struct ph_slice *out); /* the encoded reference, any encoding */

/* Flat text: a binary, a string, or a list of bytes 0..255, or an atom (its UTF-8) if atom_ok.
 * Copied into a new malloc'd NUL-terminated *text (owned by the caller, *len without the NUL). -2: it holds a NUL byte. PH_ETF_NO_MEMORY: the cursor has moved.
 * List elements over 255 (code points) are encoded as UTF-8 only if the whole is a proper list of code points. */
#define PH_ETF_NO_MEMORY (-3)
int ph_etf_text(struct ph_cur *c, bool atom_ok, char **text, size_t *len);

/* iodata. ph_iodata_each walks it in order, calling `bytes` for runs from strings and list integers and `binary` for every
 * binary (also empty ones); either may be NULL. Fails (-1) if it is not iodata; -2 if the only fault is a bit string. */
struct ph_iodata_sink {
    void (*bytes)(void *arg, const uint8_t *p, size_t len);
    void (*binary)(void *arg, const uint8_t *p, size_t len);
    void *arg;
};
int ph_iodata_each(struct ph_cur *c, const struct ph_iodata_sink *sink);
int ph_iodata_size(struct ph_cur c, size_t *size); /* cursor by value: does not move */

#endif
