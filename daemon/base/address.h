/* SPDX-License-Identifier: Apache-2.0 */
/* TCP addresses as they are written: "HOST:PORT", an IPv6 address in brackets. Any thread. */
#ifndef PH_ADDRESS_H
#define PH_ADDRESS_H

#include <netdb.h>
#include <stdbool.h>

/* What is wrong with how it is written (static), or NULL. Port 0 is one to listen at. */
const char *ph_address_wrong(const char *host_port, bool listens);
/* The addresses it stands for: freeaddrinfo. NULL, and *why (static): there are none. May block: names are looked up. */
struct addrinfo *ph_address_find(const char *host_port, const char **why);
/* The host's part of it as it was written, without brackets: ph_free; *port points into host_port. NULL: it is no "HOST:PORT". */
char *ph_address_host(const char *host_port, const char **port);
bool ph_address_is_loopback(const struct sockaddr *addr);

#endif
