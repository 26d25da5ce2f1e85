/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in a signal handler: only write(2), and backtrace(3), which is made to load what it needs beforehand. */
#include "crash.h"

#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/thread.h"
#include "port/port.h"

#define DEPTH 64

static void put(const char *s)
{
    ssize_t n = write(STDERR_FILENO, s, strlen(s));
    (void)n;
}

static void put_number(uint64_t v)
{
    char buf[21], *p = buf + sizeof buf - 1;
    *p = '\0';
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    put(p);
}

static void put_where(void)
{
    const struct ph_port *p = ph_self.port;
    put(" in callback ");
    put(ph_self.callback ? ph_self.callback : "(none)");
    if (!p)
        return;
    put(" of driver ");
    put(p->driver ? p->driver->name : p->name);
    put(", conn ");
    put_number(ph_peer_id(p->peer));
    put(" port ");
    put_number(p->id);
}

static void on_crash(int sig)
{
    void *frames[DEPTH];
    put("CRITICAL ");
    put(sigabbrev_np(sig) ? "SIG" : "signal ");
    put(sigabbrev_np(sig) ? sigabbrev_np(sig) : "?");
    put_where();
    put("\n");
    backtrace_symbols_fd(frames, backtrace(frames, DEPTH), STDERR_FILENO);
    raise(sig); /* the handler is reset: the default action follows */
}

void ph_crash_install(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction sa = {.sa_handler = on_crash, .sa_flags = (int)(SA_RESETHAND | SA_ONSTACK)};
    static uint8_t stack[PH_ALT_STACK];
    void *frame;
    backtrace(&frame, 1);
    ph_thread_alt_stack(stack, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &sa, NULL);
}
