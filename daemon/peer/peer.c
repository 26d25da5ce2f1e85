/* SPDX-License-Identifier: Apache-2.0 */
/* The outgoing half of a connection: frames are appended from any thread and written by the peer's reactor, once per turn. */
#include "peer/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/bin.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/flood.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "peer/peer_struct.h"
#include "term/words.h"

/* Bytes: above HIGH the connection is not read (and its ports get no input, if it is the unsent ones) until they are down to LOW. */
#define UNSENT_HIGH ph_limit(PH_LIMIT_UNSENT_PAUSE_BYTES)
#define UNSENT_LOW (UNSENT_HIGH / 4)
#define CHARGED_HIGH ph_limit(PH_LIMIT_REQUEST_BYTES)
#define CHARGED_LOW (CHARGED_HIGH / 4)
#define MAX_GRANTS 64u
#define KEEP_BUFFER (256u << 10) /* a thread's frame buffer that grew over this is given back */

static void (*input_again)(struct ph_peer *p);

static void drained_task(struct ph_task *task);

struct ph_peer *ph_peer_new(struct ph_reactor *r, int fd_out, uint64_t id, const struct ph_peer_owner *owner)
{
    struct ph_peer *p = ph_calloc_try(1, sizeof *p);
    if (!p)
        return NULL;
    atomic_init(&p->refs, 1);
    atomic_init(&p->origin, PH_ORIGIN_NONE);
    atomic_init(&p->names, (unsigned)ph_limit(PH_LIMIT_NEW_NAMES));
    p->id = id;
    p->reactor = r;
    p->owner = *owner;
    p->fd = fd_out;
    if (!ph_sending_init(p)) {
        ph_free(p);
        return NULL;
    }
    p->drained_task.run = drained_task;
    ph_lane_init(&p->lane);
    pthread_mutex_init(&p->mu, NULL);
    TAILQ_INIT(&p->members);
    LIST_INIT(&p->monitors);
    STAILQ_INIT(&p->grants);
    if (!ph_peer_list(p)) { /* last: from here on others meet it */
        pthread_mutex_destroy(&p->mu);
        event_free(p->writable);
        ph_sending_free(p);
        ph_free(p);
        return NULL;
    }
    return p;
}

