/* SPDX-License-Identifier: Apache-2.0 */
/* porthostctl record FILE [--listen PATH] [-- COMMAND ARGUMENT...]: see RECORDINGS.md. */
#ifndef PH_CLI_RECORD_H
#define PH_CLI_RECORD_H

#include "args.h"
#include "cli.h"

/* PH_EXIT_OK: the session is in the file; PH_EXIT_FAILED: not all of it; PH_EXIT_USAGE; PH_EXIT_NO_CONNECTION. */
enum ph_exit ph_record_run(const struct ph_cli *cli, struct ph_args *a);

#endif
