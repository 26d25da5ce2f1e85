/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to those who wait for a driver to be loaded or unloaded. In jobs of ddll's lock. */
#include <string.h>

#include "base/mem.h"
#include "driver/ddll_struct.h"
#include "peer/reply.h"
#include "term/words.h"

void ph_waiter_add(struct ph_driver *d, const struct ph_ddll_req *req, enum ph_ddll_when when)
{
    struct ph_waiter *w = ph_alloc(sizeof *w + req->ref.len);
    *w = (struct ph_waiter){.peer = ph_peer_ref(req->peer), .pid = req->user, .when = when, .ref_len = req->ref.len};
    memcpy(w->ref, req->ref.p, req->ref.len);
    TAILQ_INSERT_TAIL(&d->waiters, w, link);
}

static void drop(struct ph_driver *d, struct ph_waiter *w)
{
    TAILQ_REMOVE(&d->waiters, w, link);
    ph_peer_unref(w->peer);
    ph_free(w);
}

/* {send, Pid, {UpOrDown, Ref, driver, Name, _}} */
static struct ph_wbuf *message(const struct ph_waiter *to, const char *up_or_down, const char *name)
{
    struct ph_wbuf *w = ph_send_begin(to->pid);
    ph_w_tuple(w, 5);
    ph_w_atom(w, up_or_down);
    ph_w_raw(w, to->ref, to->ref_len);
    ph_w_atom(w, "driver");
    ph_w_atom(w, name);
    return w;
}

void ph_waiters_tell(struct ph_driver *d, unsigned whens, const char *up_or_down, const char *what)
{
    struct ph_waiter *i, *next;
    for (i = TAILQ_FIRST(&d->waiters); i; i = next) {
        next = TAILQ_NEXT(i, link);
        if (!(whens & 1u << i->when))
            continue;
        struct ph_wbuf *w = message(i, up_or_down, d->name);
        ph_w_atom(w, what);
        ph_peer_commit(i->peer, w);
        drop(d, i);
    }
}

void ph_waiters_tell_load_failure(struct ph_driver *d, const struct ph_load_error *err)
{
    struct ph_waiter *i, *next;
    for (i = TAILQ_FIRST(&d->waiters); i; i = next) {
        next = TAILQ_NEXT(i, link);
        if (i->when != PH_WHEN_LOADED)
            continue;
        struct ph_wbuf *w = message(i, "DOWN", d->name);
        ph_w_tuple(w, 2);
        ph_w_atom(w, "load_failure");
        ph_w_load_error(w, err);
        ph_peer_commit(i->peer, w);
        drop(d, i);
    }
}

bool ph_waiter_remove(struct ph_driver *d, struct ph_peer *peer, struct ph_slice ref)
{
    struct ph_waiter *i;
    TAILQ_FOREACH(i, &d->waiters, link)
        if (i->peer == peer && i->ref_len == ref.len && memcmp(i->ref, ref.p, ref.len) == 0)
            break;
    if (i)
        drop(d, i);
    return i != NULL;
}

void ph_waiters_remove_of(struct ph_driver *d, const struct ph_peer *peer)
{
    struct ph_waiter *i, *next;
    for (i = TAILQ_FIRST(&d->waiters); i; i = next) {
        next = TAILQ_NEXT(i, link);
        if (i->peer == peer)
            drop(d, i);
    }
}

void ph_waiters_free(struct ph_driver *d)
{
    while (!TAILQ_EMPTY(&d->waiters))
        drop(d, TAILQ_FIRST(&d->waiters));
}

void ph_ddll_tell_now(const struct ph_ddll_req *req, const char *up_or_down, const char *what)
{
    struct ph_wbuf *w = ph_send_begin(req->user);
    ph_w_tuple(w, 5);
    ph_w_atom(w, up_or_down);
    ph_w_raw(w, req->ref.p, req->ref.len);
    ph_w_atom(w, "driver");
    ph_w_raw(w, req->name_term.p, req->name_term.len);
    ph_w_atom(w, what);
    ph_peer_commit(req->peer, w);
}

void ph_ddll_reply_pending(const struct ph_ddll_req *req, const char *what, bool with_ref)
{
    struct ph_wbuf *w = ph_reply_ok(req->tag);
    if (with_ref)
        ph_w_tuple(w, 2);
    ph_w_atom(w, what);
    if (with_ref)
        ph_w_raw(w, req->ref.p, req->ref.len);
    ph_peer_commit(req->peer, w);
}
