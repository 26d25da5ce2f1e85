/* SPDX-License-Identifier: Apache-2.0 */
/* One entry for each descriptor that drivers have asked about, in a table that only grows. Each has two events (read, write) on one reactor, which never change;
 * they are one-shot: a direction is disarmed when it fires, and armed again when the callback has been run and still wants it. So no direction
 * is ever queued twice, and level-triggered waiting costs nothing while a slow driver works.
 *
 * table_mu guards everything here; it is taken in the port's lock and before lock->mu. event_add and event_del_noblock are called under it:
 * the event callbacks take it, so nothing may wait for them. */
#include "port/select.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

#include "base/flood.h"
#include "base/mem.h"
#include "base/thread.h"
#include "port/callback.h"
#include "port/misuse.h"

enum { IN, OUT };
static const int bit[2] = {ERL_DRV_READ, ERL_DRV_WRITE};

struct direction {
    struct ph_fd *fd;
    struct event *event;
    uint64_t owner;  /* handle of the port that selected it, 0: nobody */
    unsigned epoch;  /* goes up when it is deselected: a callback queued before is void */
    bool queued;     /* fired, its job not done yet */
    bool parked;     /* in `parked`: fired while its port's client does not read, to be armed again when it does */
    LIST_ENTRY(direction) link;
    struct ph_lock *running_in; /* the lock in which its callback runs now, or NULL */
    struct ph_job job;     /* these three: while queued */
    struct ph_port *port;  /* reference */
    unsigned job_epoch;
};

struct ph_fd {
    int fd;
    bool always_ready; /* a regular file: the kernel cannot wait for it, and need not */
    struct direction dir[2];
    struct ph_driver *stopping; /* hold: stop_select is due when no callback runs any more */
};

static pthread_mutex_t table_mu = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, direction) parked = LIST_HEAD_INITIALIZER(parked);
static struct ph_fd **table;
static int table_size;
static size_t selected; /* directions with an owner */

static void run_ready(struct ph_job *job);

static void set_owner_locked(struct direction *d, uint64_t owner)
{
    selected += (size_t)(owner != 0) - (size_t)(d->owner != 0);
    d->owner = owner;
}

size_t ph_select_count(void)
{
    pthread_mutex_lock(&table_mu);
    size_t n = selected;
    pthread_mutex_unlock(&table_mu);
    return n;
}

/* --- arming --- */

static bool is_input(const struct direction *d)
{
    return d == &d->fd->dir[IN];
}

/* A port that waits for a descriptor must not wait for ever because the system has no memory to wait with: it ends. */
static void gone_bad(struct direction *d, int err)
{
    static const uint8_t enomem[] = "\x77\x06" "enomem";
    struct ph_port *p = err == ENOMEM || err == ENOSPC ? ph_port_by_handle(d->owner) : NULL;
    ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_ERROR, NULL, "select: fd %d cannot be waited for: %s; it is deselected", d->fd->fd, strerror(err));
    set_owner_locked(d, 0);
    d->epoch++;
    if (!p)
        return;
    ph_exit_later(p, (struct ph_slice){enomem, sizeof enomem - 1}, PH_EXIT_FAILED);
    ph_port_unref(p);
}

static void arm_locked(struct direction *d)
{
    short what = is_input(d) ? EV_READ : EV_WRITE;
    errno = 0;
    if (!d->fd->always_ready && event_add(d->event, NULL) == 0)
        return;
    if (!d->fd->always_ready && errno != EPERM) {
        gone_bad(d, errno ? errno : ENOMEM);
        return;
    }
    d->fd->always_ready = true;
    event_active(d->event, what, 0);
}

static void park_locked(struct direction *d)
{
    if (d->parked)
        return;
    d->parked = true;
    LIST_INSERT_HEAD(&parked, d, link);
}

void ph_select_input_again(struct ph_peer *peer)
{
    struct direction *d, *next;
    pthread_mutex_lock(&table_mu);
    for (d = LIST_FIRST(&parked); d; d = next) {
        struct ph_port *p = d->owner ? ph_port_by_handle(d->owner) : NULL;
        next = LIST_NEXT(d, link);
        if (!p || p->peer == peer) {
            d->parked = false;
            LIST_REMOVE(d, link);
            if (p && !d->queued)
                arm_locked(d);
        }
        if (p)
            ph_port_unref(p);
    }
    pthread_mutex_unlock(&table_mu);
}

