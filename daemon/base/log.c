/* SPDX-License-Identifier: Apache-2.0 */
/* The log: owns the level, and what a line looks like. Called from any thread, also under locks: it takes none and does
 * not allocate. A line is one write(2), so lines of several threads do not mix; one that cannot be written at once is lost and counted. ph_log is
 * not for signal handlers: it formats. */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define LINE_END_BYTES 8
#define SYSLOG_CRITICAL 2u
#define SYSLOG_ERROR 3u
#define SYSLOG_WARNING 4u

static const char *const level_names[] = {
    [PH_LOG_ERROR] = "error", [PH_LOG_WARNING] = "warning", [PH_LOG_NOTICE] = "notice",
    [PH_LOG_INFO] = "info",   [PH_LOG_DEBUG] = "debug",
};
#define LEVELS (sizeof level_names / sizeof level_names[0])

/* Relaxed: a thread may learn of a new level a few lines late. */
static atomic_int log_level = PH_LOG_NOTICE;
static atomic_bool as_json, with_prefix;

void ph_log_set_level(enum ph_log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

/* systemd says in the environment which stream leads to the journal: stderr may be another by now. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void ph_log_set_format(enum ph_log_format format, enum ph_log_prefix prefix)
{
    bool is = prefix == PH_LOG_PREFIX_ALWAYS || (prefix == PH_LOG_PREFIX_AUTO && stderr_is_journal());
    atomic_store_explicit(&as_json, format == PH_LOG_JSON, memory_order_relaxed);
    atomic_store_explicit(&with_prefix, is, memory_order_relaxed);
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

/* --- a line; nothing here is unfit for a signal handler --- */

struct line {
    size_t n;
    char text[LINE_MAX_BYTES];
};

/* Leaves room for what ends a line. */
static void put_byte(struct line *l, char c)
{
    if (l->n < sizeof l->text - LINE_END_BYTES)
        l->text[l->n++] = c;
}

static void put(struct line *l, const char *s)
{
    for (; *s; s++)
        put_byte(l, *s);
}

static void put_number(struct line *l, uint64_t v, int digits)
{
    char buf[21], *p = buf + sizeof buf - 1;
    *p = '\0';
    for (; v || digits > 0; v /= 10, digits--)
        *--p = (char)('0' + v % 10);
    put(l, p);
}

/* Bytes of the UTF-8 sequence at p, 0 if there is none. */
static unsigned utf8_length(const unsigned char *p)
{
    unsigned n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    for (unsigned i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool no_character = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
    return n > 1 && (overlong || no_character) ? 0 : n;
}

/* Texts hold names that came from clients and drivers: those must not be able to forge a line or drive a terminal. Ends before `end`, if that comes. */
static void put_foreign(struct line *l, const char *s, char end, bool json)
{
    unsigned n;
    for (const unsigned char *p = (const unsigned char *)s; *p && *p != (unsigned char)end; p += n) {
        n = json ? utf8_length(p) : 1;
        bool hidden = *p < 0x20 || *p == 0x7f || n == 0;
        if (l->n + 5 + LINE_END_BYTES > sizeof l->text)
            return; /* no half of a character */
        if (json && (*p == '"' || *p == '\\'))
            put_byte(l, '\\');
        n = n ? n : 1;
        for (unsigned i = 0; i < n; i++)
            put_byte(l, hidden ? '?' : (char)p[i]);
    }
}

static void put_where_text(struct line *l, const struct ph_where *w)
{
    if (!w)
        return;
    size_t begin = l->n;
    put(l, "[");
    if (w->connection) {
        put(l, "conn ");
        put_number(l, w->connection, 1);
    }
    if (w->client) {
        put(l, " ");
        put_foreign(l, w->client, '\0', false);
    }
    if (w->has_port) {
        put(l, " port ");
        put_number(l, w->port, 1);
    }
    if (w->driver) {
        put(l, l->n > begin + 1 ? " " : "");
        put_foreign(l, w->driver, ' ', false);
    }
    put(l, "] ");
}

static void put_member(struct line *l, const char *name, const char *value, char end)
{
    if (!value)
        return;
    put(l, name);
    put_foreign(l, value, end, true);
    put(l, "\"");
}

static void put_json_head(struct line *l, const char *level, const struct ph_where *w)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    put(l, "{\"time\":");
    put_number(l, (uint64_t)now.tv_sec, 1);
    put(l, ".");
    put_number(l, (uint64_t)now.tv_nsec / 1000, 6);
    put_member(l, ",\"level\":\"", level, '\0');
    if (w && w->connection) {
        put(l, ",\"connection\":");
        put_number(l, w->connection, 1);
    }
    if (w && w->has_port) {
        put(l, ",\"port\":");
        put_number(l, w->port, 1);
    }
    if (w) {
        put_member(l, ",\"client\":\"", w->client, '\0');
        put_member(l, ",\"driver\":\"", w->driver, ' ');
    }
}

static void put_line(struct line *l, const char *level, unsigned priority, const struct ph_where *where, const char *text)
{
    if (atomic_load_explicit(&with_prefix, memory_order_relaxed)) {
        put(l, "<");
        put_number(l, priority, 1);
        put(l, ">");
    }
    if (atomic_load_explicit(&as_json, memory_order_relaxed)) {
        put_json_head(l, level, where);
        put(l, ",\"text\":\"");
        put_foreign(l, text, '\0', true);
        memcpy(l->text + l->n, "\"}", 2);
        l->n += 2;
    } else {
        put(l, level);
        put(l, " ");
        put_where_text(l, where);
        put_foreign(l, text, '\0', false);
    }
    l->text[l->n++] = '\n';
}

/* --- writing; fit for a signal handler too --- */

/* Lines that could not be written, and how many of them the log has not told of yet. torn: the last that was has no end. Relaxed: what two threads lose at once is
 * told by either. */
static atomic_uint_fast64_t lost, untold;
static atomic_bool torn;

bool ph_log_can_write(int wait_ms)
{
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    int n;
    while ((n = poll(&fd, 1, wait_ms)) < 0 && errno == EINTR)
        ;
    return n == 1;
}

/* Nobody who logs waits for whoever reads the log. False: it is not written, or not all of it. */
static bool write_all(const char *p, size_t len)
{
    size_t done = 0;
    while (done < len && ph_log_can_write(0)) {
        ssize_t n = write(STDERR_FILENO, p + done, len - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            break;
    }
    if (done > 0)
        atomic_store_explicit(&torn, done < len, memory_order_relaxed);
    return done == len;
}

/* Tells how many lines were lost; false if there is still no place for them. */
static bool tell_loss(void)
{
    struct line l = {.n = 0}, text = {.n = 0};
    uint64_t n = atomic_exchange_explicit(&untold, 0, memory_order_relaxed);
    if (n == 0)
        return true;
    put(&text, "lines of the log were lost: ");
    put_number(&text, n, 1);
    text.text[text.n] = '\0';
    if (atomic_load_explicit(&torn, memory_order_relaxed))
        put(&l, "\n");
    put_line(&l, level_names[PH_LOG_WARNING], SYSLOG_WARNING, NULL, text.text);
    if (write_all(l.text, l.n))
        return true;
    atomic_fetch_add_explicit(&untold, n, memory_order_relaxed);
    return false;
}

static void write_line(const char *level, unsigned priority, const struct ph_where *where, const char *text)
{
    struct line l;
    l.n = 0;
    put_line(&l, level, priority, where, text);
    if (tell_loss() && write_all(l.text, l.n))
        return;
    atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&untold, 1, memory_order_relaxed);
}

uint64_t ph_log_lost(void)
{
    return atomic_load_explicit(&lost, memory_order_relaxed);
}

void ph_log_in_handler(const struct ph_where *where, const char *text)
{
    write_line("critical", SYSLOG_CRITICAL, where, text);
}

bool ph_log_is_json(void)
{
    return atomic_load_explicit(&as_json, memory_order_relaxed);
}

bool ph_log_has_prefix(void)
{
    return atomic_load_explicit(&with_prefix, memory_order_relaxed);
}

/* --- formatting --- */

void ph_vlog(enum ph_log_level level, const struct ph_where *where, const char *fmt, va_list ap)
{
    char text[LINE_MAX_BYTES];
    if (!ph_log_wants(level))
        return;
    int saved = errno;
    if (vsnprintf(text, sizeof text, fmt, ap) >= 0)
        write_line(level_names[level], SYSLOG_ERROR + (unsigned)level, where, text);
    errno = saved;
}

void ph_log(enum ph_log_level level, const struct ph_where *where, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    ph_vlog(level, where, fmt, ap);
    va_end(ap);
}

_Noreturn void ph_fatal(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char text[LINE_MAX_BYTES] = "fatal: ";
    size_t n = strlen(text);
    vsnprintf(text + n, sizeof text - n, fmt, ap);
    write_line("error", SYSLOG_ERROR, NULL, text);
    va_end(ap);
    abort();
}
