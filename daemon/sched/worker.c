/* SPDX-License-Identifier: Apache-2.0 */
/* The worker pool: threads that run the jobs of heavy drivers, so that no reactor has to. */
#include <pthread.h>
#include <string.h>

#include "base/flood.h"
#include "base/pool.h"
#include "base/thread.h"
#include "sched/lock.h"
#include "sched/reactor.h"
#include "sched/staff.h"

static struct {
    pthread_mutex_t mu; /* guards the rest; a leaf of the lock order */
    pthread_cond_t more;
    struct ph_locks queue;
    bool stopping;
    struct ph_staff staff;
    unsigned base; /* threads at the start */
    uint64_t taken, seen; /* locks taken so far, and when the watch looked last */
    int err;              /* for which no worker was started at the last look */
} pool = {.mu = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .queue = STAILQ_HEAD_INITIALIZER(pool.queue)};

void ph_worker_take_lock(struct ph_lock *l)
{
    pthread_mutex_lock(&pool.mu);
    STAILQ_INSERT_TAIL(&pool.queue, l, link);
    pthread_cond_signal(&pool.more);
    pthread_mutex_unlock(&pool.mu);
    ph_crew_watch();
}

static atomic_uint running; /* changed under pool.mu */

unsigned ph_workers_running(void)
{
    return atomic_load_explicit(&running, memory_order_relaxed);
}

static void note_running_locked(void)
{
    atomic_store_explicit(&running, pool.staff.n - pool.staff.idle, memory_order_relaxed);
}

/* NULL: the thread has to end. It counts as idle already if it was started for this. */
static struct ph_lock *next_lock(bool was_started)
{
    pthread_mutex_lock(&pool.mu);
    pool.staff.idle += !was_started;
    note_running_locked();
    while (STAILQ_EMPTY(&pool.queue) && !pool.stopping && !ph_staff_leaves_locked(&pool.staff)) {
        if (ph_pool_is_tidy()) {
            pthread_cond_wait(&pool.more, &pool.mu);
            continue;
        }
        pthread_mutex_unlock(&pool.mu);
        ph_pool_tidy();
        pthread_mutex_lock(&pool.mu);
    }
    ph_staff_wakes_locked(&pool.staff);
    struct ph_lock *l = STAILQ_FIRST(&pool.queue);
    if (l) {
        STAILQ_REMOVE_HEAD(&pool.queue, link);
        pool.taken++;
    }
    note_running_locked();
    pthread_mutex_unlock(&pool.mu);
    return l;
}

static void *work(void *arg)
{
    (void)arg;
    ph_self.kind = PH_THREAD_WORKER;
    for (struct ph_lock *l = next_lock(true); l; l = next_lock(false))
        ph_lock_run(l);
    return NULL;
}

int ph_workers_start(unsigned count, size_t stack)
{
    int err = 0;
    pthread_mutex_lock(&pool.mu);
    pool.base = count;
    ph_staff_init(&pool.staff, "worker", count, stack);
    while (pool.staff.n < count && !err)
        err = ph_staff_start_locked(&pool.staff, work);
    pthread_mutex_unlock(&pool.mu);
    return err;
}

static void tell(int err, int before)
{
    if (!err)
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_INFO, NULL, "all workers are in callbacks that take long: one more is started");
    else if (err != before)
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_WARNING, NULL,
                     "all workers are in callbacks that take long, and no other can be started, so that drivers wait: %s", strerror(err));
}

bool ph_workers_watch(void)
{
    pthread_mutex_lock(&pool.mu);
    bool waiting = !STAILQ_EMPTY(&pool.queue), stuck = waiting && pool.staff.idle == 0 && pool.taken == pool.seen;
    bool active = waiting || pool.taken != pool.seen;
    pool.seen = pool.taken;
    stuck = stuck && !pool.stopping;
    int before = pool.err;
    pool.err = stuck ? ph_staff_start_locked(&pool.staff, work) : 0; /* if there is none, it is tried again at the next look */
    int err = pool.err;
    pthread_mutex_unlock(&pool.mu);
    if (stuck)
        tell(err, before);
    return active;
}

void ph_workers_release(void)
{
    ph_staff_join_left(&pool.staff, &pool.mu);
    pthread_mutex_lock(&pool.mu);
    if (ph_staff_release_locked(&pool.staff, pool.stopping ? 0 : pool.staff.n - pool.base))
        pthread_cond_broadcast(&pool.more);
    pthread_mutex_unlock(&pool.mu);
}

void ph_workers_wake(void)
{
    pthread_mutex_lock(&pool.mu);
    pthread_cond_broadcast(&pool.more);
    pthread_mutex_unlock(&pool.mu);
}

bool ph_workers_quiet(void)
{
    pthread_mutex_lock(&pool.mu);
    bool quiet = STAILQ_EMPTY(&pool.queue) && pool.taken == pool.seen && pool.staff.n == pool.base && pool.staff.left_n == 0;
    pthread_mutex_unlock(&pool.mu);
    return quiet;
}

void ph_workers_stop(void)
{
    pthread_mutex_lock(&pool.mu);
    pool.stopping = true;
    pthread_cond_broadcast(&pool.more);
    pthread_mutex_unlock(&pool.mu);
    ph_staff_join(&pool.staff, &pool.mu);
}

unsigned ph_scheduler_threads(void)
{
    return pool.base;
}
