/* SPDX-License-Identifier: Apache-2.0 */
/* Timers: an alarm on the reactor of the port's peer, which submits a job when the time has come. The job carries the number of the setting it belongs
 * to, so that one that was cancelled or replaced meanwhile does nothing. There is one job for each timer, so that ringing needs no memory. */
#include "port/timer.h"

#include <stddef.h>

#include "base/mem.h"
#include "port/callback.h"
#include "sched/alarm.h"

struct ph_timer {
    struct ph_alarm alarm;
    struct ph_port *port;   /* owner, no reference: the alarm is cancelled before the port goes */
    uint64_t deadline_ns;
    atomic_uint setting;    /* goes up at each set and cancel */
    atomic_uint rung;       /* the setting for which the alarm rang last */
    struct ph_job job;      /* with a reference to the port while it is posted */
    atomic_bool posted;
    bool armed;             /* set and neither run nor cancelled; in the lock */
};

static void set_armed(struct ph_port *p, bool armed)
{
    p->timer->armed = armed;
    ph_driver_count(p->driver->slot, PH_DRIVER_TIMERS, armed ? 1 : UINT64_MAX);
}

static void run_timeout(struct ph_job *job)
{
    struct ph_timer *t = (struct ph_timer *)((char *)job - offsetof(struct ph_timer, job));
    struct ph_port *p = t->port;
    atomic_store(&t->posted, false); /* first: an alarm that rings from now on posts it again */
    if (ph_port_state(p) != PH_PORT_DEAD && t->armed && atomic_load(&t->setting) == atomic_load(&t->rung)) {
        set_armed(p, false);
        ph_callback_timeout(p);
    }
    ph_port_unref(p);
}

static void on_alarm(struct ph_alarm *a)
{
    struct ph_timer *t = (struct ph_timer *)((char *)a - offsetof(struct ph_timer, alarm));
    atomic_store(&t->rung, atomic_load(&t->setting));
    if (!atomic_exchange(&t->posted, true)) {
        ph_port_ref(t->port);
        ph_port_submit(t->port, &t->job);
    }
}

/* NULL: no memory. */
static struct ph_timer *new_timer(struct ph_port *p)
{
    struct ph_timer *t = ph_calloc_try(1, sizeof *t);
    if (!t)
        return NULL;
    t->port = p;
    t->alarm.ring = on_alarm;
    t->job.run = run_timeout;
    return t;
}

static struct ph_reactor *home(const struct ph_port *p)
{
    return ph_peer_reactor(p->peer);
}

void ph_timer_cancel(struct ph_port *p)
{
    struct ph_timer *t = p->timer;
    if (!t || !t->armed)
        return;
    set_armed(p, false);
    ph_alarm_cancel(home(p), &t->alarm);
    atomic_fetch_add_explicit(&t->setting, 1, memory_order_relaxed);
}

int ph_timer_set(struct ph_port *p, unsigned long ms)
{
    const unsigned long most = 1000ul * 60 * 60 * 24 * 365 * 100;
    if (!p->timer && !(p->timer = new_timer(p)))
        return -1;
    ph_timer_cancel(p);
    struct ph_timer *t = p->timer;
    t->deadline_ns = ph_now_ns() + (uint64_t)(ms < most ? ms : most) * 1000000u;
    atomic_fetch_add_explicit(&t->setting, 1, memory_order_relaxed);
    if (!ph_alarm_set(home(p), &t->alarm, t->deadline_ns))
        return -1;
    set_armed(p, true);
    return 0;
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
    ph_alarm_cancel(home(t->port), &t->alarm);
    ph_free(t);
}
