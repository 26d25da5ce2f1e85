/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that are written in many places: replies and messages to processes. Each begins a frame (ph_peer_begin); the caller appends what is
 * missing and commits. Any thread. */
#ifndef PH_REPLY_H
#define PH_REPLY_H

#include "etf.h"
#include "peer/peer.h"

struct ph_wbuf *ph_reply_ok(struct ph_slice tag);    /* {ok, Tag, _}: append the value */
struct ph_wbuf *ph_reply_error(struct ph_slice tag); /* {error, Tag, _}: append the reason */
void ph_reply_ok_atom(struct ph_peer *p, struct ph_slice tag, const char *value);
void ph_reply_error_atom(struct ph_peer *p, struct ph_slice tag, const char *reason);
struct ph_wbuf *ph_send_begin(ErlDrvTermData to);    /* {send, To, _}: append the message */

#endif
