/* SPDX-License-Identifier: Apache-2.0 */
/* Invoking callbacks: sets who runs (for the API functions and for the crash log), who called, and restores it: callbacks nest,
 * when a failure function runs stop() inside another. */
#include "port/callback.h"

#include <errno.h>

#include "base/log.h"
#include "base/thread.h"
#include "sched/overlap.h"
#include "term/words.h"

struct frame {
    struct ph_port *port;
    const char *callback;
    ErlDrvTermData caller;
    int timeslice;
};

static struct frame enter(struct ph_port *p, const char *callback, ErlDrvTermData caller)
{
    struct frame outer = {ph_self.port, ph_self.callback, p->caller, ph_self.timeslice};
    ph_overlap_enter(p->lock, callback);
    ph_self.port = p;
    ph_self.callback = callback;
    ph_self.timeslice = 0;
    p->caller = caller;
    return outer;
}

/* Without the check: after start and flush, which their callers follow up, and stop. */
static void leave_last(struct ph_port *p, struct frame outer)
{
    ph_self.port = outer.port;
    ph_self.callback = outer.callback;
    ph_self.timeslice = outer.timeslice;
    p->caller = outer.caller;
    ph_overlap_leave(p->lock);
}

static void leave(struct ph_port *p, struct frame outer)
{
    leave_last(p, outer);
    if (outer.port != p)
        ph_port_check_flushed(p);
}

static void missing(struct ph_port *p, const char *callback)
{
    char where[96];
    ph_log(PH_LOG_WARNING, ph_port_where(p, where, sizeof where), "the driver has no %s callback", callback);
}

void ph_callback_refused(struct ph_port *p, const char *callback, bool exists)
{
    char where[96];
    if (exists)
        ph_log(PH_LOG_NOTICE, ph_port_where(p, where, sizeof where), "%s with data that is not iodata", callback);
    else
        missing(p, callback);
}

ErlDrvData ph_callback_start(struct ph_port *p, int *saved_errno)
{
    if (!p->driver->entry.start)
        return NULL;
    struct frame outer = enter(p, "start", p->owner);
    errno = 0;
    ErlDrvData data = p->driver->entry.start((ErlDrvPort)(uintptr_t)p->handle, p->name);
    *saved_errno = errno;
    leave_last(p, outer);
    return data;
}

void ph_callback_stop(struct ph_port *p)
{
    if (!p->driver->entry.stop)
        return;
    struct frame outer = enter(p, "stop", ph_self.port == p ? p->caller : PH_NIL);
    p->driver->entry.stop(p->data);
    leave_last(p, outer);
}

void ph_callback_flush(struct ph_port *p)
{
    if (!p->driver->entry.flush)
        return;
    struct frame outer = enter(p, "flush", PH_NIL);
    p->driver->entry.flush(p->data);
    leave_last(p, outer); /* ph_port_exit checks */
}

void ph_callback_output(struct ph_port *p, ErlDrvTermData caller, char *buf, size_t len)
{
    if (!p->driver->entry.output)
        return;
    struct frame outer = enter(p, "output", caller);
    p->driver->entry.output(p->data, buf, len);
    leave(p, outer);
}

void ph_callback_outputv(struct ph_port *p, ErlDrvTermData caller, ErlIOVec *ev)
{
    struct frame outer = enter(p, "outputv", caller);
    p->driver->entry.outputv(p->data, ev);
    leave(p, outer);
}

ErlDrvSSizeT ph_callback_control(struct ph_port *p, ErlDrvTermData caller, unsigned op, char *buf, size_t len, char **rbuf, size_t rlen)
{
    struct frame outer = enter(p, "control", caller);
    ErlDrvSSizeT n = p->driver->entry.control(p->data, op, buf, len, rbuf, rlen);
    leave(p, outer);
    return n;
}

ErlDrvSSizeT ph_callback_call(struct ph_port *p, ErlDrvTermData caller, unsigned op, char *buf, size_t len, char **rbuf, size_t rlen, unsigned *flags)
{
    struct frame outer = enter(p, "call", caller);
    ErlDrvSSizeT n = p->driver->entry.call(p->data, op, buf, len, rbuf, rlen, flags);
    leave(p, outer);
    return n;
}

void ph_callback_timeout(struct ph_port *p)
{
    if (!p->driver->entry.timeout)
        return;
    struct frame outer = enter(p, "timeout", PH_NIL);
    p->driver->entry.timeout(p->data);
    leave(p, outer);
}

void ph_callback_ready(struct ph_port *p, int fd, bool output)
{
    void (*ready)(ErlDrvData, ErlDrvEvent) = output ? p->driver->entry.ready_output : p->driver->entry.ready_input;
    if (!ready) {
        missing(p, output ? "ready_output" : "ready_input");
        return;
    }
    struct frame outer = enter(p, output ? "ready_output" : "ready_input", PH_NIL);
    ready(p->data, (ErlDrvEvent)(intptr_t)fd);
    leave(p, outer);
}

bool ph_callback_ready_async(struct ph_port *p, void *thread_data)
{
    if (!p->driver->entry.ready_async)
        return false;
    struct frame outer = enter(p, "ready_async", PH_NIL);
    p->driver->entry.ready_async(p->data, thread_data);
    leave(p, outer);
    return true;
}

void ph_callback_process_exit(struct ph_port *p, ErlDrvMonitor *monitor)
{
    struct frame outer = enter(p, "process_exit", PH_NIL);
    p->driver->entry.process_exit(p->data, monitor);
    leave(p, outer);
}

void ph_callback_stop_select(struct ph_driver *d, int fd)
{
    if (!d->entry.stop_select) {
        ph_log(PH_LOG_WARNING, d->name, "the driver has no stop_select callback; fd %d is left open", fd);
        return;
    }
    struct ph_thread outer = ph_self;
    ph_self.port = NULL;
    ph_self.callback = "stop_select";
    d->entry.stop_select((ErlDrvEvent)(intptr_t)fd, NULL);
    ph_self = outer;
}
