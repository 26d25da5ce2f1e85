/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in a signal handler, on the alternate stack: only functions that are safe there, and backtrace(3), which is made to load what it needs beforehand. What it
 * looks at belongs to a thread that stands still (its own), never changes, or is atomic. */
#include "crash.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/recent.h"
#include "base/thread.h"
#include "driver/crashes.h"
#include "port/port.h"

#define DEPTH 64
#define BUFFER_BYTES 512
#define LOG_WAIT_MS 1000 /* for who reads the log */
#define FULL_WAIT_MS 200 /* for one that is full: then the rest is lost */

static pid_t host; /* not what a driver forks */
static atomic_int crashing; /* thread id of the first to crash */

/* --- text --- */

struct report {
    int fds[2]; /* the log, unless it is JSON, and the file; -1: none */
    size_t n;
    char buf[BUFFER_BYTES];
};

static void flush(struct report *r)
{
    for (int i = 0; i < 2; i++)
        for (size_t done = 0; r->fds[i] >= 0 && done < r->n;) {
            struct pollfd full = {.fd = r->fds[i], .events = POLLOUT};
            ssize_t n = write(r->fds[i], r->buf + done, r->n - done);
            if (n < 0 && (errno == EINTR || (errno == EAGAIN && poll(&full, 1, FULL_WAIT_MS) == 1)))
                continue;
            if (n <= 0)
                break;
            done += (size_t)n;
        }
    r->n = 0;
}

static void put(struct report *r, const char *s)
{
    for (; *s; s++) {
        if (r->n == sizeof r->buf)
            flush(r);
        r->buf[r->n++] = *s;
    }
}

static void put_digits(struct report *r, uint64_t v, unsigned base)
{
    char buf[21], *p = buf + sizeof buf - 1;
    *p = '\0';
    do
        *--p = "0123456789abcdef"[v % base];
    while (v /= base);
    put(r, p);
}

static void put_number(struct report *r, uint64_t v)
{
    put_digits(r, v, 10);
}

