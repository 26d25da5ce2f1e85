/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of porthostd, and the configuration that follows from it and from the file. */
#ifndef PH_OPTIONS_H
#define PH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

struct ph_options {
    int stdio_in, stdio_out; /* -1: no stdio connection */
    const char *config_file; /* borrowed from argv; NULL: not given */
    const char *cookie_file; /* of tcp_addresses; borrowed from argv; NULL: not given */
    bool check;              /* only check the configuration */
    struct ph_strings unix_paths, tcp_addresses, driver_path;
    int64_t async_threads, busy_poll_us, check_callback_ms; /* -1: not given */
    bool check_drivers;
    const char *metrics;     /* borrowed from argv; NULL: not given */
    int log_level;           /* enum ph_log_level, -1: not given */
    int log_format;          /* enum ph_log_format, -1: not given */
};

/* Fills o. 0: go on; otherwise the process is to end with *status (after --help, --version, or a message about a usage error). */
int ph_options_parse(int argc, char **argv, struct ph_options *o, int *status);
void ph_options_free(struct ph_options *o);
/* The file that is to be read, or NULL: none. */
const char *ph_options_file(const struct ph_options *o);
/* New in c: the defaults, what the file says, what the command line says instead. -1 after messages; c is then empty. May block. */
int ph_options_config(const struct ph_options *o, struct ph_config *c);

#endif
