/* SPDX-License-Identifier: Apache-2.0 */
/* TCP addresses: as they are written, "HOST:PORT", an IPv6 address in brackets; and as the system has them. Any thread. */
#ifndef PH_ADDRESS_H
#define PH_ADDRESS_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

enum ph_address_use {
    PH_ADDRESS_CONNECT, /* its port is from 1 to 65535 or the name of a service */
    PH_ADDRESS_LISTEN,  /* or 0: any */
    PH_ADDRESS_SERVE,   /* from 0 to 65535: whoever connects needs a number */
};

/* What is wrong with how it is written (static), or NULL. Nothing is looked up. */
const char *ph_address_wrong(const char *host_port, enum ph_address_use use);
/* The addresses it stands for: freeaddrinfo. NULL, and *why (static): there are none. May block: names are looked up. */
struct addrinfo *ph_address_find(const char *host_port, const char **why);
/* The same for one that is written in numbers; NULL if it is not, or wrong. Nothing is looked up. */
struct addrinfo *ph_address_numbers(const char *host_port);

bool ph_address_is_loopback(const struct sockaddr *addr);
bool ph_address_same(const struct sockaddr *a, const struct sockaddr *b); /* host and port; false for what is no TCP address */

/* A socket bound there, which does not block; -1: errno. shared: ph_address_share has been called for it. */
int ph_address_bind(const struct sockaddr *addr, socklen_t len, bool shared);
/* Whether what another socket of this process, shared too, is bound to may overlap with what this one is. Only as long as one takes the other's place: while it is on,
 * other processes of this user can do the same. */
void ph_address_share(int fd, bool on);
bool ph_address_of(int fd, struct sockaddr_storage *addr); /* what the socket is bound to */
bool ph_address_has_port_of(const struct sockaddr *addr, int fd); /* the socket is bound to the same port, which is not to be chosen yet */
/* For people: the host as it is written, the port that the socket is bound to (what is written may ask for any). ph_free */
char *ph_address_bound(const char *host_port, int fd);

#endif
