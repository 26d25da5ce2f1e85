/* SPDX-License-Identifier: Apache-2.0 */
/* A driver term specification as bytes, so that a test can say it from Erlang, and its way back into words and pointers.
 * For the test driver term_probe_drv and the test program term_build_port, which give it what a word needs (struct ts_env).
 * tests/parity/term_cases.erl writes these bytes. Items, integers big endian:
 *
 *   0 Word:64                 the word itself
 *   1 Len:32 Bytes            a pointer to Bytes, in memory of exactly that size, so that a checker sees a read beyond it
 *   2 Len:32 Bytes            a driver binary with these bytes
 *   3 Len:16 Bytes            the atom of this Latin-1 text
 *   4, 5, 6                   the port, the caller, the connected process
 */
#ifndef TERM_SPEC_H
#define TERM_SPEC_H

#include <erl_driver.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct ts_env {
    ErlDrvTermData (*atom)(char *latin1);
    ErlDrvBinary *(*binary)(ErlDrvSizeT size);
    void (*release)(ErlDrvBinary *b);
    ErlDrvTermData port, caller, connected;
};

/* Every word has a slot in `owned` for what was allocated for it; `is_bin` says which kind. */
struct term_spec {
    ErlDrvTermData *words;
    void **owned;
    unsigned char *is_bin;
    int n;
};

static inline uint64_t ts_number(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static inline size_t ts_item_size(const unsigned char *p, size_t left)
{
    size_t size = 1;
    switch (p[0]) {
    case 0: size = 9; break;
    case 1:
    case 2: size = left < 5 ? left + 1 : 5 + (size_t)ts_number(p + 1, 4); break;
    case 3: size = left < 3 ? left + 1 : 3 + (size_t)ts_number(p + 1, 2); break;
    case 4:
    case 5:
    case 6: break;
    default: return 0;
    }
    return size > left ? 0 : size;
}

static inline void ts_read_item(struct term_spec *s, const struct ts_env *env, const unsigned char *p, size_t size)
{
    int i = s->n++;
    char name[65536];
    switch (p[0]) {
    case 0: s->words[i] = (ErlDrvTermData)ts_number(p + 1, 8); break;
    case 1:
        s->owned[i] = malloc(size > 5 ? size - 5 : 1);
        memcpy(s->owned[i], p + 5, size - 5);
        s->words[i] = (ErlDrvTermData)s->owned[i];
        break;
    case 2:
        s->owned[i] = env->binary((ErlDrvSizeT)(size - 5));
        s->is_bin[i] = 1;
        memcpy(((ErlDrvBinary *)s->owned[i])->orig_bytes, p + 5, size - 5);
        s->words[i] = (ErlDrvTermData)s->owned[i];
        break;
    case 3:
        memcpy(name, p + 3, size - 3);
        name[size - 3] = '\0';
        s->words[i] = env->atom(name);
        break;
    case 4: s->words[i] = env->port; break;
    case 5: s->words[i] = env->caller; break;
    default: s->words[i] = env->connected; break;
    }
}

/* 0, or -1 if the bytes are not items (then there is nothing to free). */
static inline int ts_read(struct term_spec *s, const struct ts_env *env, const unsigned char *p, size_t len)
{
    size_t at, size, items = 0;
    for (at = 0; at < len; at += size, items++)
        if ((size = ts_item_size(p + at, len - at)) == 0)
            return -1;
    s->n = 0;
    s->words = calloc(items + 1, sizeof *s->words);
    s->owned = calloc(items + 1, sizeof *s->owned);
    s->is_bin = calloc(items + 1, 1);
    for (at = 0; at < len; at += ts_item_size(p + at, len - at))
        ts_read_item(s, env, p + at, ts_item_size(p + at, len - at));
    return 0;
}

/* References to the binaries of the specification beyond the specification's own. */
static inline long ts_extra_refs(const struct term_spec *s, ErlDrvSInt (*refc)(ErlDrvBinary *))
{
    long extra = 0;
    for (int i = 0; i < s->n; i++)
        if (s->is_bin[i])
            extra += (long)refc(s->owned[i]) - 1;
    return extra;
}

static inline void ts_free(struct term_spec *s, const struct ts_env *env)
{
    for (int i = 0; i < s->n; i++) {
        if (s->is_bin[i])
            env->release(s->owned[i]);
        else
            free(s->owned[i]);
    }
    free(s->words);
    free(s->owned);
    free(s->is_bin);
}

#endif
