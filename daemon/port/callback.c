/* SPDX-License-Identifier: Apache-2.0 */
/* Invoking callbacks: sets who runs (for the API functions and for the crash log), who called, and restores it: callbacks nest,
 * when a failure function runs stop() inside another. */
#include "port/callback.h"

#include <errno.h>

#include "base/flood.h"
#include "base/recent.h"
#include "base/thread.h"
#include "check/lock.h"
#include "check/memory.h"
#include "port/misuse.h"
#include "port/trace.h"
#include "sched/overlap.h"
#include "term/words.h"

static const char *const names[] = {
#define X(name) #name,
    PH_CALLBACKS(X)
#undef X
};

struct frame {
    struct ph_port *port;
    const char *callback;
    enum ph_callback_kind kind; /* of the one that is entered; all else is of before */
    ErlDrvTermData caller;
    int timeslice;
    uint64_t since_ns;
    uint64_t input, outputs; /* the port's, to count what comes from the driver */
};

static void enter(struct frame *outer, struct ph_port *p, enum ph_callback_kind kind, ErlDrvTermData caller)
{
    const char *callback = names[kind];
    *outer = (struct frame){ph_self.port, ph_self.callback, kind, p->caller, ph_self.timeslice, ph_self.now_ns ? ph_self.now_ns : ph_now_ns(),
                            ph_stat_get(&p->stats.input), ph_stat_get(&p->stats.outputs)};
    ph_overlap_enter(p->lock, callback);
    ph_recent_add(p->handle, callback, outer->since_ns);
    ph_self.now_ns = 0;
    ph_self.port = p;
    ph_self.callback = callback;
    ph_self.timeslice = 0;
    p->caller = caller;
    if (!outer->callback) {
        ph_stat_set(&p->stats.since_ns, outer->since_ns);
        atomic_store_explicit(&p->stats.running, callback, memory_order_release);
        if (ph_checking())
            ph_slow_entered(p, callback, outer->since_ns);
    }
}

/* A callback within another one is part of that one's time. */
static void count_run(struct ph_port *p, const struct frame *outer, uint64_t ns, struct ph_driver_counts *counts)
{
    struct ph_port_stats *s = &p->stats;
    unsigned slot = p->driver->slot;
    uint64_t outputs = ph_stat_get(&s->outputs) - outer->outputs;
    ph_driver_count_in(counts, slot, PH_DRIVER_RUN_NS, ns);
    ph_driver_count_in(counts, slot, PH_DRIVER_RUNS + ph_run_bucket(ns), 1);
    if (outputs) {
        ph_driver_count_in(counts, slot, PH_DRIVER_OUTPUTS, outputs);
        ph_driver_count_in(counts, slot, PH_DRIVER_BYTES_FROM, ph_stat_get(&s->input) - outer->input);
    }
    atomic_store_explicit(&s->running, NULL, memory_order_relaxed);
    ph_stat_add(&s->runs, 1);
    if (ph_self.kind == PH_THREAD_WORKER) {
        ph_stat_add(&s->worker_runs, 1);
        ph_driver_count_in(counts, slot, PH_DRIVER_WORKER_RUNS, 1);
    }
    ph_stat_add(&s->run_ns, ns);
    if (ns > ph_stat_get(&s->longest_ns))
        ph_stat_set(&s->longest_ns, ns);
}

/* Without the check: after start and flush, which their callers follow up, and stop. */
static void leave_last(struct ph_port *p, const struct frame *outer)
{
    ph_self.now_ns = ph_now_ns();
    uint64_t ns = ph_self.now_ns - outer->since_ns;
    unsigned slot = p->driver->slot;
    struct ph_driver_counts *counts = ph_driver_counts_here(slot);
    ph_driver_count_in(counts, slot, PH_DRIVER_CALLBACKS + outer->kind, 1);
    if (!outer->callback)
        count_run(p, outer, ns, counts);
    if (ph_checking() && !outer->callback)
        ph_port_callback_left(p, ns);
    if (ph_traced(p))
        ph_trace_leave(p, ph_self.callback, ns);
    ph_self.port = outer->port;
    ph_self.callback = outer->callback;
    ph_self.timeslice = outer->timeslice;
    p->caller = outer->caller;
    ph_overlap_leave(p->lock);
}

static void leave(struct ph_port *p, const struct frame *outer)
{
    leave_last(p, outer);
    if (outer->port != p)
        ph_port_check_flushed(p);
}

static void missing(struct ph_port *p, const char *callback)
{
    struct ph_where where;
    ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_WARNING, ph_port_where(p, &where), "the driver has no %s callback", callback);
}

void ph_callback_refused(struct ph_port *p, const char *callback, bool exists)
{
    struct ph_where where;
    if (exists)
        ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_NOTICE, ph_port_where(p, &where), "%s with data that is not iodata", callback);
    else
        missing(p, callback);
}

ErlDrvData ph_callback_start(struct ph_port *p, char *command, int *saved_errno)
{
    if (!p->driver->entry.start)
        return NULL;
    struct frame outer;
    enter(&outer, p, PH_CALLBACK_start, p->owner);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = "start", .caller = p->owner});
    errno = 0;
    ErlDrvData data = p->driver->entry.start((ErlDrvPort)(uintptr_t)p->handle, command);
    *saved_errno = errno;
    leave_last(p, &outer);
    return data;
}

void ph_callback_stop(struct ph_port *p)
{
    if (!p->driver->entry.stop)
        return;
    struct frame outer;
    enter(&outer, p, PH_CALLBACK_stop, ph_self.port == p ? p->caller : PH_NIL);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = "stop", .caller = p->caller});
    p->driver->entry.stop(p->data);
    leave_last(p, &outer);
}

