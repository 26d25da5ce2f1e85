/* SPDX-License-Identifier: Apache-2.0 */
/* What all of porthostctl shares: the exit status and the options. Read-only once main.c has filled it. */
#ifndef PH_CLI_H
#define PH_CLI_H

#include <stdbool.h>

/* Ordered: of several, the larger is the status of the whole. */
enum ph_exit { PH_EXIT_OK, PH_EXIT_FAILED, PH_EXIT_USAGE, PH_EXIT_NO_CONNECTION };

enum ph_transport { PH_OWN_DAEMON, PH_UNIX, PH_TCP };

struct ph_cli {
    enum ph_transport transport;
    const char *address;     /* path, or HOST:PORT; of an own daemon the command that starts it, NULL: the porthostd beside us */
    const char *cookie;      /* what the host and we must prove to know, or NULL */
    const char *driver_path; /* for an own daemon, or NULL */
    char *const *argv;       /* an own daemon: started as this and nothing added, NULL: by the address */
    int log_fd;              /* where the log of an own daemon goes, 0: to our stderr */
    int timeout_ms;          /* for a connection, and for each reply */
    bool json;
};

#define PH_HELP_LINE "  %-10s%-34s%s\n" /* name, arguments, what it does */

/* Writes "porthostctl: TEXT" and a newline to stderr. */
void ph_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