/* Queues the callback of a direction whose event has fired. */
static void queue_locked(struct direction *d)
{
    struct ph_port *p = d->owner ? ph_port_by_handle(d->owner) : NULL;
    if (d->queued || !p) {
        if (d->owner && !p) /* its port is gone without deselecting: the registration goes too, the descriptor is not ours to close */
            set_owner_locked(d, 0);
        if (p)
            ph_port_unref(p);
        return;
    }
    if (is_input(d) && !ph_peer_may_input(p->peer)) {
        park_locked(d);
        ph_port_unref(p);
        return;
    }
    d->port = p;
    d->job_epoch = d->epoch;
    d->queued = true;
    ph_port_submit(p, &d->job);
}

static bool writable_now(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};
    return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLOUT | POLLERR | POLLHUP));
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct direction *d = arg;
    struct direction *out = &d->fd->dir[OUT];
    (void)what;
    pthread_mutex_lock(&table_mu);
    /* Output goes first if both are ready, whatever order the events come in. */
    if (d != out && out->owner && !out->queued && writable_now((int)fd)) {
        event_del_noblock(out->event);
        queue_locked(out);
    }
    queue_locked(d);
    pthread_mutex_unlock(&table_mu);
}

/* --- the callback --- */

static struct ph_driver *take_stopping_locked(struct ph_fd *f)
{
    if (f->dir[IN].running_in || f->dir[OUT].running_in)
        return NULL;
    struct ph_driver *d = f->stopping;
    f->stopping = NULL;
    return d;
}

static void stop_select(struct ph_driver *d, int fd)
{
    if (!d)
        return;
    ph_callback_stop_select(d, fd);
    ph_driver_release(d);
}

static bool wanted_locked(const struct direction *d)
{
    return d->epoch == d->job_epoch && d->owner == d->port->handle && ph_port_state(d->port) != PH_PORT_DEAD;
}

static void deselect_locked(struct direction *d)
{
    if (!d->owner)
        return;
    event_del_noblock(d->event);
    set_owner_locked(d, 0);
    d->epoch++;
}

static bool has_callback(const struct ph_port *p, int d)
{
    return d == OUT ? p->driver->entry.ready_output != NULL : p->driver->entry.ready_input != NULL;
}

static void run_ready(struct ph_job *job)
{
    struct direction *d = (struct direction *)((char *)job - offsetof(struct direction, job));
    struct ph_fd *f = d->fd;
    struct ph_port *p = d->port;
    pthread_mutex_lock(&table_mu);
    bool wanted = wanted_locked(d);
    d->running_in = wanted ? ph_self.lock : NULL;
    if (wanted && !has_callback(p, is_input(d) ? IN : OUT))
        deselect_locked(d);
    pthread_mutex_unlock(&table_mu);
    if (wanted)
        ph_callback_ready(p, f->fd, !is_input(d));
    pthread_mutex_lock(&table_mu);
    d->running_in = NULL;
    d->queued = false;
    if (d->owner)
        arm_locked(d);
    struct ph_driver *stopping = take_stopping_locked(f);
    pthread_mutex_unlock(&table_mu);
    stop_select(stopping, f->fd);
    ph_port_unref(p);
}

/* --- driver_select --- */

static int fd_limit(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_max > (1u << 20))
        return 1 << 20;
    return (int)lim.rlim_max;
}

/* NULL: no memory. */
static struct ph_fd *new_fd(struct ph_port *p, int fd)
{
    static const short what[2] = {EV_READ, EV_WRITE};
    struct ph_fd *f = ph_calloc_try(1, sizeof *f);
    for (int i = 0; f && i < 2; i++) {
        f->fd = fd;
        f->dir[i].fd = f;
        f->dir[i].job.run = run_ready;
        f->dir[i].event = event_new(ph_reactor_base(ph_peer_reactor(p->peer)), fd, what[i], on_event, &f->dir[i]);
    }
    if (!f || (f->dir[IN].event && f->dir[OUT].event))
        return f;
    for (int i = 0; i < 2; i++)
        if (f->dir[i].event)
            event_free(f->dir[i].event);
    ph_free(f);
    return NULL;
}

/* False: no memory. */
static bool table_reaches_locked(int fd)
{
    if (fd < table_size)
        return true;
    int size = table_size ? table_size : 64;
    while (size <= fd)
        size *= 2;
    struct ph_fd **larger = ph_realloc_try(table, (size_t)size * sizeof(struct ph_fd *));
    if (!larger)
        return false;
    memset(larger + table_size, 0, (size_t)(size - table_size) * sizeof(struct ph_fd *));
    table = larger;
    table_size = size;
    return true;
}

