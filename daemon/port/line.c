/* SPDX-License-Identifier: Apache-2.0 */
/* Line mode: owns the bytes of a port's unfinished line. Called by the port, under its lock.
 *
 * A line ends at LF or CR LF. A CR that ends what was fed so far may be half of a CR LF, so it is held back. A full line is
 * given out as noeol only when a byte more turns up: L bytes and a newline are one whole line. Lines that lie within one
 * feed are given out from there, without a copy. */
#include "port/line.h"

#include <string.h>

#include "base/mem.h"

struct ph_line {
    size_t max;
    size_t len, cap;
    bool cr; /* held back, not in buf */
    char *buf;
};

struct ph_line *ph_line_new(size_t max)
{
    struct ph_line *l = ph_alloc(sizeof *l);
    *l = (struct ph_line){.max = max};
    return l;
}

void ph_line_free(struct ph_line *l)
{
    if (l != NULL) {
        ph_free(l->buf);
        ph_free(l);
    }
}

static int reserve(struct ph_line *l, size_t len)
{
    if (len <= l->cap) {
        return 0;
    }
    size_t cap = l->cap < 64 ? 64 : l->cap;
    while (cap < len) {
        cap *= 2;
    }
    char *buf = ph_realloc_try(l->buf, cap < l->max ? cap : l->max);
    if (buf == NULL) {
        return -1;
    }
    l->buf = buf;
    l->cap = cap < l->max ? cap : l->max;
    return 0;
}

static void give(struct ph_line *l, bool eol, ph_line_emit *emit, void *arg)
{
    size_t len = l->len;
    l->len = 0;
    emit(arg, l->buf == NULL ? "" : l->buf, len, eol);
}

/* Adds bytes that hold no end of line. Without memory for them the line is broken early rather than lost. */
static void add(struct ph_line *l, const char *p, size_t len, ph_line_emit *emit, void *arg)
{
    while (len > 0) {
        if (l->len == l->max) {
            give(l, false, emit, arg);
        }
        size_t n = len < l->max - l->len ? len : l->max - l->len;
        if (l->len == 0 && n < len) {
            emit(arg, p, n, false);
        } else if (reserve(l, l->len + n) == 0) {
            memcpy(l->buf + l->len, p, n);
            l->len += n;
        } else {
            if (l->len > 0) {
                give(l, false, emit, arg);
            }
            emit(arg, p, n, false);
        }
        p += n;
        len -= n;
    }
}

/* A whole line, or what is left of one that does not fit: p[0 .. len) and the newline that follows. */
static void end_line(struct ph_line *l, const char *p, size_t len, ph_line_emit *emit, void *arg)
{
    if (l->len == 0 && len <= l->max) {
        emit(arg, p, len, true);
        return;
    }
    add(l, p, len, emit, arg);
    give(l, true, emit, arg);
}

static void release_cr(struct ph_line *l, ph_line_emit *emit, void *arg)
{
    if (l->cr) {
        l->cr = false;
        add(l, "\r", 1, emit, arg);
    }
}

void ph_line_feed(struct ph_line *l, const char *p, size_t len, ph_line_emit *emit, void *arg)
{
    const char *end = p + len;
    if (p < end && l->cr && *p == '\n') {
        l->cr = false;
        give(l, true, emit, arg);
        p++;
    }
    while (p < end) {
        release_cr(l, emit, arg);
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const char *stop = nl == NULL ? end : nl;
        bool cr = stop > p && stop[-1] == '\r';
        size_t n = (size_t)(stop - p) - cr;
        if (nl != NULL) {
            end_line(l, p, n, emit, arg);
            p = nl + 1;
        } else {
            add(l, p, n, emit, arg);
            l->cr = cr;
            p = end;
        }
    }
}

void ph_line_flush(struct ph_line *l, ph_line_emit *emit, void *arg)
{
    release_cr(l, emit, arg);
    if (l->len > 0) {
        give(l, false, emit, arg);
    }
}
