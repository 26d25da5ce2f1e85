/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how arguments become terms and numbers. Called by the commands, the steps and the shell. */
#include "args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "term/utf8.h"

struct ph_args ph_args_of_argv(char **argv)
{
    return (struct ph_args){.argv = argv};
}

struct ph_args ph_args_of_line(const char *line, size_t len, unsigned number)
{
    return (struct ph_args){.line = line, .at = line, .end = line + len, .line_number = number};
}

void ph_args_complain(const struct ph_args *a, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (a->argv)
        ph_complain("%s", text);
    else
        ph_complain("stdin:%u: %s", a->line_number, text);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blank(struct ph_args *a)
{
    while (a->at < a->end && is_blank(*a->at))
        a->at++;
}

struct ph_text ph_args_word(struct ph_args *a)
{
    if (a->argv)
        return ph_args_rest(a);
    skip_blank(a);
    struct ph_text t = {a->at, 0};
    while (a->at < a->end && !is_blank(*a->at))
        a->at++;
    t.len = (size_t)(a->at - t.p);
    return t.len ? t : (struct ph_text){0};
}

struct ph_text ph_args_rest(struct ph_args *a)
{
    struct ph_text t = {0};
    if (a->argv) {
        if (*a->argv)
            t = (struct ph_text){*a->argv, strlen(*a->argv)};
        a->argv += t.p != NULL;
        return t;
    }
    skip_blank(a);
    t = (struct ph_text){a->at, (size_t)(a->end - a->at)};
    while (t.len > 0 && is_blank(t.p[t.len - 1]))
        t.len--;
    a->at = a->end;
    return t.len ? t : (struct ph_text){0};
}

struct ph_text ph_args_peek(const struct ph_args *a)
{
    struct ph_args ahead = *a;
    return ph_args_word(&ahead);
}

bool ph_args_left(const struct ph_args *a)
{
    return ph_args_peek(a).p != NULL;
}

bool ph_text_is(struct ph_text t, const char *s)
{
    return t.p && strlen(s) == t.len && memcmp(t.p, s, t.len) == 0;
}

bool ph_text_number(struct ph_text t, uint64_t max, uint64_t *v)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < t.len; i++) {
        unsigned d = (unsigned)(t.p[i] - '0');
        if (d > 9 || sum > (max - d) / 10)
            return false;
        sum = sum * 10 + d;
    }
    *v = sum;
    return t.len > 0;
}

bool ph_args_number(struct ph_args *a, const char *what, uint64_t max, uint64_t *v)
{
    struct ph_text t = ph_args_word(a);
    if (!t.p)
        ph_args_complain(a, "%s is missing", what);
    else if (ph_text_number(t, max, v))
        return true;
    else
        ph_args_complain(a, "%s: expected a number from 0 to %llu, found %.*s", what, (unsigned long long)max, (int)t.len, t.p);
    return false;
}

/* ---- terms ---- */

/* The place of an error is shown in the whole line, if there is one. */
static void show_error(const struct ph_args *a, const char *what, struct ph_text t, struct ph_term_error *err)
{
    if (a->argv) {
        ph_complain("%s is no term", what);
        ph_term_error_print(stderr, what, 0, t.p, t.len, err);
        return;
    }
    err->offset += (size_t)(t.p - a->line);
    for (const char *p = a->line; err->line == 1 && p < t.p; p++)
        err->column += ((uint8_t)*p & 0xc0) != 0x80;
    ph_term_error_print(stderr, "stdin", a->line_number - 1, a->line, (size_t)(a->end - a->line), err);
}

static bool missing(const struct ph_args *a, const char *what, struct ph_text t)
{
    if (!t.p)
        ph_args_complain(a, "%s is missing", what);
    return !t.p;
}

static bool read_term(struct ph_args *a, const char *what, struct ph_text t, struct ph_wbuf *w)
{
    struct ph_term_error err;
    if (ph_term_read(t.p, t.len, PH_TERM_LIMITS, w, &err) == 0)
        return true;
    show_error(a, what, t, &err);
    return false;
}

bool ph_args_term(struct ph_args *a, const char *what, struct ph_wbuf *w)
{
    struct ph_text t = ph_args_rest(a);
    return !missing(a, what, t) && read_term(a, what, t, w);
}

bool ph_args_term_word(struct ph_args *a, const char *what, struct ph_wbuf *w)
{
    struct ph_args ahead = *a;
    struct ph_text t = ph_args_rest(&ahead);
    struct ph_term_error err;
    size_t used;
    if (a->argv)
        return ph_args_term(a, what, w);
    if (missing(a, what, t))
        return false;
    if (ph_term_read_prefix(t.p, t.len, PH_TERM_LIMITS, w, &err, &used) < 0) {
        show_error(a, what, t, &err);
        return false;
    }
    a->at = t.p + used;
    return true;
}

/* ---- data ---- */

/* All of a stream as a binary. 0 or an errno. */
static int read_all(FILE *f, struct ph_wbuf *w)
{
    char *buf = NULL;
    size_t len = 0, cap = 0, n;
    do {
        if (cap - len < 65536) {
            cap = cap ? cap * 2 : 131072;
            char *bigger = realloc(buf, cap);
            if (!bigger) {
                free(buf);
                return ENOMEM;
            }
            buf = bigger;
        }
        n = fread(buf + len, 1, cap - len, f);
        len += n;
    } while (n > 0 && len <= PH_TERM_LIMITS.max_bytes);
    int err = ferror(f) ? errno : len > PH_TERM_LIMITS.max_bytes ? EFBIG : 0;
    if (!err)
        ph_w_binary(w, buf, len);
    free(buf);
    return err;
}

static bool read_stream(struct ph_args *a, const char *what, struct ph_text t, struct ph_wbuf *w)
{
    char *path = strndup(t.p + 1, t.len - 1);
    bool from_stdin = t.len == 1 && *t.p == '-';
    FILE *f = from_stdin ? stdin : path ? fopen(path, "rbe") : NULL;
    int err = f ? read_all(f, w) : errno;
    if (f && !from_stdin)
        fclose(f);
    if (err)
        ph_args_complain(a, "%s: %s: %s", what, from_stdin ? "stdin" : path ? path : "", strerror(err));
    free(path);
    return err == 0;
}

static bool read_iodata(struct ph_args *a, const char *what, struct ph_text t, struct ph_wbuf *w)
{
    size_t begin = w->len, size;
    if (!read_term(a, what, t, w))
        return false;
    struct ph_cur c = {w->buf + begin, w->buf + w->len};
    if (ph_iodata_size(c, &size) == 0)
        return true;
    ph_args_complain(a, "%s: this term is not iodata (a binary, or a list of bytes, binaries and such lists)", what);
    return false;
}

bool ph_args_data(struct ph_args *a, const char *what, struct ph_wbuf *w)
{
    static const char prefix[] = "term:";
    struct ph_text t = ph_args_rest(a);
    size_t n = sizeof prefix - 1;
    if (missing(a, what, t))
        return false;
    if (t.len >= n && memcmp(t.p, prefix, n) == 0)
        return read_iodata(a, what, (struct ph_text){t.p + n, t.len - n}, w);
    if (t.len > 0 && t.p[0] == '@')
        return read_stream(a, what, t, w);
    if (ph_text_is(t, "-") && a->argv)
        return read_stream(a, what, t, w);
    ph_w_binary(w, t.p, t.len);
    return true;
}
