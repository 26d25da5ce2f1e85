/* SPDX-License-Identifier: Apache-2.0 */
/* Who uses a driver: processes that have loaded it, each of one connection. In jobs of ddll's lock; that a process has ended comes from any thread. */
#include <search.h>

#include "base/mem.h"
#include "driver/ddll_struct.h"

static void *users; /* a tree by connection, process, driver: all that are in the lists of drivers */

static int order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_peer(const void *key, const void *user)
{
    const struct ph_user *a = key, *b = user;
    return order((uintptr_t)a->peer, (uintptr_t)b->peer);
}

static int by_all(const void *key, const void *user)
{
    const struct ph_user *a = key, *b = user;
    int result = by_peer(a, b);
    if (!result)
        result = order(a->pid, b->pid);
    return result ? result : order((uintptr_t)a->driver, (uintptr_t)b->driver);
}

static struct ph_user *find(const struct ph_user *key, int (*compare)(const void *key, const void *user))
{
    struct ph_user *const *found = tfind(key, &users, compare);
    return found ? *found : NULL;
}

struct ph_user *ph_user_find(struct ph_driver *d, ErlDrvTermData pid, struct ph_peer *peer)
{
    return find(&(struct ph_user){.driver = d, .peer = peer, .pid = pid}, by_all);
}

static void unref(void *arg)
{
    struct ph_user *u = arg;
    if (atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) != 1)
        return;
    ph_peer_unref(u->peer);
    ph_free(u);
}

/* NULL: no memory. */
static struct ph_user *new_user(struct ph_driver *d, const struct ph_ddll_req *req)
{
    struct ph_user *u = ph_calloc_try(1, sizeof *u);
    if (!u)
        return NULL;
    atomic_init(&u->refs, 1);
    u->driver = d;
    u->peer = ph_peer_ref(req->peer);
    u->pid = req->user;
    if (tsearch(u, &users, by_all)) {
        LIST_INSERT_HEAD(&d->users, u, link);
        return u;
    }
    unref(u);
    return NULL;
}

struct ph_user *ph_user_add(struct ph_driver *d, const struct ph_ddll_req *req, const char **why)
{
    struct ph_user *u = ph_user_find(d, req->user, req->peer);
    *why = "system_limit";
    if (!u && ph_peer_keep(req->peer, PH_DDLL_KEPT_LEAST)) {
        *why = "enomem";
        u = new_user(d, req);
        if (!u)
            ph_peer_unkeep(req->peer, PH_DDLL_KEPT_LEAST);
    }
    if (u)
        u->count++;
    return u;
}

static void down(struct ph_job *job)
{
    struct ph_user *u = (struct ph_user *)((char *)job - offsetof(struct ph_user, down));
    if (u->driver)
        ph_user_gone(u);
    unref(u);
}

/* Once for a user. Any thread. */
static void is_down(void *arg, uint64_t id)
{
    struct ph_user *u = arg;
    (void)id;
    atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
    u->down.run = down;
    ph_ddll_run(u->peer, &u->down);
}

void ph_user_watch(struct ph_user *u)
{
    if (u->count > 1)
        return;
    atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
    u->monitor = ph_monitor_new(u->peer, u->pid, is_down, unref, u);
    if (u->monitor)
        return;
    is_down(u, 0); /* its connection has just closed, or there is no memory to find out when it ends */
    unref(u);
}

void ph_user_free(struct ph_user *u)
{
    LIST_REMOVE(u, link);
    tdelete(u, &users, by_all);
    u->driver = NULL;
    ph_peer_unkeep(u->peer, PH_DDLL_KEPT_LEAST);
    if (u->monitor)
        ph_monitor_cancel(u->monitor);
    unref(u);
}

void ph_user_drop(struct ph_user *u)
{
    if (--u->count == 0)
        ph_user_free(u);
}

bool ph_user_is_only(struct ph_driver *d)
{
    struct ph_user *u = LIST_FIRST(&d->users);
    return u && u->count == 1 && !LIST_NEXT(u, link);
}

bool ph_user_forget(struct ph_peer *peer)
{
    struct ph_user *u = find(&(struct ph_user){.peer = peer}, by_peer);
    if (u)
        ph_user_gone(u);
    return u != NULL;
}
