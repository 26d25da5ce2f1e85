/* SPDX-License-Identifier: Apache-2.0 */
/* Async threads: each has a queue of its own, so that jobs with the same key run in order on one thread. */
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/pool.h"
#include "base/thread.h"
#include "sched/reactor.h"

struct async_thread {
    pthread_mutex_t mu; /* guards queue, stopping; a leaf of the lock order */
    pthread_cond_t more;
    STAILQ_HEAD(, ph_async_job) queue;
    bool stopping;
    pthread_t thread;
};

static struct async_thread *threads;
static unsigned thread_count;
static pthread_mutex_t threads_mu = PTHREAD_MUTEX_INITIALIZER; /* guards these two while there may be nobody else but ph_async_wake; taken before a thread's */
static atomic_uint round_robin;
static atomic_long last_id;
_Thread_local struct ph_async_due ph_async_due;

static struct ph_async_job *next_job(struct async_thread *t)
{
    pthread_mutex_lock(&t->mu);
    while (STAILQ_EMPTY(&t->queue) && !t->stopping) {
        if (ph_pool_is_tidy()) {
            pthread_cond_wait(&t->more, &t->mu);
            continue;
        }
        pthread_mutex_unlock(&t->mu);
        ph_pool_tidy();
        pthread_mutex_lock(&t->mu);
    }
    struct ph_async_job *job = STAILQ_FIRST(&t->queue);
    if (job)
        STAILQ_REMOVE_HEAD(&t->queue, link);
    pthread_mutex_unlock(&t->mu);
    return job;
}

static void *work(void *arg)
{
    ph_self.kind = PH_THREAD_ASYNC;
    for (struct ph_async_job *job; (job = next_job(arg));)
        job->invoke(job);
    return NULL;
}

static int start_one(struct async_thread *t, unsigned number, size_t stack)
{
    char name[32];
    pthread_mutex_init(&t->mu, NULL);
    pthread_cond_init(&t->more, NULL);
    STAILQ_INIT(&t->queue);
    snprintf(name, sizeof name, "async-%u", number);
    return ph_thread_start(&t->thread, name, stack, work, t);
}

int ph_async_start(unsigned count, size_t stack)
{
    int err = 0;
    pthread_mutex_lock(&threads_mu);
    threads = ph_calloc(count ? count : 1, sizeof *threads);
    while (thread_count < count && !(err = start_one(&threads[thread_count], thread_count, stack)))
        thread_count++;
    pthread_mutex_unlock(&threads_mu);
    return err;
}

void ph_async_wake(void)
{
    pthread_mutex_lock(&threads_mu);
    for (unsigned i = 0; i < thread_count; i++) {
        pthread_mutex_lock(&threads[i].mu);
        pthread_cond_signal(&threads[i].more);
        pthread_mutex_unlock(&threads[i].mu);
    }
    pthread_mutex_unlock(&threads_mu);
}

void ph_async_stop(void)
{
    for (unsigned i = 0; i < thread_count; i++) {
        pthread_mutex_lock(&threads[i].mu);
        threads[i].stopping = true;
        pthread_cond_signal(&threads[i].more);
        pthread_mutex_unlock(&threads[i].mu);
    }
    for (unsigned i = 0; i < thread_count; i++)
        pthread_join(threads[i].thread, NULL);
    pthread_mutex_lock(&threads_mu);
    for (unsigned i = 0; i < thread_count; i++) {
        pthread_mutex_destroy(&threads[i].mu);
        pthread_cond_destroy(&threads[i].more);
    }
    ph_free(threads);
    threads = NULL;
    thread_count = 0;
    pthread_mutex_unlock(&threads_mu);
}

/* May the n-th thread, in whose queue a job lies since just now, sleep a little longer? In its mutex: either the watch, which wakes it after it has taken the reactor
 * from a thread, sees the job, or it is seen here that the reactor is taken. */
static bool wake_later(unsigned n)
{
    if (n >= 64 || !ph_reactor_is_mine())
        return false;
    uint64_t now = ph_now_ns();
    ph_async_wake_late(now);
    if (!ph_async_due.threads)
        ph_async_due.since_ns = now;
    ph_async_due.threads |= UINT64_C(1) << n;
    return true;
}

/* A thread that has lost its reactor has nothing to wake: the watch has. */
void ph_async_wake_due(void)
{
    uint64_t due = ph_async_due.threads;
    ph_async_due.threads = 0;
    if (due && ph_reactor_is_mine())
        for (; due; due &= due - 1)
            pthread_cond_signal(&threads[__builtin_ctzll(due)].more);
}

long ph_async_submit(unsigned *key, struct ph_async_job *job)
{
    long id = job->id = 1 + atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed);
    unsigned n = (key ? *key : atomic_fetch_add_explicit(&round_robin, 1, memory_order_relaxed)) % thread_count;
    if (key)
        *key = n;
    struct async_thread *t = &threads[n];
    pthread_mutex_lock(&t->mu);
    STAILQ_INSERT_TAIL(&t->queue, job, link);
    if (!wake_later(n))
        pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->mu);
    return id;
}

static struct ph_async_job *take_back(struct async_thread *t, long id)
{
    struct ph_async_job *job;
    pthread_mutex_lock(&t->mu);
    STAILQ_FOREACH(job, &t->queue, link)
        if (job->id == id)
            break;
    if (job)
        STAILQ_REMOVE(&t->queue, job, ph_async_job, link);
    pthread_mutex_unlock(&t->mu);
    return job;
}

struct ph_async_job *ph_async_cancel(long id)
{
    struct ph_async_job *job = NULL;
    for (unsigned i = 0; i < thread_count && !job; i++)
        job = take_back(&threads[i], id);
    return job;
}

unsigned ph_async_threads(void)
{
    return thread_count;
}
