/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a port: references, states, and its end. The order of what is told to whom at the end is the VM's
 * (erl_driver(3) and what is observed there): exit signals, monitors, flush or stop, closed. */
#include "port/port.h"

#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "peer/reply.h"
#include "port/busy.h"
#include "port/callback.h"
#include "port/misuse.h"
#include "port/monitor.h"
#include "port/open.h"
#include "port/pdl.h"
#include "port/select.h"
#include "port/timer.h"
#include "port/trace.h"
#include "term/words.h"

static pthread_mutex_t pending_mu = PTHREAD_MUTEX_INITIALIZER; /* guards every port's lane while it has no lock; taken before lock->mu */

struct ph_port *ph_port_ref(struct ph_port *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void ph_port_ref_obj(void *p)
{
    ph_port_ref(p);
}

static void drop_ioq(struct ph_port *p)
{
    if (p->ioq)
        ph_ioq_clear(p->ioq);
    ph_free(p->ioq);
    p->ioq = NULL;
}

struct ph_ioq *ph_port_ioq(struct ph_port *p)
{
    if (!p->ioq)
        p->ioq = ph_calloc(1, sizeof *p->ioq);
    return p->ioq;
}

void ph_port_unref(struct ph_port *p)
{
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct ph_lock *lock = atomic_load(&p->lock);
    if (lock)
        ph_lock_unref(lock);
    if (p->driver)
        ph_driver_release(p->driver);
    ph_timer_free(p->timer);
    drop_ioq(p);
    ph_peer_unkeep(p->peer, p->term_len + strlen(ph_port_name(p)));
    ph_peer_unref(p->peer);
    ph_free(p->data_head);
    ph_free(p);
}

const struct ph_where *ph_port_where(const struct ph_port *p, struct ph_where *where)
{
    *where = (struct ph_where){.connection = ph_peer_id(p->peer), .has_port = true, .port = p->id};
    where->driver = p->driver ? p->driver->name : ph_port_name(p);
    return where;
}

void ph_port_submit_all(struct ph_port *p, struct ph_jobs *jobs)
{
    struct ph_lock *lock = atomic_load_explicit(&p->lock, memory_order_acquire);
    if (!lock) {
        pthread_mutex_lock(&pending_mu);
        lock = atomic_load_explicit(&p->lock, memory_order_relaxed);
        if (!lock)
            STAILQ_CONCAT(&p->lane.jobs, jobs);
        pthread_mutex_unlock(&pending_mu);
    }
    if (lock)
        ph_lock_submit_all(lock, &p->lane, jobs);
}

void ph_port_submit(struct ph_port *p, struct ph_job *job)
{
    struct ph_jobs one = STAILQ_HEAD_INITIALIZER(one);
    STAILQ_INSERT_TAIL(&one, job, link);
    ph_port_submit_all(p, &one);
}

void ph_port_set_lock(struct ph_port *p, struct ph_lock *l, struct ph_job *first)
{
    pthread_mutex_lock(&pending_mu);
    if (first)
        STAILQ_INSERT_HEAD(&p->lane.jobs, first, link);
    ph_lock_adopt(l, &p->lane);
    atomic_store_explicit(&p->lock, ph_lock_ref(l), memory_order_release);
    pthread_mutex_unlock(&pending_mu);
}

void ph_port_set_state(struct ph_port *p, enum ph_port_state state)
{
    enum ph_port_state old = ph_port_state(p);
    if (state != old + 1 && !(old == PH_PORT_EXITING && state == PH_PORT_DEAD) && !(old == PH_PORT_OPENING && state == PH_PORT_DEAD))
        ph_fatal("port %llu: state %d cannot follow %d", (unsigned long long)p->id, (int)state, (int)old);
    atomic_store_explicit(&p->state, (unsigned char)state, memory_order_release);
    if (state == PH_PORT_LIVE)
        ph_driver_count(p->driver->slot, PH_DRIVER_OPENS, 1);
    if (state == PH_PORT_DEAD && old != PH_PORT_OPENING)
        ph_driver_count(p->driver->slot, PH_DRIVER_CLOSES, 1);
}

void ph_port_set_owner(struct ph_port *p, ErlDrvTermData owner)
{
    p->owner = owner;
    ph_free(p->data_head);
    p->data_head = NULL;
}

void ph_port_await_lock(struct ph_port *p)
{
    (void)p;
    pthread_mutex_lock(&pending_mu);
    pthread_mutex_unlock(&pending_mu);
}

size_t ph_port_queue_size(struct ph_port *p)
{
    struct ph_pdl *pdl = ph_port_pdl_enter(p);
    size_t size = ph_port_queued(p);
    ph_port_pdl_leave(pdl);
    return size;
}

/* --- the end --- */

static void tell_exit(struct ph_port *p, struct ph_slice reason)
{
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 3);
    ph_w_atom(w, "exit");
    ph_w_uint(w, p->id);
    ph_w_raw(w, reason.p, reason.len);
    ph_peer_commit(p->peer, w);
    if (ph_traced(p))
        ph_trace_exit(p, reason);
}

