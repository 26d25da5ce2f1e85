/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms: something to do at a time, to the nanosecond, on a reactor. libevent's own timers run on a clock of 4 ms, or cost a system call in each turn. */
#ifndef PH_ALARM_H
#define PH_ALARM_H

#include "sched/sched.h"

struct ph_alarm { /* embedded; all zero at first. The fields belong to alarm.c */
    uint64_t due_ns, order;
    size_t at; /* place in the heap, from 1; 0: not set */
    void (*ring)(struct ph_alarm *a);
};

/* Calls a->ring(a) on the reactor once ph_now_ns() is due_ns or later, unless it is cancelled; set again: at the new time only. ring may not set or cancel. Any thread. */
bool ph_alarm_set(struct ph_reactor *r, struct ph_alarm *a, uint64_t due_ns); /* false: no memory, and it is not set */
/* It does not ring any more, nor is ring running, when this returns. Any thread, but not from ring. */
void ph_alarm_cancel(struct ph_reactor *r, struct ph_alarm *a);

/* --- for reactor.c --- */

struct ph_alarms;
struct ph_alarms *ph_alarms_new(struct event_base *base); /* NULL and errno */
void ph_alarms_free(struct ph_alarms *alarms);
struct ph_alarms *ph_reactor_alarms(struct ph_reactor *r);

#endif
