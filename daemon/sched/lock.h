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

struct ph_lock {
    pthread_mutex_t mu; /* guards state, lanes and what is in them; a leaf of the lock order */
    enum ph_lock_state state;
    bool forced_worker;
    atomic_uchar run_by; /* enum ph_run_by; also for the locks whose pace it is */
    STAILQ_HEAD(, ph_lane) lanes; /* that have jobs, but for the one that runs */
    struct ph_lane own;
    struct ph_lane *running; /* these two: only the runner's thread. An address only once `current` is empty */
    struct ph_jobs current;  /* its jobs, taken out */
    STAILQ_ENTRY(ph_lock) link;
    atomic_uint refs;
    struct ph_reactor *home;
    struct ph_lock *pace_of; /* reference, or NULL: this one */
    _Atomic(const struct ph_thread *) inside; /* overlap.h: the thread in callbacks of ports of this lock, or NULL */
    unsigned depth;          /* overlap.h: how many it is in; only that thread */
    atomic_uint avg_ns;      /* moving average of job run times; written by any runner, precision does not matter */
};
STAILQ_HEAD(ph_locks, ph_lock);

#endif
