/* SPDX-License-Identifier: Apache-2.0 */
/* Runs many scripts, so many at a time, each in a process of its own with a daemon of its own. Called by command.c. */
#ifndef PH_SCRIPT_FARM_H
#define PH_SCRIPT_FARM_H

#include "script/report.h"
#include "script/tool.h"

struct ph_farm_options {
    struct ph_run_options run;
    enum ph_tool tool;
    const char *daemon; /* the command for the daemon under the tool */
    unsigned check_ms;  /* see ph_tool_command */
    unsigned jobs;
};

/* Fills reports, one for each script, and calls `done` for each in their order, as soon as it and those before it are there. False if it was interrupted: then
 * some are missing, with n = 0. No process is left. */
bool ph_farm_run(struct ph_script_report *reports, size_t n, const struct ph_cli *cli, const struct ph_farm_options *options,
                 void (*done)(void *arg, const struct ph_script_report *r), void *arg);

#endif
