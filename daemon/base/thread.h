/* SPDX-License-Identifier: Apache-2.0 */
/* Who is running: what the current thread is and what it may touch. One thread-local struct; everything
 * that must know "am I in a callback, of which port, under which lock" asks here. */
#ifndef PH_THREAD_H
#define PH_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ph_lock;
struct ph_port;
struct ph_reactor;

enum ph_thread_kind {
    PH_THREAD_FOREIGN, /* created by a driver behind our back, or not yet known */
    PH_THREAD_REACTOR,
    PH_THREAD_WORKER,
    PH_THREAD_ASYNC,
    PH_THREAD_DRIVER, /* erl_drv_thread_create */
};

struct ph_thread {
    enum ph_thread_kind kind;
    struct ph_reactor *reactor; /* the reactor this thread runs now, or NULL */
    struct ph_lock *lock;       /* the port lock whose jobs this thread runs now, or NULL */
    struct ph_port *port;       /* the port whose callback runs now (innermost), or NULL */
    const char *driver;         /* whose code runs without a port (init, finish, an async job, a thread of its own), or NULL */
    const char *callback;       /* its name, for the crash log */
    uint64_t now_ns;            /* the clock as this thread has read it last while it runs a lock, 0: too long ago to be used */
    int timeslice;              /* per cent of its time slice that it says it has used */
};

extern _Thread_local struct ph_thread ph_self;

/* Is this what the VM would call a scheduler thread: may it run callbacks, read the clock functions, ... */
static inline bool ph_thread_is_host(void)
{
    return ph_self.kind == PH_THREAD_REACTOR || ph_self.kind == PH_THREAD_WORKER;
}

#define PH_ALT_STACK 65536u /* bytes: enough for a backtrace */
/* Gives the calling thread a stack for the handlers of faults, so that a stack overflow is reported too; ph_thread_start does it for its threads. memory: of
 * PH_ALT_STACK bytes, which must outlive the thread. before: what was set until then, or NULL. */
void ph_thread_alt_stack(void *memory, stack_t *before);

/* Starts a thread named (15 bytes at most kept) with all signals blocked but those of faults, which the crash log needs.
 * 0 or errno. stack in bytes, raised to the system's minimum; 0 for the default. */
int ph_thread_start(pthread_t *tid, const char *name, size_t stack, void *(*run)(void *), void *arg);

/* Whether the process has no threads but the main one and those that ph_thread_start has started. False also if the system does not say, or one is just ending. */
bool ph_thread_knows_all(void);

#endif
