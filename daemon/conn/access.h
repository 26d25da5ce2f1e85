/* SPDX-License-Identifier: Apache-2.0 */
/* One listener as it is configured: where it listens, who may connect, and what those who do may ask for. Immutable once it is complete,
 * reference-counted: the configuration, the listener and each of its connections hold one. */
#ifndef PH_ACCESS_H
#define PH_ACCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"

#define PH_NOBODY UINT32_MAX /* no user or group given: the daemon's */

struct ph_access {
    atomic_uint refs;
    char *unix_path;        /* one of these two; NULL both: stdio */
    char *tcp;              /* "HOST:PORT" */
    char *cookie_file;      /* of a TCP listener, or NULL: no proof is asked for */
    char *cookie;           /* what was in it, or NULL */
    uint64_t mode;          /* these three: of the unix socket's file */
    uint32_t owner, group;
    struct ph_ids uids, gids; /* may connect, besides the daemon's own user and root */
    bool load;              /* may load and unload drivers */
    struct ph_strings open; /* drivers of which it may open ports; "*": of all */
    bool all_ports;         /* may see other connections' ports */
    bool administer;        /* may trace them, and set the level of the log */
};

struct ph_access *ph_access_new(void); /* one reference, all fields 0 */
struct ph_access *ph_access_ref(struct ph_access *a);
void ph_access_unref(struct ph_access *a);
/* Reads the cookie from its file, if one is named. False, and in why what is wrong with the file. May block; before the struct is complete. */
bool ph_access_read_cookie(struct ph_access *a, char *why, size_t cap);
/* Do both name the same place, as far as that can be known without looking up names? */
bool ph_access_same_place(const struct ph_access *a, const struct ph_access *b);
#define PH_NEEDS_COOKIE "not a loopback address, and no cookie_file is configured" /* what a message says if not: */
/* May it listen at the TCP address? Only with a cookie where others than the machine's users can reach it. */
bool ph_access_may_listen(const struct ph_access *a, const struct sockaddr *addr);
/* May the process at the other end of the unix socket connect? */
bool ph_access_admits(const struct ph_access *a, int fd);
/* May ports of the driver be opened? name: len bytes. */
bool ph_access_may_open(const struct ph_access *a, const char *name, size_t len);

#endif
