/* SPDX-License-Identifier: Apache-2.0 */
/* The command `run`: its options and its exit status. Called by main.c. */
#ifndef PH_SCRIPT_COMMAND_H
#define PH_SCRIPT_COMMAND_H

#include <stdio.h>

#include "cli.h"

/* argv: what follows the word `run` on the command line. */
enum ph_exit ph_script_command(const struct ph_cli *cli, char **argv);

/* Prints what there is, for the help. */
void ph_script_help(FILE *f);

#endif
