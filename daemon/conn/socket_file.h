/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a unix socket that the daemon makes: way is made for it, it is known again, it gets its owner and mode. For the listener; first reactor. */
#ifndef PH_SOCKET_FILE_H
#define PH_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "conn/access.h"

/* Which file it is: no other can be that one as long as the socket is open. */
struct ph_socket_file {
    dev_t dev;
    ino_t ino;
};

/* Keeps other daemons from taking a file in the path's directory, from before ph_socket_bind until the socket listens: one that is bound and does not listen yet
 * looks as if nobody had it. To be closed; -1: the directory has no lock to be had. Then ph_socket_has_file is false for who came first. */
int ph_socket_lock(const char *path);
/* A socket with a file of its own there, which no other user may connect to; a file that nobody listens at any more goes. Or -1 with a line in the log. */
int ph_socket_bind(const struct sockaddr_un *addr, struct ph_socket_file *file);
bool ph_socket_has_file(const char *path, const struct ph_socket_file *file); /* somebody may have removed it, and another daemon come */
int ph_socket_set_rights(const struct ph_access *a); /* -1 with a line in the log */

#endif
