/* SPDX-License-Identifier: Apache-2.0 */
/* Tools that the daemon is run under, its own checking mode among them: the command that starts it so, and what a finding looks like. */
#ifndef PH_SCRIPT_TOOL_H
#define PH_SCRIPT_TOOL_H

#include <stdbool.h>
#include <stddef.h>

#include "cli.h"

enum ph_tool { PH_NO_TOOL, PH_VALGRIND, PH_GDB, PH_ASAN, PH_CHECK_DRIVERS };

const char *ph_tool_name(enum ph_tool tool);

/* By how much longer things may take. */
int ph_tool_patience(enum ph_tool tool);

/* Whether the tool and a daemon for it are there; complains if not. The daemon's command, if cli->address does not say what it is, is to be freed: *daemon. */
bool ph_tool_ready(enum ph_tool tool, const struct ph_cli *cli, char **daemon);

/* A new shell command for the daemon under the tool, whose report goes to the descriptor log_fd (the daemon's own reports go to its stderr); NULL without a tool. check_ms: for
 * PH_CHECK_DRIVERS, what a callback may take, or 0: the daemon's default. */
char *ph_tool_command(enum ph_tool tool, const char *daemon, unsigned check_ms, int log_fd);

#endif
