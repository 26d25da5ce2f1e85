/* SPDX-License-Identifier: Apache-2.0 */
/* All peers that are open, by the number of their connection. Any thread. */
#include "base/map.h"
#include "peer/peer_struct.h"

static pthread_mutex_t peers_mu = PTHREAD_MUTEX_INITIALIZER; /* guards these, and walks; a leaf of the lock order */
static struct ph_map by_id;
static struct ph_members peers = TAILQ_HEAD_INITIALIZER(peers);

bool ph_peer_list(struct ph_peer *p)
{
    pthread_mutex_lock(&peers_mu);
    bool listed = ph_map_put(&by_id, p->id, p);
    if (listed)
        ph_member_add(&peers, &p->among_all, p);
    pthread_mutex_unlock(&peers_mu);
    return listed;
}

void ph_peer_unlist(struct ph_peer *p)
{
    pthread_mutex_lock(&peers_mu);
    ph_map_del(&by_id, p->id);
    ph_member_remove(&peers, &p->among_all);
    pthread_mutex_unlock(&peers_mu);
}

struct ph_peer *ph_peer_by_id(uint64_t id)
{
    pthread_mutex_lock(&peers_mu);
    struct ph_peer *p = ph_map_get(&by_id, id);
    if (p)
        ph_peer_ref(p);
    pthread_mutex_unlock(&peers_mu);
    return p;
}

void ph_peers_walk(struct ph_walk *w)
{
    pthread_mutex_lock(&peers_mu);
    ph_walk_begin(&peers, w);
    pthread_mutex_unlock(&peers_mu);
}

bool ph_peers_walk_some(struct ph_walk *w, size_t n, void (*fn)(void *peer, void *arg), void *arg)
{
    pthread_mutex_lock(&peers_mu);
    bool more = ph_walk_some(&peers, w, n, fn, arg);
    pthread_mutex_unlock(&peers_mu);
    return more;
}

void ph_peers_walk_give_up(struct ph_walk *w)
{
    pthread_mutex_lock(&peers_mu);
    ph_walk_give_up(&peers, w);
    pthread_mutex_unlock(&peers_mu);
}
