/* SPDX-License-Identifier: Apache-2.0 */
/* The port lock: lanes of jobs that one thread at a time works off, each lane in turn. Owns the choice between inline (a reactor's turn) and worker. */
#include "sched/lock.h"

#include <time.h>

#include "base/mem.h"
#include "base/thread.h"

#define LANE_JOBS 32u /* of one port, then another's */
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

/* What a runner knows of its run: on its stack. */
struct ph_run {
    uint64_t begin, last;
    unsigned jobs;
    struct ph_lane *lane;   /* whose turn it is. An address only once `current` is empty */
    struct ph_jobs current; /* its jobs, taken out */
};

void ph_lane_init(struct ph_lane *lane)
{
    STAILQ_INIT(&lane->jobs);
}

struct ph_lock *ph_lock_new(struct ph_reactor *home, struct ph_lock *pace_of)
{
    struct ph_lock *l = ph_calloc(1, sizeof *l);
    pthread_mutex_init(&l->mu, NULL);
    STAILQ_INIT(&l->lanes);
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

void ph_lock_run_by(struct ph_lock *l, enum ph_run_by by)
{
    atomic_store_explicit(&l->run_by, by, memory_order_relaxed);
}

static struct ph_lock *pace(struct ph_lock *l)
{
    return l->pace_of ? l->pace_of : l;
}

/* The low bit of avg_ns is the hysteresis: set while the driver counts as heavy. */
static bool heavy(struct ph_lock *l)
{
    unsigned by = atomic_load_explicit(&pace(l)->run_by, memory_order_relaxed);
    if (by != PH_RUN_BY_PACE)
        return by == PH_RUN_ALWAYS_BY_WORKER;
    return l->forced_worker || (atomic_load_explicit(&pace(l)->avg_ns, memory_order_relaxed) & 1u);
}

/* p: the lock whose pace it is. */
static void measured(struct ph_lock *p, uint64_t ns)
{
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

/* The lane has jobs since just now. True: the lock was idle, and has to be dispatched by the caller, who has its reference. */
static bool lane_waits_locked(struct ph_lock *l, struct ph_lane *lane)
{
    STAILQ_INSERT_TAIL(&l->lanes, lane, link);
    if (l->state != PH_LOCK_IDLE)
        return false;
    l->state = PH_LOCK_QUEUED;
    ph_lock_ref(l);
    return true;
}

void ph_lock_submit_all(struct ph_lock *l, struct ph_lane *lane, struct ph_jobs *jobs)
{
    pthread_mutex_lock(&l->mu);
    bool first = STAILQ_EMPTY(&lane->jobs);
    STAILQ_CONCAT(&lane->jobs, jobs);
    bool wake = first && lane_waits_locked(l, lane), to_worker = heavy(l);
    pthread_mutex_unlock(&l->mu);
    if (wake)
        dispatch(l, to_worker);
}

void ph_lock_submit(struct ph_lock *l, struct ph_lane *lane, struct ph_job *job)
{
    struct ph_jobs one = STAILQ_HEAD_INITIALIZER(one);
    STAILQ_INSERT_TAIL(&one, job, link);
    ph_lock_submit_all(l, lane, &one);
}

void ph_lock_adopt(struct ph_lock *l, struct ph_lane *lane)
{
    pthread_mutex_lock(&l->mu);
    bool wake = !STAILQ_EMPTY(&lane->jobs) && lane_waits_locked(l, lane), to_worker = heavy(l);
    pthread_mutex_unlock(&l->mu);
    if (wake)
        dispatch(l, to_worker);
}

/* The lock is running: nobody has to be woken. */
static void put_in_front_locked(struct ph_lock *l, struct ph_lane *lane, struct ph_jobs *jobs)
{
    bool first = STAILQ_EMPTY(&lane->jobs) && !STAILQ_EMPTY(jobs);
    STAILQ_CONCAT(jobs, &lane->jobs);
    STAILQ_CONCAT(&lane->jobs, jobs);
    if (first)
        lane_waits_locked(l, lane);
}

void ph_lock_requeue(struct ph_lock *l, struct ph_lane *lane, struct ph_jobs *jobs)
{
    struct ph_run *run = l->run;
    if (lane == run->lane) {
        STAILQ_CONCAT(jobs, &run->current);
        STAILQ_CONCAT(&run->current, jobs);
        return;
    }
    pthread_mutex_lock(&l->mu);
    put_in_front_locked(l, lane, jobs);
    pthread_mutex_unlock(&l->mu);
}

/* Takes the jobs of the lane whose turn it is; false (and the lock idle) if none has any. */
static bool take_lane(struct ph_lock *l, struct ph_run *run)
{
    pthread_mutex_lock(&l->mu);
    struct ph_lane *lane = STAILQ_FIRST(&l->lanes);
    l->state = lane ? PH_LOCK_RUNNING : PH_LOCK_IDLE;
    if (lane) {
        STAILQ_REMOVE_HEAD(&l->lanes, link);
        STAILQ_CONCAT(&run->current, &lane->jobs);
        l->run = run;
    }
    pthread_mutex_unlock(&l->mu);
    run->lane = lane;
    return lane != NULL;
}

/* The turn of the lane is over: what is left of its jobs waits for the next. */
static void leave_lane(struct ph_lock *l, struct ph_run *run)
{
    if (STAILQ_EMPTY(&run->current))
        return; /* the lane may be gone with its last job */
    pthread_mutex_lock(&l->mu);
    put_in_front_locked(l, run->lane, &run->current);
    pthread_mutex_unlock(&l->mu);
}

/* The budget is used up: back to the end of some runner's line, with the reference. False: nothing waits, the lock is idle. */
static bool give_way(struct ph_lock *l)
{
    pthread_mutex_lock(&l->mu);
    bool any = !STAILQ_EMPTY(&l->lanes), to_worker = heavy(l);
    l->state = any ? PH_LOCK_QUEUED : PH_LOCK_IDLE;
    pthread_mutex_unlock(&l->mu);
    if (any)
        dispatch(l, to_worker);
    return any;
}

/* One turn of the lane that was taken: until its jobs, its share or the budget of the whole run are used up. */
static void run_lane(struct ph_lock *l, struct ph_run *run)
{
    struct ph_lock *p = pace(l);
    unsigned jobs = 0;
    for (struct ph_job *job; (job = STAILQ_FIRST(&run->current)) && jobs < LANE_JOBS && run->last - run->begin <= BUDGET_NS; jobs++) {
        STAILQ_REMOVE_HEAD(&run->current, link);
        job->run(job);
        uint64_t now = ph_self.now_ns > run->last ? ph_self.now_ns : ph_now_ns(); /* a callback has just read it */
        measured(p, now - run->last);
        ph_self.now_ns = run->last = now;
        ph_async_wake_late(now);
    }
    run->jobs += jobs;
}

void ph_lock_run(struct ph_lock *l)
{
    struct ph_lock *outer = ph_self.lock;
    struct ph_run run = {.begin = ph_now_ns(), .current = STAILQ_HEAD_INITIALIZER(run.current)};
    bool more;
    ph_self.now_ns = run.last = run.begin;
    ph_self.lock = l;
    while ((more = run.jobs < BUDGET_JOBS && run.last - run.begin <= BUDGET_NS) && take_lane(l, &run)) {
        run_lane(l, &run);
        leave_lane(l, &run);
    }
    bool given = !more && give_way(l); /* while ph_self still says that a lock runs: the reactor may have been taken from this thread */
    ph_self.lock = outer;
    if (!given)
        ph_lock_unref(l);
}
