/* SPDX-License-Identifier: Apache-2.0 */
#include "base/address.h"

#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"

bool ph_address_is_loopback(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr) >> 24) == 127;
    return addr->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr);
}

char *ph_address_split(const char *host_port, char **host, char **port)
{
    char *copy = ph_strdup(host_port), *colon = strrchr(copy, ':');
    *host = copy;
    if (colon && colon != copy && colon[1]) {
        *colon = '\0';
        *port = colon + 1;
        if (copy[0] == '[' && colon[-1] == ']') {
            colon[-1] = '\0';
            (*host)++;
        }
        return copy;
    }
    ph_free(copy);
    return NULL;
}
