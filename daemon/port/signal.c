/* SPDX-License-Identifier: Apache-2.0 */
/* What a process sends to a port with `!`, and port_connect. In the port's lock. */
#include "peer/reply.h"
#include "port/op.h"
#include "term/words.h"

static void tell_owner_badsig(struct ph_port *p)
{
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 4);
    ph_w_atom(w, "signal");
    ph_w_uint(w, p->id);
    ph_w_word(w, p->owner);
    ph_w_atom(w, "badsig");
    ph_peer_commit(p->peer, w);
}

/* Hands the port over without linking anyone; the one who was named as owner is told. */
static void change_owner(struct ph_port *p, ErlDrvTermData old, ErlDrvTermData new_owner)
{
    struct ph_wbuf *w = ph_send_begin(old);
    ph_w_tuple(w, 2);
    ph_w_raw(w, ph_port_self(p), p->term_len);
    ph_w_atom(w, "connected");
    ph_port_set_owner(p, new_owner);
    ph_peer_commit_to(p->peer, old, w);
}

/* {Pid, _} with Pid the owner: the cursor is at the second element. */
static bool from_owner(const struct ph_port *p, struct ph_cur *c)
{
    struct ph_slice pid;
    ErlDrvTermData word;
    uint32_t arity;
    return ph_etf_tuple(c, &arity) == 0 && arity == 2 && ph_etf_pid(c, &pid) == 0 && ph_pid_word(pid, ph_peer_names(p->peer), &word) == 0 && word == p->owner;
}

/* {command, Data} or {connect, Pid}. False: neither, or the wrong type. */
static bool run_pair(struct ph_op *op, struct ph_cur *c)
{
    struct ph_port *p = op->port;
    struct ph_slice term;
    ErlDrvTermData new_owner;
    uint32_t arity;
    size_t size;
    if (ph_etf_tuple(c, &arity) || arity != 2)
        return false;
    if (ph_etf_is_atom(c, "command") == 0) {
        if (ph_iodata_size(*c, &size) || ph_etf_raw(c, &term))
            return false;
        ph_port_command(p, op->caller, term, op->frame);
        return true;
    }
    if (ph_etf_is_atom(c, "connect") || ph_etf_pid(c, &term) || ph_pid_word(term, ph_peer_names(p->peer), &new_owner))
        return false;
    change_owner(p, p->owner, new_owner);
    return true;
}

void ph_op_send(struct ph_op *op)
{
    struct ph_port *p = op->port;
    struct ph_cur c = {op->data.p, op->data.p + op->data.len};
    if (!from_owner(p, &c)) {
        tell_owner_badsig(p);
    } else if (ph_etf_is_atom(&c, "close") == 0) {
        p->close_wanted = true;
        ph_port_exit_atom(p, "normal", PH_EXIT_NORMALLY);
    } else if (!run_pair(op, &c)) {
        tell_owner_badsig(p);
    }
}

void ph_op_connect(struct ph_op *op)
{
    struct ph_port *p = op->port;
    ph_port_set_owner(p, op->pid);
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 3);
    ph_w_atom(w, "link");
    ph_w_uint(w, p->id);
    ph_w_word(w, op->pid);
    ph_peer_commit(p->peer, w);
    ph_reply_ok_atom(p->peer, op->tag, "true");
}
