/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/listing.h"

#include "base/bin.h"
#include "base/mem.h"
#include "peer/reply.h"

/* In a piece, which takes a fraction of a millisecond: */
#define PORTS 200u
#define PEERS 32u

struct refs { /* references to objects of one kind */
    void **at;
    size_t n, cap;
};

struct ph_listing {
    struct ph_peer *to; /* borrowed */
    bool opening;       /* also ports that are opening */
    bool no_memory;
    void (*write)(struct ph_wbuf *w, const struct ph_port *p);
    bool more_peers;    /* than these: */
    struct ph_walk peers_walk;
    struct refs peers;  /* whose ports come next ... */
    size_t peer;        /* ... from this one on */
    bool more_ports;    /* of that one: */
    struct ph_walk ports_walk;
    struct refs ports;  /* of this piece */
    struct ph_wbuf piece; /* what is written about them */
    struct refs pieces; /* what has been written before, as driver binaries */
    size_t written;     /* ports */
    size_t tag_len;
    uint8_t tag[];
};

static bool add(struct refs *r, void *object)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        void **at = ph_realloc_try(r->at, cap * sizeof *at);
        if (!at)
            return false;
        r->at = at;
        r->cap = cap;
    }
    r->at[r->n++] = object;
    return true;
}

static void unref_peer(void *peer)
{
    ph_peer_unref(peer);
}

static void unref_port(void *port)
{
    ph_port_unref(port);
}

static void drop(struct refs *r, void (*unref)(void *object))
{
    for (size_t i = 0; i < r->n; i++)
        unref(r->at[i]);
    r->n = 0;
}

static void collect_peer(void *peer, void *arg)
{
    struct ph_listing *l = arg;
    if (!add(&l->peers, peer))
        l->no_memory = true;
    else
        ph_peer_ref(peer);
}

static void collect_port(void *port, void *arg)
{
    struct ph_listing *l = arg;
    enum ph_port_state state = ph_port_state(port);
    if (state == PH_PORT_DEAD || (state == PH_PORT_OPENING && !l->opening))
        return;
    if (!add(&l->ports, port))
        l->no_memory = true;
    else
        ph_port_ref(port);
}

struct ph_listing *ph_listing_new(struct ph_peer *to, struct ph_slice tag, bool all, bool opening, void (*write)(struct ph_wbuf *w, const struct ph_port *p))
{
    struct ph_listing *l = ph_calloc_try(1, sizeof *l + tag.len);
    if (!l) {
        ph_reply_error_atom(to, tag, "enomem");
        return NULL;
    }
    *l = (struct ph_listing){.to = to, .opening = opening, .write = write, .more_peers = all, .tag_len = tag.len};
    memcpy(l->tag, tag.p, tag.len);
    ph_wbuf_init(&l->piece, NULL);
    if (all)
        ph_peers_walk(&l->peers_walk);
    else
        collect_peer(to, l);
    return l;
}

void ph_listing_free(struct ph_listing *l)
{
    if (!l)
        return;
    if (l->more_ports)
        ph_peer_walk_give_up(l->peers.at[l->peer], &l->ports_walk);
    if (l->more_peers)
        ph_peers_walk_give_up(&l->peers_walk);
    drop(&l->peers, unref_peer);
    drop(&l->ports, unref_port);
    drop(&l->pieces, ph_bin_unref);
    ph_free(l->peers.at);
    ph_free(l->ports.at);
    ph_free(l->pieces.at);
    ph_wbuf_free(&l->piece);
    ph_free(l);
}

/* --- a piece --- */

/* Is there a peer whose ports are to be looked at? */
static bool has_peer(struct ph_listing *l)
{
    if (l->peer == l->peers.n && l->more_peers) {
        drop(&l->peers, unref_peer);
        l->peer = 0;
        l->more_peers = ph_peers_walk_some(&l->peers_walk, PEERS, collect_peer, l);
    }
    return l->peer < l->peers.n;
}

static void collect_of(struct ph_listing *l, struct ph_peer *peer)
{
    if (!l->more_ports)
        ph_peer_walk_ports(peer, &l->ports_walk);
    l->more_ports = ph_peer_walk_some(peer, &l->ports_walk, PORTS, collect_port, l);
    if (!l->more_ports)
        l->peer++;
}

/* True: there are more. */
static bool collect(struct ph_listing *l)
{
    for (unsigned peers = 0; l->ports.n < PORTS && peers < PEERS && has_peer(l); peers++)
        collect_of(l, l->peers.at[l->peer]);
    return l->more_ports || l->peer < l->peers.n || l->more_peers;
}

static void write_ports(struct ph_listing *l)
{
    for (size_t i = 0; i < l->ports.n; i++)
        l->write(&l->piece, l->ports.at[i]);
    l->written += l->ports.n;
    drop(&l->ports, unref_port);
}

/* The piece becomes a binary, to which the answer will refer: a long answer is never copied as a whole. */
static void put_aside(struct ph_listing *l)
{
    size_t len = l->piece.len;
    if (!len && !l->piece.failed)
        return;
    ErlDrvBinary *b = l->piece.failed ? NULL : ph_bin_new(len);
    if (!b || !add(&l->pieces, b)) {
        ph_bin_unref(b);
        l->no_memory = true;
        return;
    }
    memcpy(b->orig_bytes, l->piece.buf, len);
    ph_wbuf_reset(&l->piece);
}

static void answer(struct ph_listing *l)
{
    struct ph_slice tag = {l->tag, l->tag_len};
    if (l->no_memory || l->piece.failed || l->written > UINT32_MAX) {
        ph_reply_error_atom(l->to, tag, "enomem");
        return;
    }
    struct ph_wbuf *w = ph_reply_ok(tag);
    ph_w_list(w, (uint32_t)l->written);
    for (size_t i = 0; i < l->pieces.n; i++) {
        ErlDrvBinary *b = l->pieces.at[i];
        ph_w_raw_ref(w, b->orig_bytes, (size_t)b->orig_size, b);
    }
    l->pieces.n = 0;
    ph_w_raw(w, l->piece.buf, l->piece.len);
    if (l->written)
        ph_w_nil(w);
    ph_peer_commit(l->to, w);
}

bool ph_listing_go_on(struct ph_listing *l)
{
    bool more = collect(l);
    write_ports(l);
    if (more)
        put_aside(l);
    if (more && !l->no_memory)
        return false;
    answer(l);
    ph_listing_free(l);
    return true;
}
