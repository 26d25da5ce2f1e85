/* SPDX-License-Identifier: Apache-2.0 */
/* porthostctl replay FILE...: see RECORDINGS.md. */
#ifndef PH_CLI_REPLAY_H
#define PH_CLI_REPLAY_H

#include "args.h"
#include "cli.h"

/* Plays each file over a connection of its own. PH_EXIT_OK: the host said what is in them; PH_EXIT_FAILED: there is a difference, which is on stdout;
 * PH_EXIT_USAGE: a file is wrong, then nothing was played; PH_EXIT_NO_CONNECTION. */
enum ph_exit ph_replay_run(const struct ph_cli *cli, struct ph_args *a);

#endif
