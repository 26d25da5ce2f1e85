/* SPDX-License-Identifier: Apache-2.0 */
/* What waits while a port is busy. The client is told and is expected to hold back its callers; commands that come all the same wait here,
 * in order, and so does whatever their callers send after them.
 *
 * busy_mu guards msgq_busy, announced_busy and the writing of `busy` in all ports: the queue becomes too long on the thread that brings a command,
 * while the port's lock may be running. It is taken only when something changes, and before peer->out_mu, since the events must come in the order of the changes. */
#include "port/busy.h"

#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"
#include "peer/reply.h"
#include "port/trace.h"
#include "term/words.h"

static pthread_mutex_t busy_mu = PTHREAD_MUTEX_INITIALIZER;

static void count_locked(struct ph_port *p, bool busy)
{
    uint64_t now = ph_now_ns();
    ph_driver_count(p->driver->slot, PH_DRIVER_BUSY_PORTS, busy ? 1 : UINT64_MAX);
    if (busy)
        p->stats.busy_since_ns = now;
    else
        ph_driver_count(p->driver->slot, PH_DRIVER_BUSY_NS, now - p->stats.busy_since_ns);
}

static void announce_locked(struct ph_port *p)
{
    bool busy = p->busy || p->msgq_busy;
    if (busy == p->announced_busy || ph_port_state(p) != PH_PORT_LIVE) /* of a port that opens nobody knows yet: ph_busy_begin */
        return;
    p->announced_busy = busy;
    count_locked(p, busy);
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 3);
    ph_w_atom(w, "busy");
    ph_w_uint(w, p->id);
    ph_w_bool(w, busy);
    ph_peer_commit(p->peer, w);
    if (ph_traced(p))
        ph_trace_busy(p, busy);
}

struct ph_held {
    struct ph_jobs jobs;   /* never empty */
    struct ph_map callers; /* of those, to anything but NULL */
    bool everybody;        /* there was no memory for one of the callers: whatever comes waits, so that nothing overtakes */
};

static void release(struct ph_port *p)
{
    struct ph_held *held = p->held;
    if (!held)
        return;
    p->held = NULL;
    ph_map_clear(&held->callers);
    ph_lock_requeue(atomic_load_explicit(&p->lock, memory_order_relaxed), &p->lane, &held->jobs);
    ph_free(held);
}

static void hold(struct ph_port *p, struct ph_op *op)
{
    if (!p->held) {
        p->held = ph_calloc(1, sizeof *p->held);
        STAILQ_INIT(&p->held->jobs);
    }
    STAILQ_INSERT_TAIL(&p->held->jobs, &op->job, link);
    if (!ph_map_get(&p->held->callers, op->caller) && !ph_map_put(&p->held->callers, op->caller, p))
        p->held->everybody = true;
}

void ph_busy_set(struct ph_port *p, bool on)
{
    if (p->busy == on || ph_port_state(p) >= PH_PORT_EXITING)
        return;
    pthread_mutex_lock(&busy_mu);
    p->busy = on;
    announce_locked(p);
    pthread_mutex_unlock(&busy_mu);
    if (!on)
        release(p);
}

static bool caller_waits(const struct ph_port *p, ErlDrvTermData caller)
{
    return p->held && (p->held->everybody || ph_map_get(&p->held->callers, caller) != NULL);
}

bool ph_op_is_command(const struct ph_op *op)
{
    if (op->what != PH_REQ_SEND)
        return op->what == PH_REQ_COMMAND && !op->force;
    struct ph_cur c = {op->data.p, op->data.p + op->data.len};
    struct ph_slice pid;
    uint32_t n;
    return ph_etf_tuple(&c, &n) == 0 && n == 2 && ph_etf_pid(&c, &pid) == 0 && ph_etf_tuple(&c, &n) == 0 && n == 2 &&
           ph_etf_is_atom(&c, "command") == 0;
}

bool ph_busy_holds_now(struct ph_port *p, struct ph_op *op)
{
    if (!(p->busy && ph_op_is_command(op)) && (op->what == PH_REQ_EXIT || !caller_waits(p, op->caller)))
        return false;
    hold(p, op);
    return true;
}

/* The flag is set before the bytes are looked at for the last time, and whoever works bytes off looks at the flag afterwards: one of the two notices
 * that the queue is short again. */
static void check_msgq(struct ph_port *p)
{
    pthread_mutex_lock(&busy_mu);
    if (ph_port_state(p) == PH_PORT_LIVE) {
        size_t high = p->msgq_high;
        if (high != PH_MSGQ_DISABLED && p->msgq_bytes > high)
            p->msgq_busy = true;
        if (high == PH_MSGQ_DISABLED || p->msgq_bytes < p->msgq_low)
            p->msgq_busy = false;
        announce_locked(p);
    }
    pthread_mutex_unlock(&busy_mu);
}

void ph_busy_accepted(struct ph_port *p, size_t bytes)
{
    size_t before = atomic_fetch_add(&p->msgq_bytes, bytes), high = atomic_load_explicit(&p->msgq_high, memory_order_relaxed);
    if (before + bytes > high && !atomic_load_explicit(&p->msgq_busy, memory_order_relaxed))
        check_msgq(p);
}

void ph_busy_executed(struct ph_port *p, size_t bytes)
{
    size_t before = atomic_fetch_sub(&p->msgq_bytes, bytes);
    if (p->msgq_busy && before - bytes < p->msgq_low)
        check_msgq(p);
}

void ph_busy_begin(struct ph_port *p)
{
    check_msgq(p);
}

void ph_busy_msgq_limits(struct ph_port *p, ErlDrvSizeT *low, ErlDrvSizeT *high)
{
    ErlDrvSizeT new_low = low ? *low : 0, new_high = high ? *high : 0;
    bool off = p->msgq_high == PH_MSGQ_DISABLED;
    if (!off && (new_low == PH_MSGQ_DISABLED || new_high == PH_MSGQ_DISABLED)) {
        p->msgq_low = p->msgq_high = PH_MSGQ_DISABLED;
        check_msgq(p);
        return; /* the caller's words stay as they were */
    }
    if (!off && new_low) {
        p->msgq_low = new_low;
        if (p->msgq_high < new_low)
            p->msgq_high = new_low;
    }
    if (!off && new_high) {
        p->msgq_high = new_high;
        if (p->msgq_low > new_high)
            p->msgq_low = new_high;
    }
    if (low)
        *low = p->msgq_low;
    if (high)
        *high = p->msgq_high;
}

void ph_busy_end(struct ph_port *p)
{
    pthread_mutex_lock(&busy_mu);
    p->msgq_busy = false;
    p->busy = false;
    if (p->announced_busy)
        count_locked(p, false);
    p->announced_busy = false; /* the exit event tells those who wait */
    pthread_mutex_unlock(&busy_mu);
    release(p);
}
