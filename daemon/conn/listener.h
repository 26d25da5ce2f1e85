/* SPDX-License-Identifier: Apache-2.0 */
/* Where connections come from: stdio, unix sockets, TCP. On the first reactor, at start and stop. */
#ifndef PH_LISTENER_H
#define PH_LISTENER_H

#include "conn/access.h"

/* Listens where the list says and nowhere else; connections stay. References are taken. 0; or -1 with lines in the log, and all is as before. */
int ph_listeners_set(struct ph_access **list, size_t n);
void ph_listeners_close(void); /* also removes the unix sockets' files */

/* Takes descriptors in and out (0 and 1, or 3 and 4) for a connection: to be called before anything is opened, for their numbers are the
 * parent's word. They are then /dev/null and stderr, so that a driver that prints does no harm. 0, or -1 with a line in the log. */
int ph_claim_stdio(int in, int out);
void ph_serve_stdio(void);   /* starts the connection */
void ph_restore_stdio(void); /* gives the descriptors their flags back */

#endif
