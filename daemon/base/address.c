/* SPDX-License-Identifier: Apache-2.0 */
#include "base/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

char *ph_address_host(const char *host_port, const char **port)
{
    const char *colon = strrchr(host_port, ':');
    if (!colon || colon == host_port || !colon[1])
        return NULL;
    *port = colon + 1;
    size_t len = (size_t)(colon - host_port);
    bool bracketed = len > 1 && host_port[0] == '[' && host_port[len - 1] == ']';
    char *host = ph_strdup(bracketed ? host_port + 1 : host_port);
    host[bracketed ? len - 2 : len] = '\0';
    return host;
}

/* A number as getaddrinfo takes one (which cuts off what is too large), or the name of a service. */
static bool port_exists(const char *port, long long least)
{
    char *end;
    errno = 0;
    long long number = strtoll(port, &end, 10);
    return *end || (errno == 0 && number >= least && number <= UINT16_MAX);
}

static const char *port_wrong(const char *port, bool listens)
{
    if (port_exists(port, !listens))
        return NULL;
    return listens ? "the port must be from 0 to 65535" : "the port must be from 1 to 65535";
}

const char *ph_address_wrong(const char *host_port, bool listens)
{
    const char *port;
    char *host = ph_address_host(host_port, &port);
    if (!host)
        return "expected HOST:PORT";
    ph_free(host);
    return port_wrong(port, listens);
}

struct addrinfo *ph_address_find(const char *host_port, const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    const char *port;
    char *host = ph_address_host(host_port, &port);
    if (!host) {
        *why = "expected HOST:PORT";
        return NULL;
    }
    *why = port_wrong(port, true);
    int err = *why ? 0 : getaddrinfo(host, port, &hints, &found);
    if (err)
        *why = gai_strerror(err);
    ph_free(host);
    return found;
}

bool ph_address_is_loopback(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr) >> 24) == 127;
    return addr->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr);
}
