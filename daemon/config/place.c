/* SPDX-License-Identifier: Apache-2.0 */
/* Where the daemon may listen, as far as that can be said before it does: names are not looked up. For the file, the command line, and for metrics/. */
#include <stddef.h>

#include "base/address.h"
#include "config/config.h"

size_t ph_config_same_place(const struct ph_config *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ph_access_same_place(c->listeners[i], c->listeners[n]))
            return i;
    return n;
}

const char *ph_config_wrong_tcp(const struct ph_access *a)
{
    const char *why = ph_address_wrong(a->tcp, PH_ADDRESS_LISTEN);
    struct addrinfo *found = why ? NULL : ph_address_numbers(a->tcp);
    if (found && !ph_access_may_listen(a, found->ai_addr))
        why = PH_NEEDS_COOKIE;
    if (found)
        freeaddrinfo(found);
    return why;
}

bool ph_config_may_serve(const struct sockaddr *at, bool remote)
{
    return remote || ph_address_is_loopback(at);
}

const char *ph_config_wrong_metrics(const struct ph_config *c)
{
    const char *why = ph_address_wrong(c->metrics, PH_ADDRESS_SERVE);
    struct addrinfo *found = why ? NULL : ph_address_numbers(c->metrics);
    if (found && !ph_config_may_serve(found->ai_addr, c->metrics_remote))
        why = PH_NEEDS_REMOTE;
    if (found)
        freeaddrinfo(found);
    return why;
}
