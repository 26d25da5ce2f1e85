/* SPDX-License-Identifier: Apache-2.0 */
/* What the probe drivers share: the trace and the little language of actions. Included once by each probe driver; it owns no
 * state but the name of the trace file. Any thread.
 *
 * A probe driver does what port_control(Port, 0, "action argument") tells it and answers in text what the driver API returned.
 * What callbacks observe on their own goes, line by line, to the file that the environment variable PH_PROBE_TRACE names: one
 * order for all drivers, threads and ports, that outlives port and driver. Without the variable nothing is traced.
 */
#ifndef PROBE_H
#define PROBE_H

#include <erl_driver.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef PROBE_FLAGS
#define PROBE_FLAGS 0
#endif

#define PROBE_VERSION                                                                                                  \
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER, .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,                  \
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION, .driver_flags = PROBE_FLAGS

/* libc's environment, not erl_drv_getenv: finish and stop_select may not call the driver API. */
__attribute__((format(printf, 1, 2))) static inline void trace(const char *format, ...)
{
    const char *path = getenv("PH_PROBE_TRACE");
    char line[1024];
    va_list args;
    if (!path)
        return;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof line - 2 ? (size_t)n : sizeof line - 2;
    line[len++] = '\n';
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (write(fd, line, len) != (ssize_t)len)
        perror(path);
    close(fd);
}

/* The text that an action answers. */
struct answer {
    char text[4096];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static inline void say(struct answer *a, const char *format, ...)
{
    va_list args;
    if (a->len && a->len < sizeof a->text - 1)
        a->text[a->len++] = ' ';
    va_start(args, format);
    int n = vsnprintf(a->text + a->len, sizeof a->text - a->len, format, args);
    va_end(args);
    if (n > 0)
        a->len = a->len + (size_t)n < sizeof a->text ? a->len + (size_t)n : sizeof a->text - 1;
}

#define PROBE_UNUSED __attribute__((unused))

/* An action's function. arg: the rest of the control data after one space, len bytes and a NUL. */
#define ACTION(name)                                                                                                   \
    static void name(void *self PROBE_UNUSED, char *arg PROBE_UNUSED, size_t len PROBE_UNUSED, struct answer *a PROBE_UNUSED)

struct action {
    const char *name;
    void (*run)(void *self, char *arg, size_t len, struct answer *a);
};

static inline ErlDrvSSizeT answer_give(const struct answer *a, char **rbuf, ErlDrvSizeT rlen)
{
    if (a->len > rlen && !(*rbuf = driver_alloc(a->len)))
        return -1;
    memcpy(*rbuf, a->text, a->len);
    return (ErlDrvSSizeT)a->len;
}

/* Runs the action that the data names; an unknown one is a negative result, hence badarg. The table ends with a NULL name. */
static inline ErlDrvSSizeT act(const struct action *table, void *self, const char *buf, ErlDrvSizeT len, char **rbuf,
                               ErlDrvSizeT rlen)
{
    struct answer a = {.len = 0};
    char *text = driver_alloc(len + 1);
    if (!text)
        return -1;
    memcpy(text, buf, len);
    text[len] = 0;
    size_t word = strcspn(text, " ");
    char *arg = word < len ? text + word + 1 : text + len;
    size_t arglen = word < len ? len - word - 1 : 0;
    ErlDrvSSizeT result = -1;
    for (const struct action *t = table; t->name; t++) {
        if (strlen(t->name) == word && memcmp(t->name, text, word) == 0) {
            t->run(self, arg, arglen, &a);
            result = answer_give(&a, rbuf, rlen);
            break;
        }
    }
    driver_free(text);
    return result;
}

/* A new binary with these bytes; the caller owns the reference. NULL: no memory. */
static inline ErlDrvBinary *bin_of(const char *data, size_t len)
{
    ErlDrvBinary *b = driver_alloc_binary(len);
    if (b)
        memcpy(b->orig_bytes, data, len);
    return b;
}

enum { MAX_PIECES = 32 };

/* A vector whose elements are the parts of "a|b|c", each in a binary of its own ("~a": bytes without a binary), as driver_outputv
 * and driver_enqv take it. vec_free drops its references. */
struct vec {
    SysIOVec iov[MAX_PIECES];
    ErlDrvBinary *binv[MAX_PIECES];
    ErlIOVec ev;
};

static inline void vec_of(struct vec *v, char *text, size_t len)
{
    char *end = text + len;
    int n = 0;
    v->ev.size = 0;
    for (char *p = text; p <= end && n < MAX_PIECES; n++) {
        char *bar = memchr(p, '|', (size_t)(end - p));
        size_t size = (size_t)((bar ? bar : end) - p);
        int bare = size > 0 && *p == '~';
        p += bare;
        size -= (size_t)bare;
        /* Without memory for a binary it is bare. */
        v->binv[n] = bare || size == 0 ? NULL : bin_of(p, size);
        v->iov[n].iov_base = v->binv[n] ? v->binv[n]->orig_bytes : p;
        v->iov[n].iov_len = size;
        v->ev.size += size;
        p += size + 1;
    }
    v->ev.vsize = n;
    v->ev.iov = v->iov;
    v->ev.binv = v->binv;
}

static inline void vec_free(struct vec *v)
{
    for (int i = 0; i < v->ev.vsize; i++)
        if (v->binv[i])
            driver_free_binary(v->binv[i]);
}

#endif
