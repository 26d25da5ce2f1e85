/* SPDX-License-Identifier: Apache-2.0 */
/* Operations: their memory, and which function runs which. */
#include "port/op.h"

#include <stddef.h>
#include <string.h>

#include "base/bin.h"
#include "base/log.h"
#include "base/pool.h"
#include "peer/reply.h"
#include "port/busy.h"
#include "term/words.h"

#define LINE 64u /* bytes of memory that come together */
#define CHARGE_LEAST 1024u /* bytes: small requests take time rather than memory, and many of them hold up what comes behind */

static void run(struct ph_job *job);

/* Is it worth to keep the frame? Not if most of it is something else. */
static bool is_bulk_of(struct ph_slice s, const ErlDrvBinary *b)
{
    return b && s.p >= (const uint8_t *)b->orig_bytes && s.p < (const uint8_t *)b->orig_bytes + b->orig_size && s.len >= (size_t)b->orig_size / 2;
}

/* An empty slice may have no address. */
static void copy(uint8_t *to, struct ph_slice s)
{
    if (s.len)
        memcpy(to, s.p, s.len);
}

/* Copies to a new driver binary, a byte free in front and behind. */
static int copy_to_binary(struct ph_op *op, struct ph_slice data)
{
    op->frame = ph_bin_new(data.len + 2);
    if (!op->frame)
        return -1;
    uint8_t *to = (uint8_t *)op->frame->orig_bytes + 1;
    memcpy(to, data.p, data.len);
    op->data = (struct ph_slice){to, data.len};
    return 0;
}

struct ph_op *ph_op_new(enum ph_request what, struct ph_port *port, struct ph_slice tag, struct ph_slice data, ErlDrvBinary *frame)
{
    bool refer = is_bulk_of(data, frame), inlined = !refer && data.len <= PH_OP_INLINE;
    size_t size = sizeof(struct ph_op) + tag.len + (inlined ? data.len + 2 : 0);
    struct ph_op *op = ph_pool_alloc(size);
    if (!op) {
        ph_port_unref(port);
        return NULL;
    }
    *op = (struct ph_op){.job.run = run, .size = size, .port = port, .what = what, .caller = PH_NIL, .tag = {op->body, tag.len}};
    copy(op->body, tag);
    if (inlined) {
        op->data = (struct ph_slice){op->body + tag.len + 1, data.len};
        copy(op->body + tag.len + 1, data);
    } else if (refer) {
        op->data = data;
        op->frame = ph_bin_ref(frame);
    } else if (copy_to_binary(op, data)) {
        ph_op_free(op);
        return NULL;
    }
    op->charge = tag.len + data.len < CHARGE_LEAST ? CHARGE_LEAST : sizeof *op + tag.len + data.len;
    ph_peer_charge(port->peer, op->charge);
    return op;
}

void ph_op_free(struct ph_op *op)
{
    if (op->charge)
        ph_peer_discharge(op->port->peer, op->charge);
    ph_bin_unref(op->frame);
    ph_port_unref(op->port);
    ph_pool_free(op, op->size);
}

/* Among very many ports nearly every line of memory of a port comes from afar: all that the way to its lock needs shall come at once ... */
static void fetch_for_submit(struct ph_port *p)
{
    const struct ph_lock *l = atomic_load_explicit(&p->lock, memory_order_relaxed);
    for (size_t at = LINE; at <= offsetof(struct ph_port, stats); at += LINE)
        __builtin_prefetch((const char *)p + at, 1);
    for (size_t at = 0; l && at <= LINE; at += LINE)
        __builtin_prefetch((const char *)l + at, 1);
}

/* ... and what its jobs will need, while those of others are brought. */
static void fetch_for_run(struct ph_port *p)
{
    __builtin_prefetch(atomic_load_explicit(&p->data, memory_order_relaxed), 1);
    __builtin_prefetch(atomic_load_explicit(&p->data_head, memory_order_relaxed));
}

struct ph_port *ph_op_batch_port(struct ph_op_batch *b, struct ph_peer *peer, uint64_t id)
{
    if (!b->port || b->id != id) {
        ph_op_batch_submit(b);
        b->port = ph_peer_get_port(peer, id, ph_port_ref_obj);
        b->id = id;
        b->head.len = 0;
        STAILQ_INIT(&b->ops);
        if (b->port)
            fetch_for_submit(b->port);
    }
    return b->port ? ph_port_ref(b->port) : NULL;
}

void ph_op_batch_add(struct ph_op_batch *b, struct ph_op *op)
{
    op->counted = op->what == PH_REQ_COMMAND || op->what == PH_REQ_SEND;
    if (op->counted)
        ph_busy_accepted(op->port, op->data.len);
    STAILQ_INSERT_TAIL(&b->ops, &op->job, link);
}

void ph_op_batch_submit(struct ph_op_batch *b)
{
    struct ph_port *p = b->port;
    if (!p)
        return;
    b->port = NULL;
    fetch_for_run(p);
    if (!STAILQ_EMPTY(&b->ops))
        ph_port_submit_all(p, &b->ops);
    ph_port_unref(p);
}

static void close_port(struct ph_op *op)
{
    ph_port_exit_atom(op->port, "normal", PH_EXIT_NORMALLY);
    ph_reply_ok_atom(op->port->peer, op->tag, "true");
}

static void exit_port(struct ph_op *op)
{
    struct ph_cur c = {op->data.p, op->data.p + op->data.len};
    if (ph_etf_is_atom(&c, "kill") == 0)
        ph_port_exit_atom(op->port, "killed", PH_EXIT_KILLED);
    else
        ph_port_exit(op->port, op->data, PH_EXIT_NORMALLY);
}

/* A closing port has left the world of commands and owners, but still answers these. */
static bool may_run(const struct ph_op *op)
{
    enum ph_port_state state = ph_port_state(op->port);
    return state == PH_PORT_LIVE || (state == PH_PORT_CLOSING && (op->what == PH_REQ_CONTROL || op->what == PH_REQ_CALL || op->what == PH_REQ_INFO));
}

static void run_on_port(struct ph_op *op)
{
    switch (op->what) {
    case PH_REQ_COMMAND:
        ph_op_command(op);
        break;
    case PH_REQ_CONTROL:
        ph_op_control(op);
        break;
    case PH_REQ_CALL:
        ph_op_call(op);
        break;
    case PH_REQ_SEND:
        ph_op_send(op);
        break;
    case PH_REQ_CONNECT:
        ph_op_connect(op);
        break;
    case PH_REQ_CLOSE:
        close_port(op);
        break;
    case PH_REQ_EXIT:
        exit_port(op);
        break;
    case PH_REQ_INFO:
        ph_op_info(op);
        break;
    case PH_REQ_SET_DATA:
        ph_op_set_data(op);
        break;
    case PH_REQ_GET_DATA:
        ph_op_get_data(op);
        break;
    default:
        ph_fatal("request %d is not for ports", (int)op->what);
    }
}

static void run(struct ph_job *job)
{
    struct ph_op *op = (struct ph_op *)job;
    struct ph_port *p = op->port;
    if (ph_port_state(p) == PH_PORT_LIVE && ph_busy_holds(p, op))
        return;
    if (op->counted)
        ph_busy_executed(p, op->data.len);
    if (may_run(op))
        run_on_port(op);
    else if (op->tag.len)
        ph_reply_error_atom(p->peer, op->tag, op->what == PH_REQ_INFO ? "undefined" : "badarg");
    ph_op_free(op);
}