/* The entry for fd; NULL if there is none and create is false, or no memory. */
static struct ph_fd *entry_locked(struct ph_port *p, int fd, bool create)
{
    if (create ? !table_reaches_locked(fd) : fd >= table_size)
        return NULL;
    if (!table[fd] && create)
        table[fd] = new_fd(p, fd);
    return table[fd];
}

static void steal_locked(struct ph_port *p, struct direction *d)
{
    struct ph_where where;
    struct ph_port *from = ph_port_by_handle(d->owner);
    if (from) {
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_WARNING, ph_port_where(p, &where), "select takes fd %d over from another port", d->fd->fd);
        if (ph_checking())
            ph_fd_stolen(d->fd->fd);
        ph_port_unref(from);
    }
    deselect_locked(d);
}

static bool runs_elsewhere(const struct direction *d)
{
    return d->running_in && d->running_in != ph_self.lock;
}

static int select_on(struct ph_port *p, int fd, int mode)
{
    struct ph_driver *cancelled = NULL;
    pthread_mutex_lock(&table_mu);
    struct ph_fd *f = entry_locked(p, fd, true);
    if (!f) {
        pthread_mutex_unlock(&table_mu);
        return -1;
    }
    if (f->stopping) {
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_WARNING, &(struct ph_where){.driver = p->driver->name}, "fd %d is selected again before stop_select was called: it will not be", fd);
        cancelled = f->stopping;
        f->stopping = NULL;
    }
    for (int i = 0; i < 2; i++) {
        struct direction *d = &f->dir[i];
        if (!(mode & bit[i]) || d->owner == p->handle)
            continue;
        if (d->owner)
            steal_locked(p, d);
        if (!f->dir[!i].owner)
            f->always_ready = false; /* the number may stand for another file now */
        set_owner_locked(d, p->handle);
        if (!d->queued)
            arm_locked(d);
    }
    pthread_mutex_unlock(&table_mu);
    if (cancelled)
        ph_driver_release(cancelled);
    return 0;
}

static void select_off(struct ph_port *p, int fd, int mode)
{
    bool use = (mode & ERL_DRV_USE) != 0;
    bool callback = use && (mode & ERL_DRV_USE_NO_CALLBACK) != ERL_DRV_USE_NO_CALLBACK;
    struct ph_driver *stopping = NULL;
    pthread_mutex_lock(&table_mu);
    struct ph_fd *f = entry_locked(p, fd, false);
    for (int i = 0; f && i < 2; i++)
        if ((mode & bit[i] && f->dir[i].owner == p->handle) || callback)
            deselect_locked(&f->dir[i]);
    if (callback && !(f && f->stopping)) {
        ph_driver_hold(p->driver);
        stopping = p->driver;
        if (f && (runs_elsewhere(&f->dir[IN]) || runs_elsewhere(&f->dir[OUT]))) {
            f->stopping = stopping;
            stopping = NULL;
        }
    }
    pthread_mutex_unlock(&table_mu);
    stop_select(stopping, fd);
}

int ph_select(struct ph_port *p, int fd, int mode, bool on)
{
    if (fd < 0 || fd >= fd_limit())
        return -1;
    if (ph_checking() && !ph_fd_may_select(p, fd, mode, on))
        return -1;
    p->selects = true;
    if (on)
        return select_on(p, fd, mode);
    select_off(p, fd, mode);
    return 0;
}

void ph_select_drop(struct ph_port *p, int fd)
{
    select_off(p, fd, ERL_DRV_READ | ERL_DRV_WRITE);
}

void ph_select_forget(struct ph_port *p)
{
    if (!p->selects)
        return;
    p->selects = false;
    if (ph_checking())
        ph_fds_forget(p);
    pthread_mutex_lock(&table_mu);
    for (int fd = 0; fd < table_size; fd++)
        for (int i = 0; table[fd] && i < 2; i++)
            if (table[fd]->dir[i].owner == p->handle)
                deselect_locked(&table[fd]->dir[i]);
    pthread_mutex_unlock(&table_mu);
}

void ph_select_reused(int fd)
{
    pthread_mutex_lock(&table_mu);
    if (fd < table_size && table[fd])
        for (int i = 0; i < 2; i++)
            deselect_locked(&table[fd]->dir[i]);
    pthread_mutex_unlock(&table_mu);
}
