/* SPDX-License-Identifier: Apache-2.0 */
/* The port lock: a queue of jobs that one thread at a time works off. Owns the choice between inline (a reactor's turn) and worker. */
#include "sched/lock.h"

#include <time.h>

#include "base/mem.h"
#include "base/thread.h"

#define BUDGET_JOBS 256u
#define BUDGET_NS 500000u     /* a run longer than this gives way to other locks */
#define HEAVY_ENTER_NS 50000u /* an average above this moves a driver to the workers */
#define HEAVY_LEAVE_NS 20000u /* below this it moves back */
#define AVG_SHIFT 3           /* weight of a new sample: 1/8 */
#define AVG_CLAMP_NS 4000000u /* one long callback must not exile a driver for long */

uint64_t ph_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct ph_lock *ph_lock_new(struct ph_reactor *home, struct ph_lock *pace_of)
{
    struct ph_lock *l = ph_calloc(1, sizeof *l);
    pthread_mutex_init(&l->mu, NULL);
    STAILQ_INIT(&l->jobs);
    STAILQ_INIT(&l->current);
    atomic_init(&l->refs, 1);
    l->home = home;
    l->pace_of = pace_of ? ph_lock_ref(pace_of) : NULL;
    return l;
}

struct ph_lock *ph_lock_ref(struct ph_lock *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void ph_lock_unref(struct ph_lock *l)
{
    if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (l->pace_of)
        ph_lock_unref(l->pace_of);
    pthread_mutex_destroy(&l->mu);
    ph_free(l);
}

void ph_lock_force_worker(struct ph_lock *l)
{
    pthread_mutex_lock(&l->mu);
    l->forced_worker = true;
    pthread_mutex_unlock(&l->mu);
}

static struct ph_lock *pace(struct ph_lock *l)
{
    return l->pace_of ? l->pace_of : l;
}

/* The low bit of avg_ns is the hysteresis: set while the driver counts as heavy. */
static bool heavy(struct ph_lock *l)
{
    return l->forced_worker || (atomic_load_explicit(&pace(l)->avg_ns, memory_order_relaxed) & 1u);
}

static void measured(struct ph_lock *l, uint64_t ns)
{
    struct ph_lock *p = pace(l);
    unsigned old = atomic_load_explicit(&p->avg_ns, memory_order_relaxed);
    unsigned sample = ns > AVG_CLAMP_NS ? AVG_CLAMP_NS : (unsigned)ns;
    unsigned avg = (old & ~1u) - ((old & ~1u) >> AVG_SHIFT) + (sample >> AVG_SHIFT);
    bool is_heavy = avg > ((old & 1u) ? HEAVY_LEAVE_NS : HEAVY_ENTER_NS);
    atomic_store_explicit(&p->avg_ns, (avg & ~1u) | is_heavy, memory_order_relaxed);
}

/* Gives a lock in state QUEUED, with its reference, to a runner. */
static void dispatch(struct ph_lock *l, bool to_worker)
{
    if (to_worker)
        ph_worker_take_lock(l);
    else
        ph_reactor_take_lock(ph_self.reactor ? ph_self.reactor : l->home, l);
}

void ph_lock_submit(struct ph_lock *l, struct ph_job *job)
{
    pthread_mutex_lock(&l->mu);
    STAILQ_INSERT_TAIL(&l->jobs, job, link);
    bool wake = l->state == PH_LOCK_IDLE, to_worker = heavy(l);
    if (wake) {
        l->state = PH_LOCK_QUEUED;
        ph_lock_ref(l);
    }
    pthread_mutex_unlock(&l->mu);
    if (wake)
        dispatch(l, to_worker);
}

void ph_lock_requeue(struct ph_lock *l, struct ph_jobs *jobs)
{
    STAILQ_CONCAT(jobs, &l->current);
    STAILQ_CONCAT(&l->current, jobs);
}

/* Takes all that waits; false (and the lock idle) if nothing does. */
static bool refill(struct ph_lock *l)
{
    pthread_mutex_lock(&l->mu);
    STAILQ_CONCAT(&l->current, &l->jobs);
    bool any = !STAILQ_EMPTY(&l->current);
    l->state = any ? PH_LOCK_RUNNING : PH_LOCK_IDLE;
    pthread_mutex_unlock(&l->mu);
    return any;
}

/* The budget is used up: back to the end of some runner's line, what is left of `current` stays first. */
static void give_way(struct ph_lock *l)
{
    pthread_mutex_lock(&l->mu);
    l->state = PH_LOCK_QUEUED;
    bool to_worker = heavy(l);
    pthread_mutex_unlock(&l->mu);
    dispatch(l, to_worker);
}

void ph_lock_run(struct ph_lock *l)
{
    struct ph_lock *outer = ph_self.lock;
    unsigned jobs = 0;
    uint64_t begin = ph_now_ns(), last = begin;
    ph_self.lock = l;
    while (!STAILQ_EMPTY(&l->current) || refill(l)) {
        if (jobs >= BUDGET_JOBS || last - begin > BUDGET_NS) {
            ph_self.lock = outer;
            give_way(l);
            return; /* the reference went with it */
        }
        struct ph_job *job = STAILQ_FIRST(&l->current);
        STAILQ_REMOVE_HEAD(&l->current, link);
        job->run(job);
        uint64_t now = ph_now_ns();
        measured(l, now - last);
        last = now;
        jobs++;
    }
    ph_self.lock = outer;
    ph_lock_unref(l);
}
