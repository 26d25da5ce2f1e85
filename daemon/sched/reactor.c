/* SPDX-License-Identifier: Apache-2.0 */
/* Reactors: threads with an event base each. A turn is: wait for events (their callbacks read frames, notice timers and ready fds,
 * and only submit jobs), do posted tasks, run the locks that became ready, then what was asked for at the end of the turn (one write per connection).
 * Drivers are entered only outside of event_base_loop. */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "sched/lock.h"

#define READ_BUFFER (256u * 1024u)

STAILQ_HEAD(tasks, ph_task);

struct ph_reactor {
    struct event_base *base;
    struct event *wake_event;
    int wake_fd;
    pthread_t thread;
    unsigned index;
    uint8_t *buffer;
    struct ph_locks ready; /* own thread only */
    struct tasks turn_end; /* own thread only */
    pthread_mutex_t mu;    /* guards the inbox; a leaf of the lock order */
    struct ph_locks inbox_locks;
    struct tasks inbox_tasks;
    bool woken; /* a wake-up is on its way */
};

static struct ph_reactor *reactors;
static unsigned reactor_count;
static atomic_uint next_reactor;
static atomic_bool stopping;

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

void ph_reactor_post(struct ph_reactor *r, struct ph_task *task)
{
    pthread_mutex_lock(&r->mu);
    STAILQ_INSERT_TAIL(&r->inbox_tasks, task, link);
    bool must_wake = !r->woken;
    r->woken = true;
    pthread_mutex_unlock(&r->mu);
    if (must_wake)
        wake(r);
}

void ph_reactor_take_lock(struct ph_reactor *r, struct ph_lock *l)
{
    if (ph_self.reactor == r) {
        STAILQ_INSERT_TAIL(&r->ready, l, link);
        return;
    }
    pthread_mutex_lock(&r->mu);
    STAILQ_INSERT_TAIL(&r->inbox_locks, l, link);
    bool must_wake = !r->woken;
    r->woken = true;
    pthread_mutex_unlock(&r->mu);
    if (must_wake)
        wake(r);
}

void ph_reactor_at_turn_end(struct ph_reactor *r, struct ph_task *task)
{
    STAILQ_INSERT_TAIL(&r->turn_end, task, link);
}

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
    r->woken = false;
    STAILQ_CONCAT(&tasks, &r->inbox_tasks);
    STAILQ_CONCAT(&r->ready, &r->inbox_locks);
    pthread_mutex_unlock(&r->mu);
    run_tasks(&tasks);
}

/* Each lock that is ready now gets one run; those that become ready meanwhile have their turn next, after new events. */
static void run_ready(struct ph_reactor *r)
{
    struct ph_locks now = STAILQ_HEAD_INITIALIZER(now);
    STAILQ_CONCAT(&now, &r->ready);
    while (!STAILQ_EMPTY(&now)) {
        struct ph_lock *l = STAILQ_FIRST(&now);
        STAILQ_REMOVE_HEAD(&now, link);
        ph_lock_run(l);
    }
}

static void *reactor_loop(void *arg)
{
    struct ph_reactor *r = arg;
    ph_self.kind = PH_THREAD_REACTOR;
    ph_self.reactor = r;
    while (!atomic_load_explicit(&stopping, memory_order_acquire) || !STAILQ_EMPTY(&r->ready)) {
        int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY | (STAILQ_EMPTY(&r->ready) ? 0 : EVLOOP_NONBLOCK);
        event_base_loop(r->base, flags);
        empty_inbox(r);
        run_ready(r);
        run_tasks(&r->turn_end);
    }
    return NULL;
}

static struct event_base *new_base(void)
{
    struct event_config *cfg = event_config_new();
    if (!cfg)
        return NULL;
    /* Without it timers run on a coarse clock and could be early. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER);
    struct event_base *base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    return base;
}

static int reactor_init(struct ph_reactor *r, unsigned index)
{
    r->index = index;
    pthread_mutex_init(&r->mu, NULL);
    STAILQ_INIT(&r->ready);
    STAILQ_INIT(&r->turn_end);
    STAILQ_INIT(&r->inbox_locks);
    STAILQ_INIT(&r->inbox_tasks);
    r->buffer = ph_alloc(READ_BUFFER);
    r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    r->base = new_base();
    if (r->wake_fd < 0 || !r->base)
        return errno ? errno : ENOMEM;
    r->wake_event = event_new(r->base, r->wake_fd, EV_READ | EV_PERSIST, on_wake, r);
    return r->wake_event && event_add(r->wake_event, NULL) == 0 ? 0 : ENOMEM;
}

int ph_reactors_start(unsigned count, size_t stack)
{
    reactors = ph_calloc(count, sizeof *reactors);
    for (; reactor_count < count; reactor_count++) {
        struct ph_reactor *r = &reactors[reactor_count];
        int err = reactor_init(r, reactor_count);
        char name[32];
        snprintf(name, sizeof name, "reactor-%u", reactor_count);
        if (!err && reactor_count > 0)
            err = ph_thread_start(&r->thread, name, stack, reactor_loop, r);
        if (err)
            return err;
    }
    return 0;
}

void ph_reactor_main(void)
{
    reactor_loop(&reactors[0]);
    /* still this thread's: what is left to do at the end (closing files, freeing) is done by it */
}

void ph_reactors_stop(void)
{
    atomic_store_explicit(&stopping, true, memory_order_release);
    for (unsigned i = 0; i < reactor_count; i++)
        wake(&reactors[i]);
}

void ph_reactors_join(void)
{
    for (unsigned i = 1; i < reactor_count; i++)
        pthread_join(reactors[i].thread, NULL);
    for (unsigned i = 0; i < reactor_count; i++) {
        event_free(reactors[i].wake_event);
        event_base_free(reactors[i].base);
        close(reactors[i].wake_fd);
        ph_free(reactors[i].buffer);
        pthread_mutex_destroy(&reactors[i].mu);
    }
    ph_free(reactors);
    reactor_count = 0;
}

struct ph_reactor *ph_reactor_next(void)
{
    return &reactors[atomic_fetch_add_explicit(&next_reactor, 1, memory_order_relaxed) % reactor_count];
}

struct ph_reactor *ph_reactor_first(void)
{
    return &reactors[0];
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
