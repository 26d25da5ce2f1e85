/* SPDX-License-Identifier: Apache-2.0 */
/* The list of sockets that were passed: filled once, at start. */
#include "conn/activated.h"

#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/address.h"
#include "base/log.h"
#include "base/mem.h"
#include "conn/socket_file.h"

union address {
    struct sockaddr any;
    struct sockaddr_un un;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct activated {
    int fd;
    union address addr;
};

static struct activated *sockets;
static size_t count;

static bool is_at_path(const struct activated *s, const char *path)
{
    return s->addr.any.sa_family == AF_UNIX && ph_socket_same_path(s->addr.un.sun_path, path);
}

/* Abstract and unnamed unix sockets have no path that a listener could be named by. */
static bool usable(struct activated *s)
{
    socklen_t len = sizeof s->addr - 1; /* a path of the greatest length has no end */
    if (sd_is_socket(s->fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 || getsockname(s->fd, &s->addr.any, &len))
        return false;
    if (s->addr.any.sa_family == AF_UNIX)
        return len > offsetof(struct sockaddr_un, sun_path) && s->addr.un.sun_path[0];
    return s->addr.any.sa_family == AF_INET || s->addr.any.sa_family == AF_INET6;
}

int ph_activated_claim(void)
{
    int n = sd_listen_fds(1);
    if (n < 0) {
        ph_log(PH_LOG_ERROR, NULL, "the sockets of the service manager cannot be used: %s", strerror(-n));
        return -1;
    }
    if (n == 0)
        return 0;
    sockets = ph_calloc((size_t)n, sizeof *sockets); /* lives as long as the process */
    for (; count < (size_t)n; count++) {
        struct activated *s = &sockets[count];
        s->fd = SD_LISTEN_FDS_START + (int)count;
        if (!usable(s) || evutil_make_socket_nonblocking(s->fd)) {
            ph_log(PH_LOG_ERROR, NULL, "descriptor %d of the service manager is no listening stream socket with a path or a TCP address", s->fd);
            return -1;
        }
    }
    return 0;
}

size_t ph_activated_count(void)
{
    return count;
}

static bool among(const struct sockaddr *addr, const struct addrinfo *list)
{
    for (; list; list = list->ai_next)
        if (ph_address_same(addr, list->ai_addr))
            return true;
    return false;
}

bool ph_activated_is(size_t i, const struct ph_access *a)
{
    const union address *addr = &sockets[i].addr;
    const char *why;
    if (a->unix_path)
        return is_at_path(&sockets[i], a->unix_path);
    if (addr->any.sa_family == AF_UNIX || !a->tcp)
        return false;
    struct addrinfo *found = ph_address_find(a->tcp, &why);
    bool is = among(&addr->any, found);
    if (found)
        freeaddrinfo(found);
    return is;
}

static char *host_port(const struct sockaddr *addr)
{
    char host[INET6_ADDRSTRLEN], port[8], *text = ph_alloc(sizeof host + sizeof port + 4);
    socklen_t len = addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (getnameinfo(addr, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
        ph_fatal("the address of a socket of the service manager cannot be written");
    sprintf(text, addr->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return text;
}

void ph_activated_place(size_t i, struct ph_access *a)
{
    const union address *addr = &sockets[i].addr;
    if (addr->any.sa_family == AF_UNIX)
        a->unix_path = ph_strdup(addr->un.sun_path);
    else
        a->tcp = host_port(&addr->any);
}

bool ph_activated_unix(const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (is_at_path(&sockets[i], path))
            return true;
    return false;
}

static int take(struct activated *s)
{
    int fd = s->fd;
    s->fd = -1;
    return fd;
}

int ph_activated_take_unix(const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (sockets[i].fd >= 0 && is_at_path(&sockets[i], path))
            return take(&sockets[i]);
    return -1;
}

int ph_activated_take_tcp(const struct sockaddr *addr)
{
    for (size_t i = 0; i < count; i++)
        if (sockets[i].fd >= 0 && ph_address_same(&sockets[i].addr.any, addr))
            return take(&sockets[i]);
    return -1;
}