void ph_callback_flush(struct ph_port *p)
{
    if (!p->driver->entry.flush)
        return;
    struct frame outer;
    enter(&outer, p, PH_CALLBACK_flush, PH_NIL);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = "flush", .caller = PH_NIL});
    p->driver->entry.flush(p->data);
    leave_last(p, &outer); /* ph_port_exit checks */
}

void ph_callback_output(struct ph_port *p, ErlDrvTermData caller, char *buf, size_t len)
{
    if (!p->driver->entry.output)
        return;
    struct frame outer;
    enter(&outer, p, PH_CALLBACK_output, caller);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = "output", .caller = caller, .iov = &(SysIOVec){buf, len}, .n = 1});
    p->driver->entry.output(p->data, buf, len);
    leave(p, &outer);
}

void ph_callback_outputv(struct ph_port *p, ErlDrvTermData caller, ErlIOVec *ev)
{
    struct frame outer;
    enter(&outer, p, PH_CALLBACK_outputv, caller);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = "outputv", .caller = caller, .iov = ev->iov, .n = ev->vsize});
    p->driver->entry.outputv(p->data, ev);
    leave(p, &outer);
}

ErlDrvSSizeT ph_callback_control(struct ph_port *p, ErlDrvTermData caller, unsigned op, char *buf, size_t len, char **rbuf, size_t rlen)
{
    struct frame outer;
    enter(&outer, p, PH_CALLBACK_control, caller);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = "control", .caller = caller, .op = &op, .iov = &(SysIOVec){buf, len}, .n = 1});
    ErlDrvSSizeT n = p->driver->entry.control(p->data, op, buf, len, rbuf, rlen);
    leave(p, &outer);
    return n;
}

ErlDrvSSizeT ph_callback_call(struct ph_port *p, ErlDrvTermData caller, unsigned op, char *buf, size_t len, char **rbuf, size_t rlen, unsigned *flags)
{
    struct frame outer;
    enter(&outer, p, PH_CALLBACK_call, caller);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = "call", .caller = caller, .op = &op, .iov = &(SysIOVec){buf, len}, .n = 1});
    ErlDrvSSizeT n = p->driver->entry.call(p->data, op, buf, len, rbuf, rlen, flags);
    leave(p, &outer);
    return n;
}

void ph_callback_timeout(struct ph_port *p)
{
    if (!p->driver->entry.timeout)
        return;
    struct frame outer;
    enter(&outer, p, PH_CALLBACK_timeout, PH_NIL);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = "timeout", .caller = PH_NIL});
    p->driver->entry.timeout(p->data);
    leave(p, &outer);
}

void ph_callback_ready(struct ph_port *p, int fd, bool output)
{
    void (*ready)(ErlDrvData, ErlDrvEvent) = output ? p->driver->entry.ready_output : p->driver->entry.ready_input;
    if (!ready) {
        missing(p, output ? "ready_output" : "ready_input");
        return;
    }
    enum ph_callback_kind kind = output ? PH_CALLBACK_ready_output : PH_CALLBACK_ready_input;
    struct frame outer;
    enter(&outer, p, kind, PH_NIL);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = names[kind], .caller = PH_NIL, .fd = &fd});
    ready(p->data, (ErlDrvEvent)(intptr_t)fd);
    leave(p, &outer);
}

bool ph_callback_ready_async(struct ph_port *p, void *thread_data)
{
    if (!p->driver->entry.ready_async)
        return false;
    struct frame outer;
    enter(&outer, p, PH_CALLBACK_ready_async, PH_NIL);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = "ready_async", .caller = PH_NIL});
    p->driver->entry.ready_async(p->data, thread_data);
    leave(p, &outer);
    return true;
}

void ph_callback_process_exit(struct ph_port *p, ErlDrvMonitor *monitor)
{
    struct frame outer;
    enter(&outer, p, PH_CALLBACK_process_exit, PH_NIL);
    if (ph_traced(p))
        ph_trace_enter(p, &(struct ph_trace_enter){.callback = "process_exit", .caller = PH_NIL});
    p->driver->entry.process_exit(p->data, monitor);
    leave(p, &outer);
}

/* --- without a port --- */

static struct ph_thread enter_without_port(const struct ph_driver *d, const char *callback)
{
    struct ph_thread outer = ph_self;
    ph_self.port = NULL;
    ph_self.driver = d->name;
    ph_self.callback = callback;
    return outer;
}

/* What it has left locked is told, unless it ran within a callback, at whose end it is. */
static void leave_without_port(const struct ph_thread *outer)
{
    if (ph_checking() && !outer->callback) {
        ph_locks_leave();
        ph_blocks_look_recent();
    }
    ph_self = *outer;
    ph_self.now_ns = 0; /* it was nobody's callback */
}

void ph_callback_stop_select(struct ph_driver *d, int fd)
{
    if (!d->entry.stop_select) {
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_WARNING, &(struct ph_where){.driver = d->name}, "the driver has no stop_select callback; fd %d is left open", fd);
        return;
    }
    struct ph_thread outer = enter_without_port(d, "stop_select");
    if (ph_checking())
        ph_self.lock = NULL; /* so that no port's functions can be called: it is not to */
    d->entry.stop_select((ErlDrvEvent)(intptr_t)fd, NULL);
    leave_without_port(&outer);
}

void ph_callback_async_free(struct ph_driver *d, void (*free_fn)(void *), void *data)
{
    struct ph_thread outer = enter_without_port(d, "async_free");
    free_fn(data);
    leave_without_port(&outer);
}