struct ph_peer *ph_peer_ref(struct ph_peer *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void ph_peer_ref_obj(void *p)
{
    ph_peer_ref(p);
}

void ph_peer_unref(struct ph_peer *p)
{
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct ph_grant *g;
    while ((g = ph_peer_take_grant(p)))
        ph_peer_free_grant(g);
    ph_sending_free(p);
    ph_map_clear(&p->ports);
    pthread_mutex_destroy(&p->mu);
    ph_free(p);
}

uint64_t ph_peer_id(const struct ph_peer *p)
{
    return p->id;
}

struct ph_reactor *ph_peer_reactor(const struct ph_peer *p)
{
    return p->reactor;
}

struct ph_lane *ph_peer_lane(struct ph_peer *p)
{
    return &p->lane;
}

bool ph_peer_is_open(const struct ph_peer *p)
{
    return !atomic_load_explicit(&p->closed, memory_order_acquire);
}

atomic_uint *ph_peer_names(struct ph_peer *p)
{
    return &p->names;
}

bool ph_peer_keep(struct ph_peer *p, size_t bytes)
{
    if (atomic_fetch_add_explicit(&p->kept, bytes, memory_order_relaxed) + bytes <= ph_limit(PH_LIMIT_KEPT_BYTES))
        return true;
    ph_limit_met(PH_LIMIT_KEPT_BYTES);
    ph_peer_unkeep(p, bytes);
    return false;
}

void ph_peer_unkeep(struct ph_peer *p, size_t bytes)
{
    atomic_fetch_sub_explicit(&p->kept, bytes, memory_order_relaxed);
}

size_t ph_peer_unsent(const struct ph_peer *p)
{
    return atomic_load_explicit(&p->unsent, memory_order_relaxed);
}

/* --- holding back --- */

void ph_peer_maybe_input_again(struct ph_peer *p)
{
    if (atomic_load(&p->unsent) <= UNSENT_LOW && atomic_exchange(&p->input_held, false))
        input_again(p);
}

void ph_peer_maybe_drained(struct ph_peer *p)
{
    ph_peer_maybe_input_again(p);
    if (atomic_load(&p->unsent) <= UNSENT_LOW && atomic_load(&p->charged) <= CHARGED_LOW &&
        atomic_exchange(&p->held_back, false) && ph_peer_is_open(p))
        p->owner.drained(p->owner.conn);
}

void ph_peer_charge(struct ph_peer *p, size_t bytes)
{
    atomic_fetch_add_explicit(&p->charged, bytes, memory_order_relaxed);
}

/* With a reference to the peer. */
static void drained_task(struct ph_task *task)
{
    struct ph_peer *p = (struct ph_peer *)((char *)task - offsetof(struct ph_peer, drained_task));
    atomic_store(&p->drained_posted, false); /* first: who comes later posts it again */
    ph_peer_maybe_drained(p);
    ph_peer_unref(p);
}

void ph_peer_discharge(struct ph_peer *p, size_t bytes)
{
    size_t before = atomic_fetch_sub(&p->charged, bytes);
    if (before <= CHARGED_LOW || before - bytes > CHARGED_LOW || !atomic_load(&p->held_back))
        return;
    if (!atomic_exchange(&p->drained_posted, true)) {
        ph_peer_ref(p);
        ph_reactor_post(p->reactor, &p->drained_task);
    }
}

bool ph_peer_may_read(const struct ph_peer *cp)
{
    struct ph_peer *p = (struct ph_peer *)(uintptr_t)cp;
    bool many_unsent = atomic_load(&p->unsent) > UNSENT_HIGH;
    if (!many_unsent && atomic_load(&p->charged) <= CHARGED_HIGH)
        return true;
    /* Sequentially consistent with the loads in maybe_drained and discharge: either they see held_back, or we see the low counts. */
    if (!atomic_exchange(&p->held_back, true))
        ph_limit_met(many_unsent ? PH_LIMIT_UNSENT_PAUSE_BYTES : PH_LIMIT_REQUEST_BYTES);
    if (atomic_load(&p->unsent) > UNSENT_LOW || atomic_load(&p->charged) > CHARGED_LOW)
        return false;
    return atomic_exchange(&p->held_back, false);
}

void ph_peer_on_input_again(void (*again)(struct ph_peer *p))
{
    input_again = again;
}

bool ph_peer_may_input(struct ph_peer *p)
{
    if (atomic_load_explicit(&p->unsent, memory_order_relaxed) <= UNSENT_HIGH)
        return true;
    atomic_store(&p->input_held, true); /* as in ph_peer_may_read */
    if (atomic_load(&p->unsent) > UNSENT_LOW)
        return false;
    return atomic_exchange(&p->input_held, false);
}

/* --- the end --- */

void ph_peer_close(struct ph_peer *p)
{
    if (atomic_exchange(&p->closed, true))
        return;
    ph_peer_unlist(p);
    ph_peer_forget_origin(p);
    event_free(p->writable);
    p->writable = NULL;
    ph_peer_drop_output(p);
    ph_monitors_of_closed_peer(p);
}

/* --- ports --- */

bool ph_peer_may_add_port(struct ph_peer *p)
{
    bool may = ph_peer_port_count(p) < ph_limit(PH_LIMIT_PORTS);
    if (!may)
        ph_limit_met(PH_LIMIT_PORTS);
    return may;
}

enum ph_added ph_peer_add_port(struct ph_peer *p, uint64_t id, struct ph_member *m, void *port)
{
    enum ph_added added = PH_ADDED;
    pthread_mutex_lock(&p->mu);
    if (!ph_peer_is_open(p) || p->barred || ph_map_get(&p->ports, id))
        added = PH_ADDED_IN_USE;
    else if (!ph_map_put(&p->ports, id, port))
        added = PH_ADDED_NO_MEMORY;
    else
        ph_member_add(&p->members, m, port);
    pthread_mutex_unlock(&p->mu);
    return added;
}

void ph_peer_remove_port(struct ph_peer *p, uint64_t id, struct ph_member *m)
{
    pthread_mutex_lock(&p->mu);
    if (ph_map_del(&p->ports, id)) {
        ph_member_remove(&p->members, m);
        p->untold++;
    }
    pthread_mutex_unlock(&p->mu);
}

void ph_peer_port_told(struct ph_peer *p)
{
    pthread_mutex_lock(&p->mu);
    p->untold--;
    pthread_mutex_unlock(&p->mu);
}

void *ph_peer_get_port(struct ph_peer *p, uint64_t id, void (*ref)(void *port))
{
    pthread_mutex_lock(&p->mu);
    void *port = ph_map_get(&p->ports, id);
    if (port)
        ref(port);
    pthread_mutex_unlock(&p->mu);
    return port;
}

void ph_peer_bar_ports(struct ph_peer *p)
{
    pthread_mutex_lock(&p->mu);
    p->barred = true;
    pthread_mutex_unlock(&p->mu);
}

void ph_peer_walk_ports(struct ph_peer *p, struct ph_walk *w)
{
    pthread_mutex_lock(&p->mu);
    ph_walk_begin(&p->members, w);
    pthread_mutex_unlock(&p->mu);
}

bool ph_peer_walk_some(struct ph_peer *p, struct ph_walk *w, size_t n, void (*fn)(void *port, void *arg), void *arg)
{
    pthread_mutex_lock(&p->mu);
    bool more = ph_walk_some(&p->members, w, n, fn, arg);
    pthread_mutex_unlock(&p->mu);
    return more;
}

void ph_peer_walk_give_up(struct ph_peer *p, struct ph_walk *w)
{
    pthread_mutex_lock(&p->mu);
    ph_walk_give_up(&p->members, w);
    pthread_mutex_unlock(&p->mu);
}

size_t ph_peer_port_count(struct ph_peer *p)
{
    pthread_mutex_lock(&p->mu);
    size_t n = p->ports.n;
    pthread_mutex_unlock(&p->mu);
    return n;
}

bool ph_peer_has_ports(struct ph_peer *p)
{
    pthread_mutex_lock(&p->mu);
    bool any = p->ports.n > 0 || p->untold > 0;
    pthread_mutex_unlock(&p->mu);
    return any;
}

bool ph_peer_grant(struct ph_peer *p, uint64_t id, struct ph_slice term)
{
    struct ph_grant *g = ph_alloc_try(sizeof *g + term.len);
    if (!g)
        return false;
    g->id = id;
    g->len = term.len;
    memcpy(g->term, term.p, term.len);
    pthread_mutex_lock(&p->mu);
    bool ok = p->grant_count < MAX_GRANTS && ph_peer_is_open(p);
    if (ok) {
        STAILQ_INSERT_TAIL(&p->grants, g, link);
        p->grant_count++;
    }
    pthread_mutex_unlock(&p->mu);
    if (!ok)
        ph_peer_free_grant(g);
    return ok;
}

struct ph_grant *ph_peer_take_grant(struct ph_peer *p)
{
    pthread_mutex_lock(&p->mu);
    struct ph_grant *g = STAILQ_FIRST(&p->grants);
    if (g) {
        STAILQ_REMOVE_HEAD(&p->grants, link);
        p->grant_count--;
    }
    pthread_mutex_unlock(&p->mu);
    return g;
}

void ph_peer_return_grant(struct ph_peer *p, struct ph_grant *g)
{
    pthread_mutex_lock(&p->mu);
    STAILQ_INSERT_HEAD(&p->grants, g, link);
    p->grant_count++;
    pthread_mutex_unlock(&p->mu);
}

void ph_peer_free_grant(struct ph_grant *g)
{
    ph_free(g);
}
