/* SPDX-License-Identifier: Apache-2.0 */
/* Which thread runs which reactor. The watch notices a thread that does not come back from a driver's callback and gives its reactor to a spare one;
 * the thread, when it does come back, is a spare itself. The same watch adds workers when all are stuck. It sleeps while nothing happens,
 * and gives back before that what malloc keeps. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/flood.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/thread.h"
#include "sched/reactor.h"
#include "sched/staff.h"

#define WATCH_MS 20      /* a reactor that is in the same stint at two looks in a row is stuck */
#define QUIET_LOOKS 50   /* without any stint: then the watch sleeps */
#define RELEASE_LOOKS 250u /* from one time that threads are let go to the next */

static struct {
    pthread_mutex_t mu; /* guards the rest; a leaf of the lock order */
    pthread_cond_t more;
    struct ph_reactor **orphans; /* reactors without a thread */
    unsigned orphan_count, reactors, ended;
    struct ph_staff staff; /* without the main thread; idle ones are spares, and that may be the main thread, too */
    bool main_is_spare;    /* another thread goes on with what it ran, for good */
    pthread_t main;
    bool stopping;
    uint64_t *seen; /* the watch's: each reactor's stint at the last look */
    bool lacks;     /* the watch's: for some reactor no thread could be started at the last look */
    pthread_cond_t look;
    pthread_t watch;
    bool watched;
} crew = {.mu = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .look = PTHREAD_COND_INITIALIZER};
static atomic_bool watch_sleeps;

/* NULL: the thread has to end. It counts as idle already if it was started for this. */
static struct ph_reactor *next_reactor(bool was_started)
{
    struct ph_reactor *r = NULL;
    pthread_mutex_lock(&crew.mu);
    bool is_main = pthread_equal(pthread_self(), crew.main);
    crew.staff.idle += !was_started;
    crew.main_is_spare = crew.main_is_spare || is_main;
    while (crew.orphan_count == 0 && crew.ended < crew.reactors && !ph_staff_leaves_locked(&crew.staff))
        pthread_cond_wait(&crew.more, &crew.mu);
    ph_staff_wakes_locked(&crew.staff);
    crew.main_is_spare = crew.main_is_spare && !is_main;
    if (crew.orphan_count > 0)
        r = crew.orphans[--crew.orphan_count];
    pthread_mutex_unlock(&crew.mu);
    return r;
}

/* Threads beyond those that are needed. */
static unsigned extra_locked(void)
{
    unsigned needed = crew.reactors - 1 + crew.main_is_spare; /* at the end, when the main thread's reactor has ended, there are fewer */
    return crew.staff.n > needed ? crew.staff.n - needed : 0;
}

/* Lets so many spares end as have had nothing to do since the last call. */
static void release(void)
{
    ph_staff_join_left(&crew.staff, &crew.mu);
    pthread_mutex_lock(&crew.mu);
    if (ph_staff_release_locked(&crew.staff, extra_locked()))
        pthread_cond_broadcast(&crew.more);
    pthread_mutex_unlock(&crew.mu);
}

static void reactor_ended(void)
{
    pthread_mutex_lock(&crew.mu);
    crew.ended++;
    pthread_cond_broadcast(&crew.more);
    pthread_mutex_unlock(&crew.mu);
}

/* Until all reactors have ended. */
static void serve(struct ph_reactor *r)
{
    for (; r; r = next_reactor(false))
        if (ph_reactor_run(r))
            reactor_ended();
}

static void *member(void *arg)
{
    serve(next_reactor(true));
    return arg;
}

/* For each reactor without a thread there is one that comes to run it; or errno, and for some there is none. */
static int call_threads_locked(void)
{
    int err = 0;
    while (crew.staff.idle < crew.orphan_count && !err)
        err = ph_staff_start_locked(&crew.staff, member);
    if (crew.orphan_count > 0)
        pthread_cond_broadcast(&crew.more);
    return err;
}

/* --- the watch --- */

static void abandon(struct ph_reactor *r)
{
    pthread_mutex_lock(&crew.mu);
    crew.orphans[crew.orphan_count++] = r;
    pthread_mutex_unlock(&crew.mu);
}

static void tell(bool took, int err)
{
    if (took && err)
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_WARNING, NULL,
                     "a driver's callback takes long, and no thread can be started to go on with its reactor, which waits for one: %s", strerror(err));
    else if (took)
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_INFO, NULL, "a driver's callback takes long: another thread goes on with its reactor");
    else if (crew.lacks && !err)
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_INFO, NULL, "each reactor has a thread again");
}

/* At every look: a thread that could not be started may be had now. True: one is missing still. */
static bool find_threads(bool took)
{
    pthread_mutex_lock(&crew.mu);
    int err = call_threads_locked();
    pthread_mutex_unlock(&crew.mu);
    tell(took, err);
    crew.lacks = err;
    return crew.lacks;
}

