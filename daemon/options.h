/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of porthostd. */
#ifndef PH_OPTIONS_H
#define PH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

struct ph_options {
    int stdio_in, stdio_out; /* -1: no stdio connection */
    const char **unix_paths; /* borrowed from argv, like the rest */
    size_t unix_count;
    const char **tcp_addresses;
    size_t tcp_count;
    unsigned async_threads; /* 0: async jobs run inside driver_async */
    enum ph_log_level log_level;
};

/* Fills o and the driver path. 0: go on; otherwise the process is to end with *status (after --help, --version, or a message about a usage error). */
int ph_options_parse(int argc, char **argv, struct ph_options *o, int *status);
void ph_options_free(struct ph_options *o);

#endif
