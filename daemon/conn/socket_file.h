/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a unix socket that the daemon makes: way is made for it, it is known again, it gets its owner and mode. For the listener, on the first reactor. */
#ifndef PH_SOCKET_FILE_H
#define PH_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "conn/access.h"

#define PH_SOCKET_PATH_BYTES (sizeof ((struct sockaddr_un *)0)->sun_path - 1)

/* Which file it is: no other can be that one as long as the socket is open. */
struct ph_socket_file {
    dev_t dev;
    ino_t ino;
};

/* Keeps other daemons from taking a file in the path's directory, from before ph_socket_bind until the socket listens: one that is bound and does not listen yet
 * looks as if nobody had it. To be closed; -1: the directory has no lock to be had. Then ph_socket_has_file is false for who came first. */
int ph_socket_lock(const char *path);
/* A socket with a file of its own there, which no other user may connect to; a file that nobody listens at any more goes. Or -1 with a line in the log. The path has 1 to
 * PH_SOCKET_PATH_BYTES bytes. */
int ph_socket_bind(const char *path, struct ph_socket_file *file);
bool ph_socket_has_file(const char *path, const struct ph_socket_file *file); /* somebody may have removed it, and another daemon come */
bool ph_socket_same_path(const char *a, const char *b); /* they name the same file, which need not be there. Any thread, for all who compare paths of sockets */
int ph_socket_set_rights(const struct ph_access *a); /* -1 with a line in the log */

#endif
