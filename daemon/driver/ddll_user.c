/* SPDX-License-Identifier: Apache-2.0 */
/* Who uses a driver: processes that have loaded it, each of one connection. In jobs of ddll's lock. */
#include <search.h>

#include "driver/ddll_struct.h"

static void *users; /* a tree by connection, process, driver: all that are in the lists of drivers */

static int by_all(const void *key, const void *user)
{
    const struct ph_user *a = key, *b = user;
    int result = ph_watch_by_peer(a, b);
    if (!result)
        result = ph_watch_order(a->watch.pid, b->watch.pid);
    return result ? result : ph_watch_order((uintptr_t)a->watch.driver, (uintptr_t)b->watch.driver);
}

static struct ph_user *find(const struct ph_user *key, int (*compare)(const void *key, const void *user))
{
    struct ph_user *const *found = tfind(key, &users, compare);
    return found ? *found : NULL;
}

struct ph_user *ph_user_find(struct ph_driver *d, ErlDrvTermData pid, struct ph_peer *peer)
{
    return find(&(struct ph_user){.watch = {.driver = d, .peer = peer, .pid = pid}}, by_all);
}

static void gone(struct ph_watch *w)
{
    ph_user_gone((struct ph_user *)w);
}

/* NULL, and why. */
static struct ph_user *new_user(struct ph_driver *d, const struct ph_ddll_req *req, const char **why)
{
    struct ph_user *u = ph_watch_new(sizeof *u, req, gone, why);
    if (!u)
        return NULL;
    u->watch.driver = d;
    if (tsearch(u, &users, by_all)) {
        LIST_INSERT_HEAD(&d->users, u, link);
        return u;
    }
    ph_watch_end(&u->watch);
    return NULL;
}

struct ph_user *ph_user_add(struct ph_driver *d, const struct ph_ddll_req *req, const char **why)
{
    struct ph_user *u = ph_user_find(d, req->user, req->peer);
    if (!u)
        u = new_user(d, req, why);
    if (u)
        u->count++;
    return u;
}

void ph_user_watch(struct ph_user *u)
{
    if (u->count == 1 && !ph_watch_begin(&u->watch))
        ph_watch_is_over(&u->watch);
}

void ph_user_free(struct ph_user *u)
{
    LIST_REMOVE(u, link);
    tdelete(u, &users, by_all);
    ph_watch_end(&u->watch);
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
    struct ph_user *u = find(&(struct ph_user){.watch.peer = peer}, ph_watch_by_peer);
    if (u)
        ph_user_gone(u);
    return u != NULL;
}
