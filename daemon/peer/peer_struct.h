/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a peer, for the files of this directory. */
#ifndef PH_PEER_STRUCT_H
#define PH_PEER_STRUCT_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <pthread.h>

#include "base/map.h"
#include "peer/peer.h"

LIST_HEAD(ph_monitors, ph_monitor);

enum ph_mute {
    PH_MUTE_NOT,
    PH_MUTE_UNTIL_GOODBYE, /* a frame is missing: nothing but goodbye may follow */
    PH_MUTE_FOR_EVER,      /* nothing can be written any more */
};

struct ph_peer {
    atomic_uint refs;
    uint64_t id;
    struct ph_reactor *reactor;
    struct ph_peer_owner owner; /* own reactor only */
    int fd;                     /* own reactor only */
    struct event *writable;     /* own reactor only; armed while `sending` is not empty and the fd was full */
    struct evbuffer *sending;   /* own reactor only; what could not be written at once */
    atomic_bool closed;
    atomic_uint mute; /* enum ph_mute: what is committed is dropped */
    atomic_size_t unsent;  /* bytes in out and sending */
    atomic_size_t charged; /* bytes of requests being worked on */
    atomic_bool held_back; /* its connection stopped reading and waits for `drained` */
    atomic_bool input_held; /* its ports' input waits for ph_peer_on_input_again's function */
    atomic_bool drained_posted; /* drained_task is on its way */
    struct ph_task drained_task;
    atomic_bool overflow;  /* too much is unsent: nothing is taken any more, the next flush ends it */
    atomic_bool starved;   /* there was no memory for a frame: the same */
    atomic_size_t kept;    /* bytes, see ph_peer_keep */
    struct ph_lane lane;   /* see ph_peer_lane */
    atomic_uint names;     /* how many new names it may still make known */
    atomic_uint origin;    /* PH_ORIGIN_NONE until hello names one */

    pthread_mutex_t out_mu; /* guards out, block, block_len, flush_due; a leaf of the lock order */
    struct evbuffer *out;
    uint8_t *block;   /* small frames, behind what is in out (sending.c); NULL: none since the last flush */
    size_t block_len;
    bool flush_due;
    struct ph_task post_task; /* brings flush_due to the reactor; in use while flush_due */

    pthread_mutex_t mu; /* guards ports, monitors, grants; taken before handle shards and lock->mu */
    struct ph_map ports;
    size_t untold; /* ports that are out of the map, but of whose end the client has not been told */
    struct ph_monitors monitors;
    STAILQ_HEAD(, ph_grant) grants;
    unsigned grant_count;
    bool barred; /* no more ports: the connection ends */

    bool routable;            /* these two: guarded by origins_mu */
    LIST_ENTRY(ph_peer) link; /* in the list of those that speak for a node */
};

void ph_peer_forget_origin(struct ph_peer *p); /* origin.c; for ph_peer_close */

bool ph_sending_init(struct ph_peer *p); /* these two: sending.c, for peer.c. False: no memory */
void ph_sending_free(struct ph_peer *p);
/* peer.c, on its reactor: less is unsent; those who waited for that go on. */
void ph_peer_maybe_drained(struct ph_peer *p);
void ph_peer_maybe_input_again(struct ph_peer *p);

#endif
