/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a host: frames in both directions, over the pipes of a daemon of our own, a unix socket or TCP.
 * Nothing here blocks but the functions with a deadline (a time of ph_now_ms); all of them end early on an interrupt. One thread. */
#ifndef PH_CLI_CONN_H
#define PH_CLI_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "cli.h"
#include "etf.h"
#include "wbuf.h"

#define PH_NEVER INT64_MAX

enum ph_wait {
    PH_WAIT_FRAME,
    PH_WAIT_INPUT,   /* the other descriptor is readable, or there is room */
    PH_WAIT_TIMEOUT,
    PH_WAIT_LOST,    /* for good; ph_link_close says why */
    PH_WAIT_INTERRUPTED
};

struct ph_wait_for {
    int64_t deadline;
    int other_fd;    /* -1: none */
    bool until_room; /* until at most `room` bytes are unsent */
    size_t room;
    bool late;       /* ph_link_wait's own, as is what follows: the deadline has passed, */
    size_t left;     /* and so many of the bytes that had come by then are to be read */
};

struct ph_link;

int64_t ph_now_ms(void);

/* False with the reason in why: an address of that transport is not written like this. */
bool ph_link_address_ok(enum ph_transport transport, const char *address, char *why, size_t cap);

/* A new connection, to an address that is ok, to be freed by ph_link_close. NULL with the reason in why. */
struct ph_link *ph_link_open(const struct ph_cli *cli, int64_t deadline, char *why, size_t cap);

/* Queues a frame with a copy of what is in w. -1 without memory. */
int ph_link_send(struct ph_link *l, const struct ph_wbuf *w);

/* Queues bytes as they are, without the header of a frame. -1 without memory. */
int ph_link_send_raw(struct ph_link *l, const void *p, size_t len);

/* The descriptors, for one who passes on bytes instead of frames: read from *in, write to *out. They stay the link's. */
void ph_link_descriptors(const struct ph_link *l, int *in, int *out);

/* Tells the host that nothing more will be sent; what is unsent is dropped. It can still be read from. */
void ph_link_finish(struct ph_link *l);

/* Bytes queued that have not been written yet. They are written while waiting. */
size_t ph_link_unsent(const struct ph_link *l);

/* Waits for a frame, borrowed until the next call, or for one of the others. Frames that had come by the deadline are given first, and no others once it has
 * passed; the other descriptor, if it is readable, comes after each frame. */
enum ph_wait ph_link_wait(struct ph_link *l, struct ph_wait_for *w, struct ph_slice *frame);

/* Ends the connection and with it a daemon of our own, which gets that time to end by itself. why (may be NULL, cap 0): what went wrong
 * with either, empty if nothing. */
void ph_link_close(struct ph_link *l, int grace_ms, char *why, size_t cap);

#endif
