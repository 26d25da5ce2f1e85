/* SPDX-License-Identifier: Apache-2.0 */
/* A session played by hand or from a pipe, with any number of ports. */
#ifndef PH_CLI_SHELL_H
#define PH_CLI_SHELL_H

#include <stdio.h>

#include "host/session.h"

/* Reads lines from standard input until its end, or `quit`, and runs each as it comes; what the host sends is printed meanwhile.
 * A failure does not end it: the status is the worst there was. */
enum ph_exit ph_shell_run(struct ph_session *s);

/* Prints what can be said, for the help. */
void ph_shell_help(FILE *f);

#endif
