/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: reading frames and turning them into operations. A connection lives on one reactor; all of it is touched only there. */
#ifndef PH_CONN_H
#define PH_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "conn/access.h"
#include "conn/newcomer.h"
#include "peer/peer.h"

struct ph_conn;
struct ph_listing;
struct ph_op_batch;

/* Takes the descriptors (non-blocking; the same one twice for a socket). access: of its listener, a reference is taken; NULL: stdio. newcomer: taken,
 * or NULL if it is known who the client is. Any thread: the connection starts on its reactor. */
void ph_conn_start(struct ph_access *access, struct ph_newcomer *newcomer, int fd_in, int fd_out);
/* Ends every connection: ports exit, then goodbye. Any thread; ph_conns_count tells when they are gone. */
void ph_conns_shutdown(void);
unsigned ph_conns_count(void);
/* fn is called once, when the stdio connection has ended or, while its ports do not end, nobody reads what they say; set at start. */
void ph_conn_on_stdio_end(void (*fn)(void));

/* --- for request.c, on the connection's reactor --- */
struct ph_peer *ph_conn_peer(struct ph_conn *c);
const struct ph_access *ph_conn_access(const struct ph_conn *c); /* what it may ask for; NULL: everything, it is the parent */
struct ph_newcomer *ph_conn_newcomer(struct ph_conn *c);         /* until ph_conn_set_hello, or NULL */
bool ph_conn_said_hello(const struct ph_conn *c);
void ph_conn_set_hello(struct ph_conn *c, const char *name); /* the client is known now; name: for logs, or NULL */
const struct ph_where *ph_conn_where(const struct ph_conn *c); /* for log lines; borrowed */
/* What was asked for takes long: goes on with it (taken) in pieces, and looks at no more frames until it is answered. In a request, once. */
void ph_conn_answer_later(struct ph_conn *c, struct ph_listing *l);
struct ph_op_batch *ph_conn_batch(struct ph_conn *c); /* what it submits when it has looked at all bytes it has */

/* Commands, controls and calls in the form that everybody writes them, with nothing wrong: decoded in one pass, in the batch, true. False: nothing is done, and the
 * term must be looked at as a whole. The cursor is behind the version byte of one frame. *fault: as ph_request's result, if true. */
bool ph_request_quick(struct ph_conn *c, struct ph_cur cur, ErlDrvBinary *frame, enum ph_fault *fault);
/* One frame's term, well-formed, without the version byte; frame: the driver binary it lies in, or NULL. PH_FAULT_NONE, or why the connection must end. */
enum ph_fault ph_request(struct ph_conn *c, const uint8_t *p, size_t len, ErlDrvBinary *frame);

#endif
