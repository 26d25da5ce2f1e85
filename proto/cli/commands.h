/* SPDX-License-Identifier: Apache-2.0 */
/* The requests to a host that need no port, each a command of its own on the command line and in the shell. */
#ifndef PH_CLI_COMMANDS_H
#define PH_CLI_COMMANDS_H

#include "args.h"
#include "host/session.h"

struct ph_command;

extern const char *const ph_log_levels[]; /* what log-level takes; NULL behind the last */

const struct ph_command *ph_command_find(struct ph_text word); /* NULL: there is none of that name */

const char *ph_command_name(size_t i); /* of the i-th, from 0; NULL behind the last */

/* Whether the arguments are such as it takes; complains if not. To be asked before a session is opened. */
bool ph_command_check(const struct ph_command *c, const struct ph_args *a);

/* Sends the request and prints the value of its reply, or writes the reason of an error to stderr. */
enum ph_exit ph_command_run(const struct ph_command *c, struct ph_session *s, struct ph_args *a);

/* Prints what there is, for the help. */
void ph_commands_help(FILE *f);

#endif
