/* SPDX-License-Identifier: Apache-2.0 */
/* Reactors: an event base each, and a thread that runs it. A turn is: wait for events (their callbacks read frames, notice timers and ready fds,
 * and only submit jobs), do posted tasks, run the locks that became ready, then what was asked for at the end of the turn (one write per connection). Locks for which
 * there is no time in their turn are late: some of those have theirs in each turn, so that neither events nor what has just become ready waits for very many of them, nor they for ever.
 *
 * Drivers are entered only outside of event_base_loop, so a reactor whose thread is stuck in a callback can be given to another one (crew.c), which goes on with the turn.
 * While a lock runs, its thread therefore touches nothing of the reactor but what `mu` guards: it may have lost it. */
#include "sched/reactor.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/thread.h"
#include "sched/alarm.h"
#include "sched/lock.h"

#define NO_STINT UINT64_MAX
#define TURN_NS 500000u /* of a turn, for the locks that are late and for the others: then the rest is late. Beside it, a run of the first */
#define READ_BUFFER (64u * 1024u)
#define POLL_SCORE_MAX 64 /* see wait_for_events */
#define POLL_SCORE_LEAST 16
#define POLL_PAID 8
#define POLL_LONGER 3 /* times as long while what comes is a little too late */
#define PREEMPTED_NS 100000u    /* from one look to the next: somebody else has had the core */
#define POLL_PAUSE_NS 50000000u /* then there is no core to spare for so long */

STAILQ_HEAD(tasks, ph_task);

struct ph_reactor {
    struct event_base *base;
    struct event *wake_event;
    struct ph_alarms *alarms;
    int wake_fd;
    uint8_t *buffer;
    _Atomic uint64_t stint;
    struct ph_locks ready; /* these, up to mu: own thread only, and not while a lock runs */
    struct ph_locks turn;  /* to be run in this turn */
    struct ph_locks late;  /* there was no time for them in theirs */
    int poll_score;
    uint64_t poll_for_ns;
    uint64_t poll_again_ns; /* not before */
    pthread_mutex_t mu;    /* guards the rest; a leaf of the lock order */
    struct ph_locks inbox_locks;
    struct tasks inbox_tasks;
    struct tasks turn_end;
    bool awake; /* the inbox will be looked at before the next wait, or a wake-up is on its way */
};

static struct ph_reactor *reactors;
static unsigned reactor_count;
static atomic_uint next_reactor;
static atomic_bool stopping;
static uint64_t poll_ns;
static atomic_int poll_slots; /* how many more reactors may poll */
static unsigned poll_cores;
static _Thread_local uint64_t my_stint = NO_STINT; /* of ph_self.reactor, as this thread has set it */

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t n;
    (void)what;
    (void)arg;
    while (read(fd, &n, sizeof n) < 0 && errno == EINTR)
        ;
}

