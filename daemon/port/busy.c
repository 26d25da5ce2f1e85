/* SPDX-License-Identifier: Apache-2.0 */
/* What waits while a port is busy. The client is told and is expected to hold back its callers; commands that come all the same wait here,
 * in order, and so does whatever their callers send after them. */
#include "port/busy.h"

#include "peer/reply.h"
#include "term/words.h"

static void announce(struct ph_port *p)
{
    bool busy = p->busy || p->msgq_busy;
    if (busy == p->announced_busy)
        return;
    p->announced_busy = busy;
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 3);
    ph_w_atom(w, "busy");
    ph_w_uint(w, p->id);
    ph_w_bool(w, busy);
    ph_peer_commit(p->peer, w);
}

static void release(struct ph_port *p)
{
    if (!STAILQ_EMPTY(&p->held))
        ph_lock_requeue(atomic_load_explicit(&p->lock, memory_order_relaxed), &p->held);
}

void ph_busy_set(struct ph_port *p, bool on)
{
    if (p->busy == on || ph_port_state(p) >= PH_PORT_EXITING)
        return;
    p->busy = on;
    announce(p);
    if (!on)
        release(p);
}

static bool caller_waits(const struct ph_port *p, ErlDrvTermData caller)
{
    struct ph_job *j;
    STAILQ_FOREACH(j, &p->held, link)
        if (((struct ph_op *)j)->caller == caller)
            return true;
    return false;
}

/* Is it a command, directly or by Port ! {Owner, {command, Data}}? */
static bool is_command(const struct ph_op *op)
{
    if (op->what != PH_REQ_SEND)
        return op->what == PH_REQ_COMMAND && !op->force;
    struct ph_cur c = {op->data.p, op->data.p + op->data.len};
    struct ph_slice pid;
    uint32_t n;
    return ph_etf_tuple(&c, &n) == 0 && n == 2 && ph_etf_pid(&c, &pid) == 0 && ph_etf_tuple(&c, &n) == 0 && n == 2 &&
           ph_etf_is_atom(&c, "command") == 0;
}

bool ph_busy_holds(struct ph_port *p, struct ph_op *op)
{
    if (!(p->busy && is_command(op)) && (STAILQ_EMPTY(&p->held) || op->what == PH_REQ_EXIT || !caller_waits(p, op->caller)))
        return false;
    STAILQ_INSERT_TAIL(&p->held, &op->job, link);
    return true;
}

void ph_busy_accepted(struct ph_port *p, size_t bytes)
{
    atomic_fetch_add_explicit(&p->msgq_bytes, bytes, memory_order_relaxed);
}

static void check_msgq(struct ph_port *p)
{
    size_t bytes = atomic_load_explicit(&p->msgq_bytes, memory_order_relaxed);
    if (p->msgq_high == PH_MSGQ_DISABLED)
        p->msgq_busy = false;
    else if (bytes > p->msgq_high)
        p->msgq_busy = true;
    else if (bytes < p->msgq_low)
        p->msgq_busy = false;
    announce(p);
}

void ph_busy_executed(struct ph_port *p, size_t bytes)
{
    atomic_fetch_sub_explicit(&p->msgq_bytes, bytes, memory_order_relaxed);
    if (ph_port_state(p) == PH_PORT_LIVE)
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
    p->busy = p->msgq_busy = false;
    p->announced_busy = false; /* the exit event tells those who wait */
    release(p);
}
