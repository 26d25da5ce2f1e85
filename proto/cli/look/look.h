/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that look at ports of any connection, for the table of commands. Each has a check of its arguments, which needs no session and
 * complains, and a run, which takes them. One thread. */
#ifndef PH_CLI_LOOK_H
#define PH_CLI_LOOK_H

#include "args.h"
#include "host/session.h"

struct ph_command;

bool ph_ports_check(struct ph_args *a); /* [--all] */
enum ph_exit ph_ports_run(const struct ph_command *c, struct ph_session *s, struct ph_args *a);

bool ph_info_check(struct ph_args *a); /* [PORT] */
enum ph_exit ph_info_run(const struct ph_command *c, struct ph_session *s, struct ph_args *a);

/* These two go on until SIGINT, which is then no failure, until --count, or until nobody reads what they print. */
bool ph_trace_check(struct ph_args *a); /* PORT [--count N] */
enum ph_exit ph_trace_run(const struct ph_command *c, struct ph_session *s, struct ph_args *a);

bool ph_watch_check(struct ph_args *a); /* [--interval SECONDS] [--count N] */
enum ph_exit ph_watch_run(const struct ph_command *c, struct ph_session *s, struct ph_args *a);

#endif
