/* SPDX-License-Identifier: Apache-2.0 */
/* driver_select: which port waits for which file descriptor. */
#ifndef PH_SELECT_H
#define PH_SELECT_H

#include "port/port.h"

/* erl_driver(3), driver_select: 0, or -1 if fd is not a possible descriptor. In the port's lock. May call stop_select. */
int ph_select(struct ph_port *p, int fd, int mode, bool on);
/* At its end: nothing is waited for on behalf of the port any more. Closes nothing, calls nothing. In the port's lock. */
void ph_select_forget(struct ph_port *p);
void ph_select_drop(struct ph_port *p, int fd); /* the port waits for this one no more; calls nothing. In the port's lock */
/* The number fd has just become a connection of ours: whatever a driver left registered under it, having closed it, is dropped. Any thread. */
void ph_select_reused(int fd);
/* The ports of this client may be told of input again (see ph_peer_may_input). Any thread. */
void ph_select_input_again(struct ph_peer *peer);
size_t ph_select_count(void); /* selected descriptors, those for input and output twice; any thread */

#endif
