/* SPDX-License-Identifier: Apache-2.0 */
/* A connection over TCP until its hello is answered: who it may be is not known yet, so there are only so many, for so long, with so few bytes (limits
 * hello_*). Where the listener has a cookie, the exchange that proves it, and what a failure costs the address it came from. For conn.c, request.c and
 * listener.c. */
#ifndef PH_NEWCOMER_H
#define PH_NEWCOMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "auth.h"
#include "conn/access.h"
#include "etf.h"

struct ph_newcomer;

/* New, or NULL if there are too many (counted; why is said in *why). access: the listener's, borrowed for as long. Any thread, as ph_newcomer_free. */
struct ph_newcomer *ph_newcomer_new(const struct ph_access *access, const struct sockaddr *addr, const char **why);
void ph_newcomer_free(struct ph_newcomer *n); /* n may be NULL */

/* --- these on the connection's reactor --- */

const char *ph_newcomer_address(const struct ph_newcomer *n); /* "192.0.2.1:4711", for logs */
bool ph_newcomer_must_prove(const struct ph_newcomer *n);     /* its listener has a cookie */
bool ph_newcomer_is_challenged(const struct ph_newcomer *n);
/* Keeps a copy of the elements of its hello behind the name, to be done when it has proven itself, and makes the nonce to be sent: borrowed. client_nonce:
 * PH_NONCE bytes. NULL: the system gives no random bytes, or no memory. */
const uint8_t *ph_newcomer_challenge(struct ph_newcomer *n, const uint8_t *client_nonce, struct ph_slice hello);
/* Is this, PH_PROOF bytes, the proof? Then *ours is what is to be shown to it, and *hello what was kept: borrowed. */
bool ph_newcomer_proves(const struct ph_newcomer *n, const uint8_t *shown, uint8_t ours[PH_PROOF], struct ph_slice *hello);
/* It has failed: milliseconds after which it is told so. 0 where there is no cookie to be guessed. */
unsigned ph_newcomer_failed(const struct ph_newcomer *n);

#endif
