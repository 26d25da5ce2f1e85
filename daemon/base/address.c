/* SPDX-License-Identifier: Apache-2.0 */
#include "base/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* The host's part without brackets: ph_free; *port points into host_port. NULL: it is no "HOST:PORT". */
static char *host_of(const char *host_port, const char **port)
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

const char *ph_address_wrong(const char *host_port, enum ph_address_use use)
{
    const char *port;
    char *host = host_of(host_port, &port);
    ph_free(host);
    if (!host)
        return "expected HOST:PORT";
    if (use == PH_ADDRESS_SERVE && port[strspn(port, "0123456789")])
        return "the port must be a number";
    if (port_exists(port, use == PH_ADDRESS_CONNECT))
        return NULL;
    return use == PH_ADDRESS_CONNECT ? "the port must be from 1 to 65535" : "the port must be from 0 to 65535";
}

static struct addrinfo *find(const char *host_port, int flags, const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | flags}, *found = NULL;
    const char *port = NULL;
    if ((*why = ph_address_wrong(host_port, PH_ADDRESS_LISTEN)))
        return NULL;
    char *host = host_of(host_port, &port);
    int err = getaddrinfo(host, port, &hints, &found);
    ph_free(host);
    if (!err)
        return found;
    *why = gai_strerror(err);
    return NULL;
}

struct addrinfo *ph_address_find(const char *host_port, const char **why)
{
    return find(host_port, 0, why);
}

struct addrinfo *ph_address_numbers(const char *host_port)
{
    const char *why;
    return find(host_port, AI_NUMERICHOST | AI_NUMERICSERV, &why);
}

bool ph_address_is_loopback(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr) >> 24) == 127;
    return addr->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr);
}

/* In the network's order; 0: none. */
static in_port_t port_of(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)addr)->sin_port;
    return addr->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)addr)->sin6_port : 0;
}

bool ph_address_same(const struct sockaddr *a, const struct sockaddr *b)
{
    const struct sockaddr_in *x = (const void *)a, *y = (const void *)b;
    const struct sockaddr_in6 *x6 = (const void *)a, *y6 = (const void *)b;
    if (a->sa_family != b->sa_family || port_of(a) != port_of(b))
        return false;
    if (a->sa_family == AF_INET)
        return x->sin_addr.s_addr == y->sin_addr.s_addr;
    return a->sa_family == AF_INET6 && IN6_ARE_ADDR_EQUAL(&x6->sin6_addr, &y6->sin6_addr) && x6->sin6_scope_id == y6->sin6_scope_id;
}

int ph_address_bind(const struct sockaddr *addr, socklen_t len, bool shared)
{
    static const int on = 1;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (shared)
        ph_address_share(fd, true);
    if (!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) && !setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) && !bind(fd, addr, len))
        return fd;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

void ph_address_share(int fd, bool on)
{
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){on}, sizeof(int)); /* if it fails, so does the bind that needs it */
}

bool ph_address_of(int fd, struct sockaddr_storage *addr)
{
    socklen_t len = sizeof *addr;
    addr->ss_family = AF_UNSPEC; /* the analyzer does not know that getsockname sets it */
    return getsockname(fd, (struct sockaddr *)addr, &len) == 0;
}

bool ph_address_has_port_of(const struct sockaddr *addr, int fd)
{
    struct sockaddr_storage own;
    return port_of(addr) && ph_address_of(fd, &own) && port_of((struct sockaddr *)&own) == port_of(addr);
}

char *ph_address_bound(const char *host_port, int fd)
{
    struct sockaddr_storage own;
    const char *colon = strrchr(host_port, ':');
    size_t len = colon ? (size_t)(colon - host_port) : strlen(host_port);
    bool bare = host_port[0] != '[' && memchr(host_port, ':', len);
    in_port_t number = ph_address_of(fd, &own) ? port_of((struct sockaddr *)&own) : 0;
    char *text = ph_alloc(len + sizeof "[]:65535");
    sprintf(text, bare ? "[%.*s]:%u" : "%.*s:%u", (int)len, host_port, ntohs(number));
    return text;
}
