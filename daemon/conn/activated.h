/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets that the service manager opened and passed to this process (LISTEN_FDS, sd_listen_fds(3)). Each belongs to the listener
 * of the configuration with the same address; one that the configuration does not name gets a listener of its own with the defaults.
 * Their files are the service manager's: owner, mode and removal are its business. */
#ifndef PH_ACTIVATED_H
#define PH_ACTIVATED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "conn/access.h"

/* Before any other thread and before anything is opened. 0; or -1 with a line in the log: what was passed cannot be listened on. */
int ph_activated_claim(void);

/* What follows: any thread, the list does not change. */
size_t ph_activated_count(void);
/* Does the listener stand for the i-th socket? May block. */
bool ph_activated_is(size_t i, const struct ph_access *a);
/* Gives a new listener the address of the i-th socket. */
void ph_activated_place(size_t i, struct ph_access *a);
/* Was a socket with this path passed? */
bool ph_activated_unix(const char *path);
/* The socket that listens there, from now on the caller's, or -1. Each is taken once: a reload leaves its listener open, for ph_activated_is is asked for all of
 * them before it. First reactor. */
int ph_activated_take_unix(const char *path);
int ph_activated_take_tcp(const struct sockaddr *addr);

#endif
