/* SPDX-License-Identifier: Apache-2.0 */
/* The log: owns the level, and what a line looks like. Called from any thread, also under locks: it takes none and does
 * not allocate. A line is one write(2), so lines of several threads do not mix. Not for signal handlers (it formats). */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static const char *const level_names[] = {
    [PH_LOG_ERROR] = "error", [PH_LOG_WARNING] = "warning", [PH_LOG_NOTICE] = "notice",
    [PH_LOG_INFO] = "info",   [PH_LOG_DEBUG] = "debug",
};
#define LEVELS (sizeof level_names / sizeof level_names[0])

/* Relaxed: a thread may learn of a new level a few lines late. */
static atomic_int log_level = PH_LOG_NOTICE;

void ph_log_set_level(enum ph_log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

enum ph_log_level ph_log_level(void)
{
    return (enum ph_log_level)atomic_load_explicit(&log_level, memory_order_relaxed);
}

const char *ph_log_level_name(enum ph_log_level level)
{
    return level_names[level];
}

int ph_log_parse_level(const char *name, enum ph_log_level *level)
{
    for (size_t i = 0; i < LEVELS; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum ph_log_level)i;
            return 0;
        }
    }
    return -1;
}

bool ph_log_wants(enum ph_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

static void write_all(const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, p, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* nobody to tell */
        }
        p += n;
        len -= (size_t)n;
    }
}

/* Texts hold names that came from clients and drivers: those must not be able to forge a line or drive a terminal. */
static void hide_control_bytes(char *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f) {
            p[i] = '?';
        }
    }
}

static size_t clip(int written, size_t room)
{
    if (written < 0) {
        return 0;
    }
    return (size_t)written < room ? (size_t)written : room - 1;
}

static void log_line(enum ph_log_level level, const char *where, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void log_line(enum ph_log_level level, const char *where, const char *fmt, va_list ap)
{
    char line[LINE_MAX_BYTES];
    size_t room = sizeof line - 1; /* for the newline */
    const char *name = level_names[level];
    int n = where == NULL ? snprintf(line, room, "%s ", name) : snprintf(line, room, "%s [%s] ", name, where);
    size_t len = clip(n, room);
    len += clip(vsnprintf(line + len, room - len, fmt, ap), room - len);
    hide_control_bytes(line, len);
    line[len++] = '\n';
    write_all(line, len);
}

void ph_log(enum ph_log_level level, const char *where, const char *fmt, ...)
{
    if (!ph_log_wants(level)) {
        return;
    }
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    log_line(level, where, fmt, ap);
    va_end(ap);
    errno = saved;
}

_Noreturn void ph_fatal(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_line(PH_LOG_ERROR, "fatal", fmt, ap);
    va_end(ap);
    abort();
}
