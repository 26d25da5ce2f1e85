/* SPDX-License-Identifier: Apache-2.0 */
/* Process monitors: the host asks the peer that speaks for a process to say when it ends. A monitor belongs to the list of that peer,
 * whose mutex guards it; the id on the wire is a handle, so that a wrong or late `down` finds nothing. Whoever takes it out of the list fires or frees it. */
#include "base/handle.h"
#include "base/mem.h"
#include "peer/peer_struct.h"
#include "term/words.h"

struct ph_monitor {
    LIST_ENTRY(ph_monitor) link;
    struct ph_peer *peer; /* reference; who was asked */
    uint64_t id;
    bool listed; /* guarded by peer->mu */
    atomic_uint refs; /* the list's, and those of look-ups */
    void (*fired)(void *arg, uint64_t id);
    void (*unref)(void *arg);
    void *arg;
};

static struct ph_handles *ids;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_ids(void)
{
    ids = ph_handles_new();
}

void ph_monitors_init(void)
{
    pthread_once(&once, make_ids);
}

static void monitor_ref(void *m)
{
    atomic_fetch_add_explicit(&((struct ph_monitor *)m)->refs, 1, memory_order_relaxed);
}

static void monitor_unref(struct ph_monitor *m)
{
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    ph_peer_unref(m->peer);
    ph_free(m);
}

/* Under peer->mu. True for the one caller that gets the list's reference. */
static bool unlist_locked(struct ph_monitor *m)
{
    if (!m->listed)
        return false;
    m->listed = false;
    LIST_REMOVE(m, link);
    ph_handle_remove(ids, m->id);
    return true;
}

static void tell(struct ph_monitor *m, const char *event, const ErlDrvTermData *pid)
{
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, pid ? 3 : 2);
    ph_w_atom(w, event);
    ph_w_uint(w, m->id);
    if (pid)
        ph_w_word(w, *pid);
    ph_peer_commit(m->peer, w);
}

uint64_t ph_monitor_new(struct ph_peer *own, ErlDrvTermData pid, void (*fired)(void *, uint64_t), void (*unref)(void *), void *arg)
{
    ph_monitors_init();
    struct ph_monitor *m = ph_calloc_try(1, sizeof *m);
    if (!m)
        return 0;
    struct ph_peer *peer = ph_peer_for(own, pid);
    *m = (struct ph_monitor){.peer = peer, .fired = fired, .unref = unref, .arg = arg};
    atomic_init(&m->refs, 1);
    pthread_mutex_lock(&peer->mu);
    uint64_t id = ph_peer_is_open(peer) ? m->id = ph_handle_add(ids, m) : 0;
    if (id) {
        LIST_INSERT_HEAD(&peer->monitors, m, link);
        m->listed = true;
        monitor_ref(m);
    }
    pthread_mutex_unlock(&peer->mu);
    if (id)
        tell(m, "monitor", &pid);
    monitor_unref(m);
    return id;
}

/* The monitor with that id, new reference, or NULL. */
static struct ph_monitor *look_up(uint64_t id)
{
    ph_monitors_init();
    return ph_handle_get(ids, id, monitor_ref);
}

static bool unlist(struct ph_monitor *m)
{
    pthread_mutex_lock(&m->peer->mu);
    bool mine = unlist_locked(m);
    pthread_mutex_unlock(&m->peer->mu);
    return mine;
}

bool ph_monitor_cancel(uint64_t id)
{
    struct ph_monitor *m = look_up(id);
    if (!m)
        return false;
    bool mine = unlist(m);
    if (mine) {
        tell(m, "demonitor", NULL);
        m->unref(m->arg);
        monitor_unref(m);
    }
    monitor_unref(m);
    return mine;
}

bool ph_monitor_was_made(uint64_t id, const void *arg)
{
    struct ph_monitor *m = look_up(id);
    bool yes = m ? m->arg == arg : ph_handle_was_given(ids, id);
    if (m)
        monitor_unref(m);
    return yes;
}

/* With the list's reference, which it drops. */
static void fire(struct ph_monitor *m)
{
    m->fired(m->arg, m->id);
    m->unref(m->arg);
    monitor_unref(m);
}

void ph_monitor_down(struct ph_peer *p, uint64_t id)
{
    struct ph_monitor *m = look_up(id);
    if (!m)
        return;
    if (m->peer == p && unlist(m))
        fire(m);
    monitor_unref(m);
}

void ph_monitors_of_closed_peer(struct ph_peer *p)
{
    struct ph_monitors all = LIST_HEAD_INITIALIZER(all);
    struct ph_monitor *m;
    pthread_mutex_lock(&p->mu);
    while ((m = LIST_FIRST(&p->monitors))) {
        unlist_locked(m);
        LIST_INSERT_HEAD(&all, m, link);
    }
    pthread_mutex_unlock(&p->mu);
    while ((m = LIST_FIRST(&all))) {
        LIST_REMOVE(m, link);
        fire(m);
    }
}
