/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to those who wait for a driver to be loaded or unloaded. In jobs of ddll's lock. */
#include <search.h>
#include <string.h>

#include "base/mem.h"
#include "driver/ddll_struct.h"
#include "peer/reply.h"
#include "term/words.h"

static void *waiters; /* a tree by connection, reference, and address, since a client may give a reference twice: all that are in the lists of drivers */

static int order(uintptr_t a, uintptr_t b)
{
    return a < b ? -1 : a > b;
}

static int by_peer(const void *key, const void *waiter)
{
    const struct ph_waiter *a = key, *b = waiter;
    return order((uintptr_t)a->peer, (uintptr_t)b->peer);
}

static int by_ref(const void *key, const void *waiter)
{
    const struct ph_waiter *a = key, *b = waiter;
    int result = by_peer(a, b);
    if (!result)
        result = order(a->ref.len, b->ref.len);
    return result ? result : memcmp(a->ref.p, b->ref.p, a->ref.len);
}

static int by_all(const void *key, const void *waiter)
{
    int result = by_ref(key, waiter);
    return result ? result : order((uintptr_t)key, (uintptr_t)waiter);
}

/* NULL: no memory. */
static struct ph_waiter *new_waiter(struct ph_driver *d, const struct ph_ddll_req *req, enum ph_ddll_when when)
{
    struct ph_waiter *w = ph_alloc_try(sizeof *w + req->ref.len);
    if (!w)
        return NULL;
    *w = (struct ph_waiter){.driver = d, .peer = req->peer, .pid = req->user, .when = when, .ref = {w->body, req->ref.len}};
    memcpy(w->body, req->ref.p, req->ref.len);
    if (!tsearch(w, &waiters, by_all)) {
        ph_free(w);
        return NULL;
    }
    ph_peer_ref(w->peer);
    TAILQ_INSERT_TAIL(&d->waiters[when], w, link);
    return w;
}

const char *ph_waiter_add(struct ph_driver *d, const struct ph_ddll_req *req, enum ph_ddll_when when)
{
    size_t size = sizeof(struct ph_waiter) + req->ref.len, kept = size < PH_DDLL_KEPT_LEAST ? PH_DDLL_KEPT_LEAST : size;
    if (!ph_peer_keep(req->peer, kept))
        return "system_limit";
    struct ph_waiter *w = new_waiter(d, req, when);
    if (!w) {
        ph_peer_unkeep(req->peer, kept);
        return "enomem";
    }
    w->kept = kept;
    return NULL;
}

static void drop(struct ph_waiter *w)
{
    TAILQ_REMOVE(&w->driver->waiters[w->when], w, link);
    tdelete(w, &waiters, by_all);
    ph_peer_unkeep(w->peer, w->kept);
    ph_peer_unref(w->peer);
    ph_free(w);
}

/* {send, Pid, {UpOrDown, Ref, driver, Name, _}} */
static struct ph_wbuf *message(const struct ph_waiter *to, const char *up_or_down, const char *name)
{
    struct ph_wbuf *w = ph_send_begin(to->pid);
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
        ph_peer_commit(i->peer, w);
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
        ph_peer_commit(i->peer, w);
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
    drop_found(&(struct ph_waiter){.peer = peer, .ref = ref}, by_ref);
}

bool ph_waiter_forget(struct ph_peer *peer)
{
    return drop_found(&(struct ph_waiter){.peer = peer}, by_peer);
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
