/* SPDX-License-Identifier: Apache-2.0 */
/* Passes bytes between a client and a host, both ways, unchanged and as they come. One thread. */
#ifndef PH_CLI_RELAY_H
#define PH_CLI_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "host/conn.h"

/* Who says something. */
enum ph_side { PH_CLIENT, PH_HOST };

struct ph_relay {
    int client_in, client_out; /* the same for a socket; both are made non-blocking */
    struct ph_link *host;
    void (*heard)(void *arg, enum ph_side side, const void *bytes, size_t len); /* before they are passed on; len 0: its stream has ended */
    void *arg;
};

/* Until the host has ended its stream and all of it is passed on, or an interrupt. The client's end is told to the host. */
void ph_relay_run(const struct ph_relay *r);

#endif
