/* SPDX-License-Identifier: Apache-2.0 */
/* Which peer speaks for a node: what drivers send to a process goes to the connection whose hello named a process of that node. Any thread. */
#include "peer/peer_struct.h"
#include "term/words.h"

static pthread_mutex_t origins_mu = PTHREAD_MUTEX_INITIALIZER; /* guards the list; a leaf */
static LIST_HEAD(, ph_peer) with_origin = LIST_HEAD_INITIALIZER(with_origin);

void ph_peer_set_origin(struct ph_peer *p, ErlDrvTermData self, bool routable)
{
    pthread_mutex_lock(&origins_mu);
    atomic_store(&p->origin, ph_pid_origin(self));
    if (routable && !p->routable)
        LIST_INSERT_HEAD(&with_origin, p, link);
    p->routable = p->routable || routable;
    pthread_mutex_unlock(&origins_mu);
}

static bool speaks_for(const struct ph_peer *own, uint32_t origin)
{
    uint32_t mine = atomic_load_explicit(&((struct ph_peer *)(uintptr_t)own)->origin, memory_order_relaxed);
    return mine == origin || mine == PH_ORIGIN_NONE;
}

struct ph_peer *ph_peer_for(struct ph_peer *own, ErlDrvTermData pid)
{
    uint32_t origin = ph_pid_origin(pid);
    if (speaks_for(own, origin))
        return ph_peer_ref(own);
    struct ph_peer *p;
    pthread_mutex_lock(&origins_mu);
    LIST_FOREACH(p, &with_origin, link)
        if (atomic_load_explicit(&p->origin, memory_order_relaxed) == origin)
            break;
    p = ph_peer_ref(p ? p : own);
    pthread_mutex_unlock(&origins_mu);
    return p;
}

void ph_peer_commit_to(struct ph_peer *own, ErlDrvTermData pid, struct ph_wbuf *w)
{
    if (speaks_for(own, ph_pid_origin(pid))) {
        ph_peer_commit(own, w);
        return;
    }
    struct ph_peer *to = ph_peer_for(own, pid);
    ph_peer_commit(to, w);
    ph_peer_unref(to);
}

void ph_peer_forget_origin(struct ph_peer *p)
{
    pthread_mutex_lock(&origins_mu);
    if (p->routable)
        LIST_REMOVE(p, link);
    p->routable = false;
    pthread_mutex_unlock(&origins_mu);
}
