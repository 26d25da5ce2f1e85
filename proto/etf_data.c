/* SPDX-License-Identifier: Apache-2.0 */
/* Text and iodata, the two kinds of data that may come in several shapes of term; the contract is in etf.h. Looks at
 * bytes only through the bounded functions of etf.c, but for tags and strings. */
#include "etf.h"

#include <ei.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LEVELS 1024u /* lists open at once: more than any frame may nest */

static uint8_t tag(const struct ph_cur *c)
{
    return c->p < c->end ? c->p[0] : 0;
}

static int string_ext(struct ph_cur *c, struct ph_slice *out)
{
    struct ph_cur q = *c;

    if (tag(c) != ERL_STRING_EXT || ph_etf_skip(&q, 1))
        return -1;
    *out = (struct ph_slice){c->p + 3, (size_t)(q.p - c->p) - 3};
    c->p = q.p;
    return 0;
}

static size_t put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(0xf00u >> len | c);
    return len;
}

/* A proper list of n code points, of which the first is next. Two passes: whether they are bytes is only
 * known after the last. Writes to out (room for 4 bytes each) if it is not NULL. */
static int list_text(struct ph_cur *c, uint32_t n, bool *wide, uint8_t *out, size_t *len)
{
    uint64_t v;

    *len = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (ph_etf_uint64(c, &v) || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
            return -1;
        if (out == NULL)
            *wide |= v > 255;
        else if (*wide)
            *len += put_utf8(out + *len, (uint32_t)v);
        else
            out[(*len)++] = (uint8_t)v;
    }
    return n == 0 ? 0 : ph_etf_nil(c);
}

static char *new_text(const void *p, size_t len)
{
    char *text = malloc(len + 1);

    if (text != NULL) {
        memcpy(text, p, len);
        text[len] = '\0';
    }
    return text;
}

static int text_from_list(struct ph_cur *c, char **text, size_t *len)
{
    struct ph_cur q;
    uint32_t n;
    bool wide = false;

    if (ph_etf_list(c, &n))
        return -1;
    q = *c;
    if (list_text(&q, n, &wide, NULL, len))
        return -1;
    uint8_t *out = malloc((wide ? 4 : 1) * (size_t)n + 1);
    if (out == NULL)
        return PH_ETF_NO_MEMORY;
    int rc = list_text(c, n, &wide, out, len);
    out[*len] = '\0';
    *text = (char *)out;
    return rc;
}

int ph_etf_text(struct ph_cur *c, bool atom_ok, char **text, size_t *len)
{
    struct ph_cur q = *c;
    struct ph_slice s;
    char atom[MAXATOMLEN_UTF8];
    int rc = 0;

    *text = NULL;
    if (ph_etf_binary(&q, &s) == 0 || string_ext(&q, &s) == 0) {
        *len = s.len;
        *text = new_text(s.p, s.len);
    } else if (atom_ok && ph_etf_atom(&q, atom, sizeof atom, len) == 0) {
        *text = new_text(atom, *len);
    } else {
        rc = text_from_list(&q, text, len);
    }
    if (rc == -1)
        return -1;
    if (*text == NULL) {
        ph_etf_skip(c, MAX_LEVELS);
        return PH_ETF_NO_MEMORY;
    }
    if (memchr(*text, '\0', *len) != NULL) {
        free(*text);
        *text = NULL;
        return -2;
    }
    c->p = q.p;
    return 0;
}

struct iodata_walk {
    const struct ph_iodata_sink *sink;
    bool bits; /* a bit string was met: the only fault that does not end the walk */
    size_t nrun;
    uint8_t run[256]; /* list integers not given to the sink yet */
};

static void flush_run(struct iodata_walk *w)
{
    if (w->nrun > 0 && w->sink->bytes != NULL)
        w->sink->bytes(w->sink->arg, w->run, w->nrun);
    w->nrun = 0;
}

static int byte(struct iodata_walk *w, struct ph_cur *c)
{
    uint64_t v;

    if (ph_etf_uint64(c, &v) || v > 255)
        return -1;
    if (w->nrun == sizeof w->run)
        flush_run(w);
    w->run[w->nrun++] = (uint8_t)v;
    return 0;
}

/* A binary, a string, or (noted, and passed) a bit string. */
static int piece(struct iodata_walk *w, struct ph_cur *c)
{
    struct ph_slice s;

    flush_run(w);
    if (ph_etf_binary(c, &s) == 0) {
        if (w->sink->binary != NULL)
            w->sink->binary(w->sink->arg, s.p, s.len);
    } else if (string_ext(c, &s) == 0) {
        if (w->sink->bytes != NULL && s.len > 0)
            w->sink->bytes(w->sink->arg, s.p, s.len);
    } else if (tag(c) == ERL_BIT_BINARY_EXT && ph_etf_skip(c, 1) == 0) {
        w->bits = true;
    } else {
        return -1;
    }
    return 0;
}

static int iodata_walk(struct iodata_walk *w, struct ph_cur *c)
{
    uint64_t todo[MAX_LEVELS + 1]; /* elements and tail still to come of each open list */
    unsigned level = 0;
    uint32_t n;

    todo[0] = 1; /* iodata itself is like a tail: anything but an integer */
    for (;;) {
        while (todo[level] == 0) {
            if (level == 0)
                return 0;
            level--;
        }
        todo[level]--;
        if (todo[level] > 0 && byte(w, c) == 0)
            continue;
        if (ph_etf_list(c, &n)) {
            if (piece(w, c))
                return -1;
        } else if (n > 0) {
            if (level == MAX_LEVELS)
                return -1;
            todo[++level] = (uint64_t)n + 1;
        }
    }
}

int ph_iodata_each(struct ph_cur *c, const struct ph_iodata_sink *sink)
{
    struct iodata_walk w;
    struct ph_cur q = *c;

    w.sink = sink;
    w.bits = false;
    w.nrun = 0;
    if (iodata_walk(&w, &q))
        return -1;
    flush_run(&w);
    if (w.bits)
        return -2;
    c->p = q.p;
    return 0;
}

static void add_size(void *arg, const uint8_t *p, size_t len)
{
    (void)p;
    *(size_t *)arg += len;
}

int ph_iodata_size(struct ph_cur c, size_t *size)
{
    const struct ph_iodata_sink sink = {add_size, add_size, size};

    *size = 0;
    return ph_iodata_each(&c, &sink);
}
