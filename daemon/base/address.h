/* SPDX-License-Identifier: Apache-2.0 */
/* "HOST:PORT" of TCP. Any thread. */
#ifndef PH_ADDRESS_H
#define PH_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* A copy of "HOST:PORT" (the caller frees it) in which host and port point to its parts, an IPv6 address without its brackets; NULL if it is not that. */
char *ph_address_split(const char *host_port, char **host, char **port);
bool ph_address_is_loopback(const struct sockaddr *addr);

#endif
