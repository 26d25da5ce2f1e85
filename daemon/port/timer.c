/* SPDX-License-Identifier: Apache-2.0 */
/* Timers: an event on the port's home reactor, which submits a job when the time has come. The job carries the number of the setting it belongs
 * to, so that one that was cancelled or replaced meanwhile does nothing. */
#include "port/timer.h"

#include <event2/event.h>

#include "base/mem.h"
#include "port/callback.h"

struct ph_timer {
    struct event *event;    /* on the reactor of the port's peer */
    struct ph_port *port;   /* owner, no reference: the event is deleted before the port goes */
    uint64_t deadline_ns;   /* changed in the lock while the event is not pending, read by the event */
    atomic_uint setting;    /* goes up at each set and cancel */
    bool armed;             /* set and neither run nor cancelled; in the lock */
};

struct timeout_job {
    struct ph_job job;
    struct ph_port *port; /* reference */
    unsigned setting;
};

static void run_timeout(struct ph_job *job)
{
    struct timeout_job *j = (struct timeout_job *)job;
    struct ph_port *p = j->port;
    struct ph_timer *t = p->timer;
    if (ph_port_state(p) != PH_PORT_DEAD && t->armed && atomic_load_explicit(&t->setting, memory_order_relaxed) == j->setting) {
        t->armed = false;
        ph_callback_timeout(p);
    }
    ph_port_unref(p);
    ph_free(j);
}

static struct timeval wait_for(uint64_t ns)
{
    uint64_t us = (ns + 999) / 1000;
    return (struct timeval){.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct ph_timer *t = arg;
    uint64_t now = ph_now_ns();
    (void)fd;
    (void)what;
    if (now < t->deadline_ns) { /* never early */
        struct timeval tv = wait_for(t->deadline_ns - now);
        event_add(t->event, &tv);
        return;
    }
    struct timeout_job *j = ph_alloc(sizeof *j);
    *j = (struct timeout_job){.job.run = run_timeout, .port = ph_port_ref(t->port)};
    j->setting = atomic_load_explicit(&t->setting, memory_order_relaxed);
    ph_port_submit(t->port, &j->job);
}

static struct ph_timer *new_timer(struct ph_port *p)
{
    struct ph_timer *t = ph_calloc(1, sizeof *t);
    t->port = p;
    t->event = event_new(ph_reactor_base(ph_peer_reactor(p->peer)), -1, 0, on_event, t);
    return t;
}

void ph_timer_cancel(struct ph_port *p)
{
    struct ph_timer *t = p->timer;
    if (!t || !t->armed)
        return;
    t->armed = false;
    event_del(t->event); /* waits for on_event if that is running on the reactor; on_event waits for nobody */
    atomic_fetch_add_explicit(&t->setting, 1, memory_order_relaxed);
}

void ph_timer_set(struct ph_port *p, unsigned long ms)
{
    const unsigned long most = 1000ul * 60 * 60 * 24 * 365 * 100;
    if (!p->timer)
        p->timer = new_timer(p);
    ph_timer_cancel(p);
    struct ph_timer *t = p->timer;
    uint64_t ns = (uint64_t)(ms < most ? ms : most) * 1000000u;
    t->deadline_ns = ph_now_ns() + ns;
    atomic_fetch_add_explicit(&t->setting, 1, memory_order_relaxed);
    t->armed = true;
    struct timeval tv = wait_for(ns);
    event_add(t->event, &tv);
}

unsigned long ph_timer_left(struct ph_port *p)
{
    uint64_t now = ph_now_ns();
    if (!p->timer || !p->timer->armed || p->timer->deadline_ns <= now)
        return 0;
    return (unsigned long)((p->timer->deadline_ns - now + 999999) / 1000000);
}

void ph_timer_free(struct ph_timer *t)
{
    if (!t)
        return;
    event_free(t->event);
    ph_free(t);
}
