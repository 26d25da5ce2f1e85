/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the callbacks that run in the checking mode, and the thread that reports those that take too long, while they do, with what they are in then. Each is reported once: by
 * that thread, or, if it comes too late, by their own when they have returned. */
#include <inttypes.h>
#include <pthread.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "port/misuse.h"
#include "sched/sched.h"

struct running { /* a thread's; in the list while a callback runs in it, so the thread lives, and the port, too */
    LIST_ENTRY(running) link;
    pid_t thread; /* 0: has run none yet */
    const struct ph_port *port;
    const char *callback;
    uint64_t since_ns;
    bool told;
    bool asked; /* for its stack: it cannot leave until that is taken, so what is shown is what it is in; the others are not held up */
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards the rest; over the names of report.c; reports are told without it */
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER; /* one is asked no more */
static LIST_HEAD(, running) all = LIST_HEAD_INITIALIZER(all);
static uint64_t limit_ns = 100000000;
static bool asleep; /* until there is one, or another limit */

static _Thread_local struct running mine;

static void wake_locked(void)
{
    if (asleep)
        pthread_cond_signal(&more);
    asleep = false;
}

void ph_slow_limit(uint64_t ms)
{
    pthread_mutex_lock(&mu);
    limit_ns = ms * 1000000;
    pthread_cond_signal(&more);
    pthread_mutex_unlock(&mu);
}

void ph_slow_entered(struct ph_port *p, const char *callback, uint64_t since_ns)
{
    if (!mine.thread) {
        mine.thread = gettid();
        ph_stack_answer_here();
    }
    pthread_mutex_lock(&mu);
    mine.port = p;
    mine.callback = callback;
    mine.since_ns = since_ns;
    mine.told = false;
    LIST_INSERT_HEAD(&all, &mine, link);
    wake_locked();
    pthread_mutex_unlock(&mu);
}

void ph_slow_left(uint64_t ns)
{
    pthread_mutex_lock(&mu);
    while (mine.asked)
        pthread_cond_wait(&answered, &mu);
    LIST_REMOVE(&mine, link);
    bool tell = !mine.told && ns > limit_ns;
    uint64_t most = limit_ns;
    pthread_mutex_unlock(&mu);
    if (tell)
        ph_violation(PH_VIOLATION_SLOW_CALLBACK, "it took %" PRIu64 " ms, more than %" PRIu64, ns / 1000000, most / 1000000);
}

/* The one that has not been told and runs for the longest time, or NULL. */
static struct running *longest_locked(void)
{
    struct running *r, *longest = NULL;
    LIST_FOREACH(r, &all, link)
        if (!r->told && (!longest || r->since_ns < longest->since_ns))
            longest = r;
    return longest;
}

static void wait_locked(uint64_t until_ns)
{
    struct timespec at = {.tv_sec = (time_t)(until_ns / 1000000000), .tv_nsec = (long)(until_ns % 1000000000)};
    pthread_cond_clockwait(&more, &mu, CLOCK_MONOTONIC, &at);
}

/* Without the mutex while it waits for the stack. */
static void describe_locked(struct ph_report *r, struct running *slow, uint64_t ns)
{
    struct ph_act act = {.who = ph_port_who(slow->port, slow->callback)};
    uint64_t most = limit_ns;
    slow->told = slow->asked = true;
    pthread_mutex_unlock(&mu);
    ph_stack_take_of(slow->thread, &act.stack);
    ph_report_init(r, PH_VIOLATION_SLOW_CALLBACK, &act, "it has taken %" PRIu64 " ms, more than %" PRIu64 ", and goes on", ns / 1000000, most / 1000000);
    pthread_mutex_lock(&mu);
    slow->asked = false;
    pthread_cond_broadcast(&answered);
}

/* Waits for the next that takes too long. */
static void next_report(struct ph_report *r)
{
    bool found = false;
    pthread_mutex_lock(&mu);
    while (!found) {
        struct running *slow = longest_locked();
        uint64_t now = ph_now_ns();
        found = slow && now > slow->since_ns + limit_ns;
        asleep = !slow;
        if (found)
            describe_locked(r, slow, now - slow->since_ns);
        else if (slow)
            wait_locked(slow->since_ns + limit_ns + 1);
        else
            pthread_cond_wait(&more, &mu);
    }
    pthread_mutex_unlock(&mu);
}

static void *watch(void *arg)
{
    struct ph_report r;
    for (;;) {
        next_report(&r);
        ph_report_tell(&r);
    }
    return arg;
}

int ph_slow_start(void)
{
    pthread_t thread;
    int err = ph_thread_start(&thread, "slow callbacks", 0, watch, NULL);
    return err ? err : pthread_detach(thread);
}