static void tell_closed(struct ph_port *p)
{
    struct ph_wbuf *w;
    if (p->close_wanted) {
        w = ph_send_begin(p->owner);
        ph_w_tuple(w, 2);
        ph_w_raw(w, ph_port_self(p), p->term_len);
        ph_w_atom(w, "closed");
        ph_peer_commit_to(p->peer, p->owner, w);
    }
    w = ph_peer_begin();
    ph_w_tuple(w, 2);
    ph_w_atom(w, "closed");
    ph_w_uint(w, p->id);
    ph_peer_commit(p->peer, w);
}

static void drop_queue(struct ph_port *p)
{
    struct ph_pdl *pdl = ph_port_pdl_enter(p);
    drop_ioq(p);
    ph_stat_queue(p, 0);
    ph_port_pdl_leave(pdl);
}

/* Frees what the port has and makes it unknown to everyone; the struct stays for those who hold it. */
static void bury(struct ph_port *p)
{
    ph_port_set_state(p, PH_PORT_DEAD);
    if (ph_checking())
        ph_port_remember_end(p);
    ph_timer_cancel(p); /* these two: of what stop() set up in spite of all */
    ph_monitors_drop(p);
    drop_queue(p);
    ph_port_pdl_drop(p);
    ph_line_free(p->line);
    p->line = NULL;
    ph_port_forget_data(p);
    ph_trace_closed(p);
    ph_peer_remove_port(p->peer, p->id, &p->of_peer);
}

static void terminate(struct ph_port *p)
{
    if (p->terminating) /* a failure function inside stop() */
        return;
    p->terminating = true;
    ph_timer_cancel(p);
    ph_select_forget(p);
    ph_callback_stop(p);
    ph_select_forget(p);
    atomic_fetch_sub(&p->driver->ports, 1);
    bury(p);
    tell_closed(p);
    ph_peer_port_told(p->peer);
    ph_port_unlist(p);
}

void ph_port_abandon(struct ph_port *p)
{
    ph_select_forget(p);
    if (p->driver)
        atomic_fetch_sub(&p->driver->ports, 1);
    bury(p);
    ph_port_unlist(p);
}

/* The VM counts the bytes of a failed port as gone at once, so that sizeq says 0 in stop. */
static void forget_queue_size(struct ph_port *p)
{
    struct ph_pdl *pdl = ph_port_pdl_enter(p);
    if (p->ioq)
        p->ioq->size = 0;
    ph_port_pdl_leave(pdl);
}

void ph_port_exit(struct ph_port *p, struct ph_slice reason, enum ph_exit_how how)
{
    enum ph_port_state state = ph_port_state(p);
    if (state == PH_PORT_CLOSING && how == PH_EXIT_FAILED)
        terminate(p);
    if (state == PH_PORT_OPENING)
        ph_open_failed_in_start(p);
    if (state != PH_PORT_LIVE)
        return;
    ph_open_answer(p); /* of a driver that has not acknowledged yet */
    ph_port_set_state(p, PH_PORT_EXITING);
    ph_busy_end(p);
    tell_exit(p, reason);
    ph_monitors_drop(p);
    if (how == PH_EXIT_FAILED)
        forget_queue_size(p);
    if (how != PH_EXIT_NORMALLY || ph_port_queue_size(p) == 0) {
        terminate(p);
        return;
    }
    ph_port_set_state(p, PH_PORT_CLOSING);
    ph_callback_flush(p);
    ph_port_check_flushed(p);
}

void ph_port_exit_atom(struct ph_port *p, const char *reason, enum ph_exit_how how)
{
    uint8_t etf[2 + 255];
    size_t len = strlen(reason);
    if (len > 255)
        len = 255;
    etf[0] = 119; /* SMALL_ATOM_UTF8_EXT */
    etf[1] = (uint8_t)len;
    memcpy(etf + 2, reason, len);
    ph_port_exit(p, (struct ph_slice){etf, len + 2}, how);
}

void ph_port_check_flushed(struct ph_port *p)
{
    if (ph_port_state(p) == PH_PORT_CLOSING && ph_port_queue_size(p) == 0)
        terminate(p);
}
