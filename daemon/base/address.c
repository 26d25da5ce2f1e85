/* SPDX-License-Identifier: Apache-2.0 */
#include "base/address.h"

#include <netinet/in.h>
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

struct addrinfo *ph_address_find(const char *host_port, const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    const char *port;
    char *host = ph_address_host(host_port, &port);
    if (!host) {
        *why = "expected HOST:PORT";
        return NULL;
    }
    int err = getaddrinfo(host, port, &hints, &found);
    ph_free(host);
    if (!err)
        return found;
    *why = gai_strerror(err);
    return NULL;
}

bool ph_address_is_loopback(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr) >> 24) == 127;
    return addr->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr);
}
