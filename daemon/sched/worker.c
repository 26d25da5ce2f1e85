/* SPDX-License-Identifier: Apache-2.0 */
/* The worker pool: threads that run the jobs of heavy drivers, so that no reactor has to. */
#include <pthread.h>
#include <stdio.h>

#include "base/flood.h"
#include "base/mem.h"
#include "base/thread.h"
#include "sched/lock.h"
#include "sched/reactor.h"

#define MAX_EXTRA 64u /* workers beyond the first ones, for when those are stuck */

static struct {
    pthread_mutex_t mu; /* guards the rest; a leaf of the lock order */
    pthread_cond_t more;
    struct ph_locks queue;
    bool stopping;
    unsigned n, base; /* threads now, and at the start */
    unsigned idle;    /* those that wait for a lock, or have been woken for one and have not come to run yet */
    unsigned idle_least; /* since ph_workers_release */
    unsigned leave;   /* so many of those that wait are to end */
    pthread_t *left;  /* have ended, and are to be joined */
    unsigned left_n;
    size_t stack;
    pthread_t *threads;
    uint64_t taken, seen; /* locks taken so far, and when the watch looked last */
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
    atomic_store_explicit(&running, pool.n - pool.idle, memory_order_relaxed);
}

static void leave_locked(void)
{
    unsigned i = 0;
    while (!pthread_equal(pool.threads[i], pthread_self()))
        i++;
    pool.left[pool.left_n++] = pool.threads[i];
    pool.threads[i] = pool.threads[--pool.n];
    pool.leave--;
}

/* NULL: the thread has to end. */
static struct ph_lock *next_lock(void)
{
    pthread_mutex_lock(&pool.mu);
    pool.idle++;
    note_running_locked();
    while (STAILQ_EMPTY(&pool.queue) && !pool.stopping && !pool.leave)
        pthread_cond_wait(&pool.more, &pool.mu);
    pool.idle--;
    if (pool.idle < pool.idle_least)
        pool.idle_least = pool.idle;
    struct ph_lock *l = STAILQ_FIRST(&pool.queue);
    if (l) {
        STAILQ_REMOVE_HEAD(&pool.queue, link);
        pool.taken++;
    } else if (!pool.stopping) {
        leave_locked();
    }
    note_running_locked();
    pthread_mutex_unlock(&pool.mu);
    return l;
}

static void *work(void *arg)
{
    (void)arg;
    ph_self.kind = PH_THREAD_WORKER;
    for (struct ph_lock *l; (l = next_lock());)
        ph_lock_run(l);
    return NULL;
}

static int start_one(void)
{
    char name[32];
    snprintf(name, sizeof name, "worker-%u", pool.n);
    int err = ph_thread_start(&pool.threads[pool.n], name, pool.stack, work, NULL);
    if (!err)
        pool.n++;
    return err;
}

int ph_workers_start(unsigned count, size_t stack)
{
    int err = 0;
    pthread_mutex_lock(&pool.mu);
    pool.base = count;
    pool.stack = stack;
    pool.threads = ph_calloc(count + MAX_EXTRA, sizeof *pool.threads);
    pool.left = ph_calloc(count + MAX_EXTRA, sizeof *pool.left);
    while (pool.n < count && !err)
        err = start_one();
    pthread_mutex_unlock(&pool.mu);
    return err;
}

bool ph_workers_watch(void)
{
    pthread_mutex_lock(&pool.mu);
    bool waiting = !STAILQ_EMPTY(&pool.queue), stuck = waiting && pool.idle == 0 && pool.taken == pool.seen;
    bool active = waiting || pool.taken != pool.seen;
    pool.seen = pool.taken;
    bool more = stuck && !pool.stopping && pool.n < pool.base + MAX_EXTRA && start_one() == 0;
    pthread_mutex_unlock(&pool.mu);
    if (more)
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_INFO, NULL, "all workers are in callbacks that take long: one more is started");
    return active;
}

static void join_left(void)
{
    pthread_t ended[MAX_EXTRA];
    unsigned n = 0;
    pthread_mutex_lock(&pool.mu);
    while (pool.left_n)
        ended[n++] = pool.left[--pool.left_n];
    pthread_mutex_unlock(&pool.mu);
    while (n)
        pthread_join(ended[--n], NULL);
}

void ph_workers_release(void)
{
    join_left();
    pthread_mutex_lock(&pool.mu);
    unsigned extra = pool.stopping ? 0 : pool.n - pool.base;
    pool.leave = pool.idle_least < extra ? pool.idle_least : extra;
    pool.idle_least = pool.idle;
    if (pool.leave)
        pthread_cond_broadcast(&pool.more);
    pthread_mutex_unlock(&pool.mu);
}

bool ph_workers_quiet(void)
{
    pthread_mutex_lock(&pool.mu);
    bool quiet = STAILQ_EMPTY(&pool.queue) && pool.taken == pool.seen && pool.n == pool.base;
    pthread_mutex_unlock(&pool.mu);
    return quiet;
}

void ph_workers_stop(void)
{
    pthread_mutex_lock(&pool.mu);
    pool.stopping = true;
    pthread_cond_broadcast(&pool.more);
    pthread_mutex_unlock(&pool.mu);
    join_left();
    for (unsigned i = 0; i < pool.n; i++)
        pthread_join(pool.threads[i], NULL);
    ph_free(pool.threads);
    ph_free(pool.left);
    pool.threads = pool.left = NULL;
    pool.n = 0;
}

unsigned ph_scheduler_threads(void)
{
    return pool.base;
}
