/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to those who wait for a driver to be loaded or unloaded. In jobs of ddll's lock. */
#include <search.h>
#include <string.h>

#include "driver/ddll_struct.h"
#include "peer/reply.h"
#include "term/words.h"

static void *waiters; /* a tree by connection, reference, and address, since a client may give a reference twice: all that are in the lists of drivers */

static int by_ref(const void *key, const void *waiter)
{
    const struct ph_waiter *a = key, *b = waiter;
    int result = ph_watch_by_peer(a, b);
    if (!result)
        result = ph_watch_order(a->ref.len, b->ref.len);
    return result ? result : memcmp(a->ref.p, b->ref.p, a->ref.len);
}

static int by_all(const void *key, const void *waiter)
{
    int result = by_ref(key, waiter);
    return result ? result : ph_watch_order((uintptr_t)key, (uintptr_t)waiter);
}

static void drop(struct ph_waiter *w)
{
    TAILQ_REMOVE(&w->watch.driver->waiters[w->when], w, link);
    tdelete(w, &waiters, by_all);
    ph_watch_end(&w->watch);
}

static void gone(struct ph_watch *w)
{
    drop((struct ph_waiter *)w);
}

const char *ph_waiter_add(struct ph_driver *d, const struct ph_ddll_req *req, enum ph_ddll_when when)
{
    const char *why;
    struct ph_waiter *w = ph_watch_new(sizeof *w + req->ref.len, req, gone, &why);
    if (!w)
        return why;
    w->when = when;
    w->ref = (struct ph_slice){w->body, req->ref.len};
    memcpy(w->body, req->ref.p, req->ref.len);
    if (!tsearch(w, &waiters, by_all)) {
        ph_watch_end(&w->watch);
        return why;
    }
    w->watch.driver = d;
    TAILQ_INSERT_TAIL(&d->waiters[when], w, link);
    if (ph_watch_begin(&w->watch))
        return NULL;
    drop(w);
    return why;
}

/* {send, Pid, {UpOrDown, Ref, driver, Name, _}} */
static struct ph_wbuf *message(const struct ph_waiter *to, const char *up_or_down, const char *name)
{
    struct ph_wbuf *w = ph_send_begin(to->watch.pid);
    ph_w_tuple(w, 5);
    ph_w_atom(w, up_or_down);
    ph_w_raw(w, to->ref.p, to->ref.len);
    ph_w_atom(w, "driver");
    ph_w_atom(w, name);
    return w;
}

static void tell_all(struct ph_driver *d, enum ph_ddll_when when, const char *up_or_down, const char *what)
{
    struct ph_waiter *i;
    while ((i = TAILQ_FIRST(&d->waiters[when]))) {
        struct ph_wbuf *w = message(i, up_or_down, d->name);
        ph_w_atom(w, what);
        ph_peer_commit(i->watch.peer, w);
        drop(i);
    }
}

void ph_waiters_tell(struct ph_driver *d, unsigned whens, const char *up_or_down, const char *what)
{
    for (unsigned when = 0; when < PH_DRIVER_WAITS; when++)
        if (whens & 1u << when)
            tell_all(d, (enum ph_ddll_when)when, up_or_down, what);
}

void ph_waiters_tell_load_failure(struct ph_driver *d, const struct ph_load_error *err)
{
    struct ph_waiter *i;
    while ((i = TAILQ_FIRST(&d->waiters[PH_WHEN_LOADED]))) {
        struct ph_wbuf *w = message(i, "DOWN", d->name);
        ph_w_tuple(w, 2);
        ph_w_atom(w, "load_failure");
        ph_w_load_error(w, err);
        ph_peer_commit(i->watch.peer, w);
        drop(i);
    }
}

static bool drop_found(const struct ph_waiter *key, int (*compare)(const void *key, const void *waiter))
{
    struct ph_waiter *const *found = tfind(key, &waiters, compare);
    if (found)
        drop(*found);
    return found != NULL;
}

void ph_waiter_remove(struct ph_peer *peer, struct ph_slice ref)
{
    drop_found(&(struct ph_waiter){.watch.peer = peer, .ref = ref}, by_ref);
}

bool ph_waiter_forget(struct ph_peer *peer)
{
    return drop_found(&(struct ph_waiter){.watch.peer = peer}, ph_watch_by_peer);
}

void ph_waiters_free(struct ph_driver *d)
{
    struct ph_waiter *i;
    for (unsigned when = 0; when < PH_DRIVER_WAITS; when++)
        while ((i = TAILQ_FIRST(&d->waiters[when])))
            drop(i);
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
