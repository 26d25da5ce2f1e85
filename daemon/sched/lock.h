/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a lock, for the runners (reactor.c, worker.c) that keep locks in their queues. */
#ifndef PH_LOCK_H
#define PH_LOCK_H

#include <pthread.h>

#include "base/thread.h"
#include "sched/sched.h"

enum ph_lock_state {
    PH_LOCK_IDLE,    /* no jobs, nobody has it */
    PH_LOCK_QUEUED,  /* in one runner's queue, which holds a reference */
    PH_LOCK_RUNNING, /* a runner is inside, and holds a reference */
};

struct ph_run; /* lock.c */

struct ph_lock {
    pthread_mutex_t mu; /* guards state, lanes and what is in them; a leaf of the lock order */
    enum ph_lock_state state;
    bool forced_worker;
    atomic_uchar run_by; /* enum ph_run_by; also for the locks whose pace it is */
    STAILQ_HEAD(, ph_lane) lanes; /* all that have jobs; those that the runner has taken out of one are not in it any more */
    struct ph_run *run;      /* of the runner inside; only its thread */
    STAILQ_ENTRY(ph_lock) link;
    struct ph_reactor *home;
    struct ph_lock *pace_of; /* reference, or NULL: this one */
    atomic_uint refs;
    atomic_uint avg_ns;      /* moving average of job run times; written by any runner, precision does not matter */
#ifdef PH_DEBUG
    _Atomic(const struct ph_thread *) inside; /* overlap.h: the thread in callbacks of ports of this lock, or NULL */
    unsigned depth;          /* overlap.h: how many it is in; only that thread */
#endif
};
STAILQ_HEAD(ph_locks, ph_lock);

#endif