static void wake(struct ph_reactor *r)
{
    static const uint64_t one = 1;
    while (write(r->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* Ends a change of the inbox, under mu, and unlocks. */
static void unlock_and_wake(struct ph_reactor *r)
{
    bool asleep = !r->awake;
    r->awake = true;
    pthread_mutex_unlock(&r->mu);
    if (asleep)
        wake(r);
}

void ph_reactor_post(struct ph_reactor *r, struct ph_task *task)
{
    pthread_mutex_lock(&r->mu);
    STAILQ_INSERT_TAIL(&r->inbox_tasks, task, link);
    unlock_and_wake(r);
}

void ph_reactor_at_turn_end(struct ph_reactor *r, struct ph_task *task)
{
    pthread_mutex_lock(&r->mu);
    STAILQ_INSERT_TAIL(&r->turn_end, task, link);
    unlock_and_wake(r);
}

void ph_reactor_take_lock(struct ph_reactor *r, struct ph_lock *l)
{
    if (ph_self.reactor == r && !ph_self.lock) {
        STAILQ_INSERT_TAIL(&r->ready, l, link);
        return;
    }
    pthread_mutex_lock(&r->mu);
    STAILQ_INSERT_TAIL(&r->inbox_locks, l, link);
    unlock_and_wake(r);
}

/* --- a turn --- */

static void run_tasks(struct tasks *tasks)
{
    while (!STAILQ_EMPTY(tasks)) {
        struct ph_task *t = STAILQ_FIRST(tasks);
        STAILQ_REMOVE_HEAD(tasks, link);
        t->run(t);
    }
}

static void empty_inbox(struct ph_reactor *r)
{
    struct tasks tasks = STAILQ_HEAD_INITIALIZER(tasks);
    pthread_mutex_lock(&r->mu);
    r->awake = true;
    STAILQ_CONCAT(&tasks, &r->inbox_tasks);
    STAILQ_CONCAT(&r->ready, &r->inbox_locks);
    pthread_mutex_unlock(&r->mu);
    run_tasks(&tasks);
}

static void end_turn(struct ph_reactor *r)
{
    struct tasks tasks = STAILQ_HEAD_INITIALIZER(tasks);
    pthread_mutex_lock(&r->mu);
    STAILQ_CONCAT(&tasks, &r->turn_end);
    pthread_mutex_unlock(&r->mu);
    run_tasks(&tasks);
    ph_async_wake_due();
}

/* One run for each of the locks, while there is time. The clock is the one that they have read. False: the reactor was taken away. */
static bool run_some(struct ph_reactor *r, struct ph_locks *locks)
{
    uint64_t since = 0;
    if (!STAILQ_EMPTY(locks))
        ph_crew_watch();
    while (!STAILQ_EMPTY(locks) && (!since || ph_self.now_ns - since <= TURN_NS)) {
        struct ph_lock *l = STAILQ_FIRST(locks);
        STAILQ_REMOVE_HEAD(locks, link);
        uint64_t stint = ++my_stint;
        atomic_store_explicit(&r->stint, stint, memory_order_release);
        ph_lock_run(l);
        if (!atomic_compare_exchange_strong_explicit(&r->stint, &stint, stint + 1, memory_order_acq_rel, memory_order_acquire))
            return false;
        my_stint++;
        since = since ? since : ph_self.now_ns;
    }
    return true;
}

/* Those that become ready meanwhile have their turn after new events. */
static bool run_turn(struct ph_reactor *r)
{
    if (!run_some(r, &r->late) || !run_some(r, &r->turn))
        return false;
    STAILQ_CONCAT(&r->late, &r->turn);
    return true;
}

bool ph_reactor_is_mine(void)
{
    return my_stint != NO_STINT && atomic_load_explicit(&ph_self.reactor->stint, memory_order_acquire) == my_stint;
}

uint64_t ph_reactor_stint(const struct ph_reactor *cr)
{
    struct ph_reactor *r = (struct ph_reactor *)(uintptr_t)cr;
    return atomic_load_explicit(&r->stint, memory_order_acquire);
}

bool ph_reactor_take(struct ph_reactor *r, uint64_t seen)
{
    return atomic_compare_exchange_strong_explicit(&r->stint, &seen, seen + 1, memory_order_acq_rel, memory_order_acquire);
}

/* A thread that comes from waiting goes through empty_inbox, and so through mu, on its way to a lock. */
bool ph_reactors_sleep(void)
{
    bool sleep = true;
    for (unsigned i = 0; i < reactor_count && sleep; i++) {
        pthread_mutex_lock(&reactors[i].mu);
        sleep = !reactors[i].awake;
        pthread_mutex_unlock(&reactors[i].mu);
    }
    return sleep;
}

/* --- waiting --- */

static bool inbox_is_empty_locked(const struct ph_reactor *r)
{
    return STAILQ_EMPTY(&r->inbox_tasks) && STAILQ_EMPTY(&r->inbox_locks) && STAILQ_EMPTY(&r->turn_end);
}

static bool any_waits(const struct ph_reactor *r)
{
    return !STAILQ_EMPTY(&r->ready) || !STAILQ_EMPTY(&r->late);
}

static bool idle_now(struct ph_reactor *r)
{
    if (any_waits(r))
        return false;
    pthread_mutex_lock(&r->mu);
    bool idle = inbox_is_empty_locked(r);
    pthread_mutex_unlock(&r->mu);
    return idle;
}

/* True: nothing waits, and whoever brings something from now on wakes this thread. */
static bool may_sleep(struct ph_reactor *r)
{
    if (any_waits(r) || atomic_load_explicit(&stopping, memory_order_acquire))
        return false; /* the wake-up for the end may have been taken by a look */
    pthread_mutex_lock(&r->mu);
    bool idle = inbox_is_empty_locked(r);
    r->awake = !idle;
    pthread_mutex_unlock(&r->mu);
    return idle;
}

static void look(struct ph_reactor *r)
{
    event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY | EVLOOP_NONBLOCK);
}

static void look_for(struct ph_reactor *r, uint64_t begin)
{
    uint64_t last, now = begin;
    do {
        look(r);
        last = now;
        now = ph_now_ns();
        if (now - last > PREEMPTED_NS)
            r->poll_again_ns = now + POLL_PAUSE_NS;
    } while (idle_now(r) && now - begin < r->poll_for_ns);
}

/* Looks for events again and again, for as long as sleeping and being woken would take. */
static void poll(struct ph_reactor *r, uint64_t begin)
{
    if (ph_workers_running() >= poll_cores)
        return;
    if (atomic_fetch_sub_explicit(&poll_slots, 1, memory_order_relaxed) > 0)
        look_for(r, begin);
    atomic_fetch_add_explicit(&poll_slots, 1, memory_order_relaxed);
}

/* What came after so long says whether polling pays: the score goes up when it is within the time of polling (whether it polled or slept), and down when not. What
 * comes a little later than it polls makes it poll longer, until it comes much later. */
static void learn(struct ph_reactor *r, uint64_t took)
{
    bool paid = took < POLL_LONGER * poll_ns;
    int score = r->poll_score + (paid ? POLL_PAID : -1);
    r->poll_score = score < 0 ? 0 : score > POLL_SCORE_MAX ? POLL_SCORE_MAX : score;
    if (!paid)
        r->poll_for_ns = poll_ns;
    else if (took > poll_ns)
        r->poll_for_ns = POLL_LONGER * poll_ns;
}

/* Polls before it sleeps, but only while that pays. A reactor that hears something every few milliseconds soon sleeps at once. */
static void wait_for_events(struct ph_reactor *r)
{
    if (!idle_now(r)) {
        look(r);
        return;
    }
    uint64_t begin = poll_ns ? ph_now_ns() : 0;
    if (poll_ns && r->poll_score >= POLL_SCORE_LEAST && begin >= r->poll_again_ns)
        poll(r, begin);
    ph_pool_tidy();
    if (may_sleep(r))
        event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
    if (poll_ns)
        learn(r, ph_now_ns() - begin);
}

static bool ended(struct ph_reactor *r)
{
    return atomic_load_explicit(&stopping, memory_order_acquire) && idle_now(r);
}

bool ph_reactor_run(struct ph_reactor *r)
{
    ph_self.kind = PH_THREAD_REACTOR;
    ph_self.reactor = r;
    my_stint = atomic_load_explicit(&r->stint, memory_order_acquire);
    while (run_turn(r)) { /* the first: what is left of the turn of a thread that lost it */
        end_turn(r);
        if (ended(r)) {
            my_stint = NO_STINT;
            return true;
        }
        wait_for_events(r);
        empty_inbox(r);
        STAILQ_CONCAT(&r->turn, &r->ready);
    }
    ph_async_wake_due();
    my_stint = NO_STINT;
    ph_self.reactor = NULL;
    return false;
}

/* --- life --- */

void ph_reactors_poll(unsigned microseconds, unsigned cores)
{
    poll_ns = (uint64_t)microseconds * 1000;
    poll_cores = cores;
    atomic_store(&poll_slots, (int)(cores / 2));
}

static int reactor_init(struct ph_reactor *r)
{
    pthread_mutex_init(&r->mu, NULL);
    STAILQ_INIT(&r->ready);
    STAILQ_INIT(&r->turn);
    STAILQ_INIT(&r->late);
    STAILQ_INIT(&r->turn_end);
    STAILQ_INIT(&r->inbox_locks);
    STAILQ_INIT(&r->inbox_tasks);
    r->buffer = ph_alloc(READ_BUFFER);
    r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    r->base = event_base_new();
    if (r->wake_fd < 0 || !r->base || !(r->alarms = ph_alarms_new(r->base)))
        return errno ? errno : ENOMEM;
    r->wake_event = event_new(r->base, r->wake_fd, EV_READ | EV_PERSIST, on_wake, r);
    return r->wake_event && event_add(r->wake_event, NULL) == 0 ? 0 : ENOMEM;
}

int ph_reactor_create(unsigned count)
{
    reactors = ph_calloc(count, sizeof *reactors);
    for (; reactor_count < count; reactor_count++) {
        int err = reactor_init(&reactors[reactor_count]);
        if (err)
            return err;
    }
    return 0;
}

void ph_reactors_wake(void)
{
    for (unsigned i = 0; i < reactor_count; i++)
        wake(&reactors[i]);
}

void ph_reactors_stop(void)
{
    atomic_store_explicit(&stopping, true, memory_order_release);
    ph_reactors_wake();
}

void ph_reactor_destroy_all(void)
{
    for (unsigned i = 0; i < reactor_count; i++) {
        event_free(reactors[i].wake_event);
        ph_alarms_free(reactors[i].alarms);
        event_base_free(reactors[i].base);
        close(reactors[i].wake_fd);
        ph_free(reactors[i].buffer);
        pthread_mutex_destroy(&reactors[i].mu);
    }
    ph_free(reactors);
    reactor_count = 0;
}

struct ph_reactor *ph_reactor_at(unsigned index)
{
    return index < reactor_count ? &reactors[index] : NULL;
}

struct ph_reactor *ph_reactor_next(void)
{
    return &reactors[atomic_fetch_add_explicit(&next_reactor, 1, memory_order_relaxed) % reactor_count];
}

struct ph_reactor *ph_reactor_first(void)
{
    return &reactors[0];
}

struct ph_alarms *ph_reactor_alarms(struct ph_reactor *r)
{
    return r->alarms;
}

struct event_base *ph_reactor_base(struct ph_reactor *r)
{
    return r->base;
}

uint8_t *ph_reactor_buffer(struct ph_reactor *r, size_t *size)
{
    *size = READ_BUFFER;
    return r->buffer;
}
