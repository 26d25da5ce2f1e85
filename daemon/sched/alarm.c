/* SPDX-License-Identifier: Apache-2.0 */
/* A reactor's alarms: a heap by time, and one timerfd that is armed for the earliest. It is armed again only for something earlier, or when it has gone
 * off: an alarm that is cancelled leaves it as it is, so that setting and cancelling again and again costs no system calls.
 *
 * alarms->mu guards the heap; alarms ring under it, so it comes before what ring takes (pending_mu, lock->mu). */
#include "sched/alarm.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define AT_ONCE 256u /* ring before the reactor looks at other events and runs what they have brought */

struct ph_alarms {
    pthread_mutex_t mu; /* guards the rest */
    struct ph_alarm **heap; /* [0] is the first; alarm->at is its index + 1 */
    size_t n, cap;
    uint64_t order;
    uint64_t armed_ns; /* what the timerfd is set to; UINT64_MAX: nothing */
    int fd;
    struct event *event;
};

static bool before(const struct ph_alarm *a, const struct ph_alarm *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void put(struct ph_alarms *h, size_t i, struct ph_alarm *a)
{
    h->heap[i] = a;
    a->at = i + 1;
}

static void move_up(struct ph_alarms *h, size_t i, struct ph_alarm *a)
{
    for (; i > 0 && before(a, h->heap[(i - 1) / 2]); i = (i - 1) / 2)
        put(h, i, h->heap[(i - 1) / 2]);
    put(h, i, a);
}

static void move_down(struct ph_alarms *h, size_t i, struct ph_alarm *a)
{
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && before(h->heap[child + 1], h->heap[child]))
            child++;
        if (!before(h->heap[child], a))
            break;
        put(h, i, h->heap[child]);
    }
    put(h, i, a);
}

static bool has_room_locked(struct ph_alarms *h)
{
    if (h->n < h->cap)
        return true;
    size_t cap = h->cap ? 2 * h->cap : 16;
    struct ph_alarm **heap = ph_realloc_try(h->heap, cap * sizeof(struct ph_alarm *));
    if (!heap)
        return false;
    h->heap = heap;
    h->cap = cap;
    return true;
}

static void insert_locked(struct ph_alarms *h, struct ph_alarm *a)
{
    h->n++;
    move_up(h, h->n - 1, a);
}

static void remove_locked(struct ph_alarms *h, struct ph_alarm *a)
{
    size_t hole = a->at - 1;
    struct ph_alarm *last = h->heap[--h->n];
    a->at = 0;
    if (last == a)
        return;
    if (hole > 0 && before(last, h->heap[(hole - 1) / 2]))
        move_up(h, hole, last);
    else
        move_down(h, hole, last);
}

/* Arms the timerfd for the first alarm, unless it goes off before that anyway. */
static void arm_locked(struct ph_alarms *h)
{
    if (h->n == 0 || h->heap[0]->due_ns >= h->armed_ns)
        return;
    uint64_t due = h->armed_ns = h->heap[0]->due_ns;
    const struct itimerspec at = {.it_value = {.tv_sec = (time_t)(due / 1000000000u), .tv_nsec = due ? (long)(due % 1000000000u) : 1}};
    if (timerfd_settime(h->fd, TFD_TIMER_ABSTIME, &at, NULL))
        ph_fatal("timerfd_settime fails: errno %d", errno);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct ph_alarms *h = arg;
    uint64_t times;
    (void)what;
    while (read(fd, &times, sizeof times) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&h->mu);
    h->armed_ns = UINT64_MAX;
    uint64_t now = ph_now_ns();
    for (unsigned n = 0; n < AT_ONCE && h->n > 0 && h->heap[0]->due_ns <= now; n++) { /* for the others the timerfd is ready again at once */
        struct ph_alarm *a = h->heap[0];
        remove_locked(h, a);
        a->ring(a);
    }
    arm_locked(h);
    pthread_mutex_unlock(&h->mu);
}

bool ph_alarm_set(struct ph_reactor *r, struct ph_alarm *a, uint64_t due_ns)
{
    struct ph_alarms *h = ph_reactor_alarms(r);
    pthread_mutex_lock(&h->mu);
    if (a->at)
        remove_locked(h, a);
    a->due_ns = due_ns;
    a->order = ++h->order;
    bool room = has_room_locked(h);
    if (room) {
        insert_locked(h, a);
        arm_locked(h);
    }
    pthread_mutex_unlock(&h->mu);
    return room;
}

void ph_alarm_cancel(struct ph_reactor *r, struct ph_alarm *a)
{
    struct ph_alarms *h = ph_reactor_alarms(r);
    pthread_mutex_lock(&h->mu);
    if (a->at)
        remove_locked(h, a);
    pthread_mutex_unlock(&h->mu);
}

struct ph_alarms *ph_alarms_new(struct event_base *base)
{
    struct ph_alarms *h = ph_calloc(1, sizeof *h);
    pthread_mutex_init(&h->mu, NULL);
    h->armed_ns = UINT64_MAX;
    h->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    h->event = h->fd < 0 ? NULL : event_new(base, h->fd, EV_READ | EV_PERSIST, on_time, h);
    if (h->event && event_add(h->event, NULL) == 0)
        return h;
    int err = h->fd < 0 ? errno : ENOMEM;
    ph_alarms_free(h);
    errno = err;
    return NULL;
}

void ph_alarms_free(struct ph_alarms *h)
{
    if (h->event)
        event_free(h->event);
    if (h->fd >= 0)
        close(h->fd);
    pthread_mutex_destroy(&h->mu);
    ph_free(h->heap);
    ph_free(h);
}
