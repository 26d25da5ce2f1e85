/* SPDX-License-Identifier: Apache-2.0 */
/* A connection, for its two halves: conn.c, its life, and stream.c, the bytes that come in. It is only touched on its reactor, but for what is marked. */
#ifndef PH_CONN_STRUCT_H
#define PH_CONN_STRUCT_H

#include <event2/event.h>

#include "base/flood.h"
#include "conn/conn.h"
#include "conn/listing.h"
#include "etf.h"
#include "port/op.h"

struct ph_conn {
    LIST_ENTRY(ph_conn) link; /* guarded by list_mu of conn.c */
    struct ph_task start;
    struct ph_task shutdown;
    struct ph_task go_on; /* in the next turn: with the frames that are left, the listing or, if it ends, its ports */
    bool goes_on;         /* ... is posted. The connection is not freed then */
    bool shutdown_posted, finished; /* guarded by list_mu: the later of shutdown_task and finish frees */
    struct ph_access *access; /* reference; NULL: stdio */
    struct ph_newcomer *newcomer; /* NULL: not, or not any more; then timer is the time it has */
    struct ph_reactor *reactor;
    struct ph_peer *peer; /* reference */
    int fd_in, fd_out;
    struct event *timer; /* see ph_conn_set_timer */
    struct ph_where where;
    char client[48]; /* what where.client points to */
    bool hello;      /* it has said so */
    bool ending;
    enum ph_fault goodbye; /* to say when all ports are gone */
    const char *goodbye_detail; /* static, or NULL */
    bool more_ports; /* ending: there are some that have not been told so: */
    struct ph_walk ports;
    uint64_t ports_gone_ns;
    bool end_told; /* of stdio, to main */

    /* What comes in, see stream.c. */
    struct event *readable;
    bool no_input; /* regular file or closed: nothing to wait for */
    uint8_t header[PH_FRAME_HEADER];
    size_t header_got;
    ErlDrvBinary *frame; /* the incomplete frame, or NULL */
    size_t frame_got, frame_need;
    struct ph_op_batch batch; /* empty but while bytes are looked at */
    size_t frames, frame_bytes; /* of them, not counted yet */
    unsigned looked; /* frames, or parts of them, in this look at the input; see FRAMES_PER_CLOCK */
    uint64_t look_since_ns; /* when the clock was first read in it */
    struct ph_listing *listing; /* what the last frame asks for; it goes on, and no other is looked at before it is answered. Or NULL */
    uint8_t *stash; /* bytes that were read before reading was held back, or NULL */
    size_t stash_len;
};

static inline enum ph_flood ph_conn_flood(const struct ph_conn *c)
{
    return c->hello ? PH_FLOOD_CLIENTS : PH_FLOOD_NEWCOMERS;
}

/* --- conn.c --- */
/* Begins the end, if it has not begun: its ports exit, then goodbye is said, if there is a fault to tell. detail: static, or NULL. */
void ph_conn_end(struct ph_conn *c, enum ph_fault goodbye, const char *detail);
void ph_conn_go_on_later(struct ph_conn *c); /* in the reactor's next turn: with the listing, what has not been looked at or the ports that are left */
/* When it is looked at how the connection gets on (a client that is to say hello, reading that is held back, an end). NULL: not. Needs no memory. */
void ph_conn_set_timer(struct ph_conn *c, const struct timeval *after);

/* --- stream.c --- */
void ph_stream_on_readable(evutil_socket_t fd, short what, void *conn);
void ph_stream_arm(struct ph_conn *c); /* waits for bytes; may end the connection */
/* Goes on with what had been read when reading was held back, then with reading. */
void ph_stream_go_on(void *conn);
/* Reading is held back: ends the connection if the client is not there any more, else looks again in a second. */
void ph_stream_look(struct ph_conn *c);
bool ph_stream_is_deserted(const struct ph_conn *c); /* nobody can read any more what is written */

#endif
