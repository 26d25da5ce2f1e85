/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon within this process, and clients of it over socket pairs, for the targets that try whole connections. Its threads are started once. */
#ifndef PH_FUZZ_HOST_H
#define PH_FUZZ_HOST_H

#include <stdbool.h>

#include "conn/conn.h"
#include "etf.h"
#include "fuzz.h"

struct fuzz_client {
    int fd;
    uint8_t *heard; /* from the daemon, since the connection began; grows, and is never freed */
    size_t len, cap;
};

void fuzz_host_start(void); /* unless it runs */
void fuzz_connect(struct fuzz_client *c, struct ph_access *rights, struct ph_newcomer *newcomer); /* as ph_conn_start */
void fuzz_send(struct fuzz_client *c, const uint8_t *p, size_t len); /* also reads what comes meanwhile; nothing if the daemon has ended the connection */
void fuzz_send_frame(struct fuzz_client *c, const uint8_t *p, size_t len); /* a term without its version byte */
bool fuzz_hear(struct fuzz_client *c); /* reads what is there. False: the stream has ended */
bool fuzz_hear_within(struct fuzz_client *c, int ms); /* the same, but waits so long for something to be there */
/* The frame that begins at *at of what was heard, which moves behind it. False: it is not there, or not all of it. What is no frame breaks the contract. */
bool fuzz_next_frame(const struct fuzz_client *c, size_t *at, struct ph_cur *term);
/* Ends the client's stream, waits for the daemon's end, looks at all frames, closes. */
void fuzz_end(struct fuzz_client *c);
void fuzz_await_nothing_left(void); /* no connections, no ports */

#endif
