/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are lists of ports, made in pieces between which the reactor does other things, for there may be very many. On the connection's reactor. */
#ifndef PH_LISTING_H
#define PH_LISTING_H

#include <stdbool.h>

#include "port/port.h"

struct ph_listing;

/* Of the peer's ports or, if all, of every peer's; those that are opening only if wanted. write: a term for one port; it may read only what never changes, or is atomic.
 * The peer is borrowed as long as the listing is there. NULL: no memory, and the client has been told. */
struct ph_listing *ph_listing_new(struct ph_peer *to, struct ph_slice tag, bool all, bool opening, void (*write)(struct ph_wbuf *w, const struct ph_port *p));
bool ph_listing_go_on(struct ph_listing *l); /* one piece. True: the client is answered, and the listing freed */
void ph_listing_free(struct ph_listing *l);  /* NULL is ok */

#endif