/* True: some reactor is at work, or should be. */
static bool look(void)
{
    bool active = ph_workers_watch(), took = false;
    struct ph_reactor *r;
    for (unsigned i = 0; (r = ph_reactor_at(i)); i++) {
        uint64_t stint = ph_reactor_stint(r);
        bool stuck = (stint & 1) && stint == crew.seen[i];
        active = active || stint != crew.seen[i];
        crew.seen[i] = stint;
        if (stuck && ph_reactor_take(r, stint)) {
            abandon(r);
            took = true;
        }
    }
    if (took)
        ph_async_wake(); /* the callback may wait for a job whose thread was to be woken later */
    return find_threads(took) || active;
}

static bool no_spares(void)
{
    pthread_mutex_lock(&crew.mu);
    bool none = extra_locked() == 0 && crew.staff.left_n == 0; /* what those had is freed when they are joined */
    pthread_mutex_unlock(&crew.mu);
    return none;
}

/* Who enters a driver from here on wakes the watch; who had looked at the flag before that is seen now. */
static bool may_sleep(void)
{
    atomic_store(&watch_sleeps, true);
    bool quiet = no_spares() && ph_workers_quiet() && ph_reactors_sleep();
    if (!quiet)
        atomic_store(&watch_sleeps, false);
    return quiet;
}

/* Waits for the next look; false at the end. asleep: may_sleep has said so. */
static bool wait_to_look(bool asleep)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += WATCH_MS * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000L;
    at.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&crew.mu);
    int err = 0;
    while (!crew.stopping && (asleep ? atomic_load(&watch_sleeps) : err == 0))
        err = asleep ? pthread_cond_wait(&crew.look, &crew.mu) : pthread_cond_clockwait(&crew.look, &crew.mu, CLOCK_MONOTONIC, &at);
    bool go_on = !crew.stopping;
    pthread_mutex_unlock(&crew.mu);
    return go_on;
}

/* Every thread frees the blocks that it keeps, and waits again. */
static void tidy(void)
{
    ph_pools_tidy();
    ph_reactors_wake();
    ph_workers_wake();
    ph_async_wake();
}

static void *watch(void *arg)
{
    unsigned quiet = 0, looks = 0;
    bool much = false;
    while (wait_to_look(quiet > QUIET_LOOKS + 1 && may_sleep())) {
        if (quiet == QUIET_LOOKS && (much = ph_mem_keeps_much())) /* before it may sleep: there was much to do, perhaps, and is not now */
            tidy();
        if (quiet == QUIET_LOOKS + 1 && much)
            ph_mem_give_back();
        if (quiet == 1 || quiet == QUIET_LOOKS || ++looks % RELEASE_LOOKS == 0) {
            ph_workers_release();
            release();
        }
        quiet = quiet > QUIET_LOOKS + 1 ? 0 : quiet;
        quiet = look() ? 0 : quiet + 1;
    }
    return arg;
}

void ph_crew_watch(void)
{
    if (!atomic_load_explicit(&watch_sleeps, memory_order_relaxed) || !atomic_exchange(&watch_sleeps, false))
        return;
    pthread_mutex_lock(&crew.mu);
    pthread_cond_broadcast(&crew.look);
    pthread_mutex_unlock(&crew.mu);
}

/* --- life --- */

int ph_reactors_start(unsigned count, size_t stack)
{
    int err = ph_reactor_create(count);
    crew.reactors = count;
    crew.main = pthread_self();
    crew.orphans = ph_calloc(count, sizeof(struct ph_reactor *));
    ph_staff_init(&crew.staff, "reactor", count - 1, stack);
    crew.seen = ph_calloc(count, sizeof *crew.seen);
    pthread_mutex_lock(&crew.mu);
    for (unsigned i = 1; i < count; i++)
        crew.orphans[crew.orphan_count++] = ph_reactor_at(i);
    if (!err)
        err = call_threads_locked();
    if (!err)
        err = ph_thread_start(&crew.watch, "watch", 0, watch, NULL);
    crew.watched = !err;
    pthread_mutex_unlock(&crew.mu);
    return err;
}

void ph_reactor_main(void)
{
    serve(ph_reactor_at(0));
    ph_self.reactor = ph_reactor_at(0); /* what is left to do at the end (closing files, freeing) is done by this thread */
}

void ph_reactors_join(void)
{
    pthread_mutex_lock(&crew.mu);
    crew.stopping = true;
    pthread_cond_broadcast(&crew.look);
    pthread_mutex_unlock(&crew.mu);
    if (crew.watched)
        pthread_join(crew.watch, NULL);
    ph_staff_join(&crew.staff, &crew.mu);
    ph_free(crew.orphans);
    ph_free(crew.seen);
    ph_reactor_destroy_all();
}
