/* SPDX-License-Identifier: Apache-2.0 */
/* Driver terms (daemon/term/build.h). The input is a program that makes a specification whose pointers are valid, as a driver must; all else about it may be wrong.
 * What is built must be one well-formed term without equal keys. */
#include <erl_driver.h>
#include <string.h>

#include "base/bin.h"
#include "fuzz.h"
#include "term/build.h"
#include "term/canon.h"
#include "term/words.h"

#define MAX_WORDS 512
#define TAGS 18

struct maker {
    const uint8_t *p, *end;
    ErlDrvTermData words[MAX_WORDS + 8];
    void *memory[MAX_WORDS + 8];
    ErlDrvBinary *bins[MAX_WORDS + 8];
    int n, nmemory, nbins;
};

static void put(struct maker *m, ErlDrvTermData word)
{
    m->words[m->n++] = word;
}

/* So many bytes of the input, or what is left, in memory of their size. */
static void *take(struct maker *m, size_t *len)
{
    size_t left = (size_t)(m->end - m->p);
    if (*len > left)
        *len = left;
    void *p = malloc(*len ? *len : 1);
    FUZZ_ASSERT(p);
    memcpy(p, m->p, *len);
    m->p += *len;
    return m->memory[m->nmemory++] = p;
}

static ErlDrvTermData pointer_to_8(struct maker *m)
{
    size_t len = 8;
    uint8_t eight[8] = {0};
    void *p = take(m, &len);
    memcpy(eight, p, len);
    p = m->memory[m->nmemory++] = malloc(8);
    FUZZ_ASSERT(p);
    memcpy(p, eight, 8);
    return (ErlDrvTermData)p;
}

static void put_bytes(struct maker *m)
{
    size_t len = fuzz_byte(&m->p, m->end);
    void *p = take(m, &len);
    put(m, (ErlDrvTermData)p);
    put(m, len);
}

static ErlDrvTermData number(struct maker *m)
{
    static const ErlDrvTermData edges[] = {UINT64_MAX, INT64_MAX, (ErlDrvTermData)INT64_MIN, UINT32_MAX, INT32_MAX, (ErlDrvTermData)INT32_MIN, 1 << 27, 65536};
    uint8_t b = fuzz_byte(&m->p, m->end);
    return b >= 248 ? edges[b - 248] : b;
}

static void put_binary(struct maker *m)
{
    size_t len = fuzz_byte(&m->p, m->end);
    ErlDrvBinary *b = ph_bin_new(len);
    const void *p = take(m, &len);
    FUZZ_ASSERT(b);
    memset(b->orig_bytes, 0, (size_t)b->orig_size);
    memcpy(b->orig_bytes, p, len);
    m->bins[m->nbins++] = b;
    put(m, (ErlDrvTermData)b);
    put(m, number(m));
    put(m, number(m));
}

static ErlDrvTermData atom(struct maker *m)
{
    char name[2] = {(char)fuzz_byte(&m->p, m->end), 'x'};
    return name[0] ? ph_atom_latin1(name, 2) : number(m);
}

static ErlDrvTermData pid(struct maker *m)
{
    static const uint8_t etf[] = "\x58\x77\x03" "a@b" "\0\0\0\1\0\0\0\0\0\0\0\1";
    ErlDrvTermData word;
    FUZZ_ASSERT(ph_pid_word((struct ph_slice){etf, sizeof etf - 1}, NULL, &word) == 0);
    return fuzz_byte(&m->p, m->end) ? word : number(m);
}

static void put_item(struct maker *m)
{
    ErlDrvTermData tag = fuzz_byte(&m->p, m->end) % TAGS + 1;
    put(m, tag);
    switch (tag) {
    case ERL_DRV_NIL: break;
    case ERL_DRV_ATOM: put(m, atom(m)); break;
    case ERL_DRV_PORT: put(m, fuzz_byte(&m->p, m->end) ? ph_port_word(1) : number(m)); break;
    case ERL_DRV_PID: put(m, pid(m)); break;
    case ERL_DRV_BINARY: put_binary(m); break;
    case ERL_DRV_STRING:
    case ERL_DRV_STRING_CONS:
    case ERL_DRV_EXT2TERM:
    case ERL_DRV_BUF2BINARY: put_bytes(m); break;
    case ERL_DRV_FLOAT:
    case ERL_DRV_INT64:
    case ERL_DRV_UINT64: put(m, pointer_to_8(m)); break;
    default: put(m, number(m)); break; /* INT, UINT, TUPLE, LIST, MAP, and what is no tag */
    }
}

static void write_port(struct ph_wbuf *w, ErlDrvTermData port)
{
    (void)port;
    ph_w_atom(w, "port");
}

/* All of it in one piece: what the other end would read. */
static void check_term(const struct ph_wbuf *w)
{
    size_t total = ph_wbuf_total(w), at = 0, to = 0;
    uint8_t *flat = malloc(total);
    FUZZ_ASSERT(flat && !w->failed);
    for (size_t i = 0; i < w->nrefs; at = w->refs[i++].at) {
        memcpy(flat + to, w->buf + at, w->refs[i].at - at);
        to += w->refs[i].at - at;
        memcpy(flat + to, w->refs[i].p, w->refs[i].len);
        to += w->refs[i].len;
    }
    memcpy(flat + to, w->buf + at, w->len - at);
    struct ph_cur c = {flat, flat + total};
    FUZZ_ASSERT(ph_canon_skip(&c) == 0 && c.p == c.end);
    FUZZ_ASSERT(ph_canon_check_keys(w, 0, 0) == 0);
    free(flat);
}

static void build(const ErlDrvTermData *words, int n)
{
    struct ph_wbuf w;
    if (ph_build_check(words, n))
        return;
    ph_wbuf_init(&w, ph_bin_unref);
    if (ph_build(&w, words, n, write_port) == 0)
        check_term(&w);
    else
        FUZZ_ASSERT(w.len == 0 && w.nrefs == 0 && w.ref_bytes == 0);
    ph_wbuf_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct maker m = {.p = data, .end = data + size};
    int cut = fuzz_byte(&m.p, m.end);
    while (m.p < m.end && m.n < MAX_WORDS)
        put_item(&m);
    m.n -= cut > 250 && m.n > cut - 250 ? cut - 250 : 0;
    size_t bytes = (size_t)m.n * sizeof *m.words;
    ErlDrvTermData *words = malloc(bytes ? bytes : 1); /* of its size */
    FUZZ_ASSERT(words);
    memcpy(words, m.words, bytes);
    build(words, m.n);
    free(words);
    for (int i = 0; i < m.nmemory; i++)
        free(m.memory[i]);
    for (int i = 0; i < m.nbins; i++) {
        FUZZ_ASSERT(ph_bin_refc(m.bins[i]) == 1);
        ph_bin_unref(m.bins[i]);
    }
    return 0;
}