/* A name that a client or driver has chosen cannot make a line of its own. */
static void put_name(struct report *r, const char *s)
{
    for (; *s; s++) {
        char c[2] = {(unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, '\0'};
        put(r, c);
    }
}

/* --- what has happened --- */

static const char *driver_name(void)
{
    const struct ph_port *p = ph_self.port;
    if (!p)
        return ph_self.driver;
    return p->driver ? p->driver->name : ph_port_name(p);
}

static void put_headline(struct report *r, int sig)
{
    const char *name = sigabbrev_np(sig), *driver = driver_name();
    const struct ph_port *p = ph_self.port;
    put(r, name ? "SIG" : "signal ");
    put(r, name ? name : "?");
    put(r, " in callback ");
    put(r, ph_self.callback ? ph_self.callback : "(none)");
    if (driver) {
        put(r, " of driver ");
        put_name(r, driver);
    }
    if (p) {
        put(r, ", conn ");
        put_number(r, ph_peer_id(p->peer));
        put(r, " port ");
        put_number(r, p->id);
    }
}

static bool has_address(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGTRAP;
}

static void put_facts(struct report *r, const siginfo_t *info, int64_t now)
{
    char thread[16] = "";
    prctl(PR_GET_NAME, thread);
    if (driver_name()) {
        put(r, &PH_CRASH_DRIVER_LINE[1]); /* the headline has ended the line before */
        put_name(r, driver_name());
        put(r, "\n");
    }
    put(r, "time: ");
    put_number(r, (uint64_t)now);
    put(r, "\nprocess: ");
    put_number(r, (uint64_t)host);
    put(r, "\nthread: ");
    put_name(r, thread);
    if (has_address(info->si_signo)) {
        put(r, "\naddress: 0x");
        put_digits(r, (uint64_t)(uintptr_t)info->si_addr, 16);
    }
    if (ph_self.port) {
        put(r, "\nport name: ");
        put_name(r, ph_port_name(ph_self.port));
        put(r, "\ncallbacks: ");
        put_number(r, ph_stat_get(&ph_self.port->stats.runs));
        put(r, "\nqueue bytes: ");
        put_number(r, ph_stat_get(&ph_self.port->stats.queue_size));
    }
    put(r, "\n");
}

static void put_event(struct report *r, const struct ph_recent *thread, uint64_t at, const char *callback, uint64_t now)
{
    uint64_t us = now > at ? (now - at) / 1000 : 0;
    put(r, "event: ");
    put(r, callback);
    put(r, " ");
    put_number(r, us);
    put(r, " us before, in ");
    put(r, thread->thread);
    put(r, "\n");
}

static uint64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* What threads have entered of this port lately; an event that another thread writes right now may be one of two. */
static void put_events(struct report *r)
{
    uint64_t now = clock_ns();
    if (!ph_self.port)
        return;
    for (struct ph_recent *t = ph_recent_first(); t; t = atomic_load_explicit(&t->next, memory_order_relaxed))
        for (unsigned i = 0; i < PH_RECENT_EVENTS; i++) {
            struct ph_recent_event *e = &t->events[(t->count + i) % PH_RECENT_EVENTS];
            const char *callback = atomic_load_explicit(&e->callback, memory_order_relaxed);
            if (callback && atomic_load_explicit(&e->port, memory_order_relaxed) == ph_self.port->handle)
                put_event(r, t, atomic_load_explicit(&e->at_ns, memory_order_relaxed), callback, now);
        }
}

/* --- where it goes --- */

/* The prepared file gets a name: a full disk has room for what is in it. */
static int name_prepared(int dir, const char *name)
{
    struct report r = {.fds = {-1, -1}};
    int fd = ph_crashes_prepared();
    if (fd < 0)
        return -1;
    put(&r, "/proc/self/fd/");
    put_number(&r, (uint64_t)fd);
    r.buf[r.n] = '\0';
    return linkat(AT_FDCWD, r.buf, dir, name, AT_SYMLINK_FOLLOW) == 0 ? fd : -1;
}

static int open_file(int64_t now)
{
    char name[64] = PH_CRASH_FILE_PREFIX;
    struct report r = {.fds = {-1, -1}};
    int dir = ph_crashes_dir();
    if (dir < 0 || getpid() != host)
        return -1;
    put_number(&r, (uint64_t)now);
    put(&r, "-");
    put_number(&r, (uint64_t)host);
    memcpy(name + strlen(name), r.buf, r.n); /* two numbers fit */
    int fd = name_prepared(dir, name);
    return fd >= 0 ? fd : openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Where the log goes, or -1. Who has stopped to read it cannot keep the process from its end: a pipe that is full loses the rest. */
static int log_fd(void)
{
    struct stat st;
    if (!ph_log_can_write(LOG_WAIT_MS))
        return -1;
    if (fstat(STDERR_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
        fcntl(STDERR_FILENO, F_SETFL, fcntl(STDERR_FILENO, F_GETFL) | O_NONBLOCK);
    return STDERR_FILENO;
}

static void log_json(int sig, void **frames, int depth)
{
    struct report r = {.fds = {-1, -1}};
    const struct ph_port *p = ph_self.port;
    struct ph_where where = {.driver = driver_name()};
    if (p) {
        where.connection = ph_peer_id(p->peer);
        where.has_port = true;
        where.port = p->id;
    }
    put_headline(&r, sig);
    put(&r, "; backtrace");
    for (int i = 0; i < depth && r.n + 24 < sizeof r.buf; i++) {
        put(&r, " 0x");
        put_digits(&r, (uint64_t)(uintptr_t)frames[i], 16);
    }
    r.buf[r.n < sizeof r.buf ? r.n : sizeof r.buf - 1] = '\0';
    ph_log_in_handler(&where, r.buf);
}

static void report(int sig, const siginfo_t *info)
{
    void *frames[DEPTH];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    bool json = ph_log_is_json();
    struct report r = {.fds = {json ? -1 : log_fd(), open_file(now.tv_sec)}};
    if (r.fds[0] >= 0 && ph_log_has_prefix() && write(STDERR_FILENO, "<2>", 3) < 0)
        r.fds[0] = -1;
    put(&r, "CRITICAL ");
    put_headline(&r, sig);
    put(&r, "\n");
    put_facts(&r, info, now.tv_sec);
    put_events(&r);
    put(&r, "backtrace:\n");
    flush(&r); /* all that can be said without walking a stack that may be spoilt */
    int depth = backtrace(frames, DEPTH);
    for (int i = 0; i < 2; i++)
        if (r.fds[i] >= 0)
            backtrace_symbols_fd(frames, depth, r.fds[i]);
    if (json)
        log_json(sig, frames, depth);
}

static void on_crash(int sig, siginfo_t *info, void *context)
{
    int nobody = 0, me = gettid();
    (void)context;
    if (atomic_compare_exchange_strong(&crashing, &nobody, me))
        report(sig, info);
    else if (nobody != me)
        for (;;)
            pause(); /* the first one is at it, and ends the process */
    signal(sig, SIG_DFL);
    raise(sig); /* once this handler has returned */
}

void ph_crash_install(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    struct sigaction sa = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static uint8_t stack[PH_ALT_STACK];
    void *frame;
    host = getpid();
    backtrace(&frame, 1);
    ph_thread_alt_stack(stack, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &sa, NULL);
}
