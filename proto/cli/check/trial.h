/* SPDX-License-Identifier: Apache-2.0 */
/* A driver is loaded and unloaded in a porthostd started for it, which may crash or hang. One thread. */
#ifndef PH_CLI_CHECK_TRIAL_H
#define PH_CLI_CHECK_TRIAL_H

#include <jansson.h>

#include "cli.h"

/* Puts trial, crash, log and the driver as the host knows it into the report, and problems. PH_EXIT_OK, also if the driver is bad;
 * PH_EXIT_NO_CONNECTION without a host; PH_EXIT_FAILED on an interrupt: then the report is not whole. */
enum ph_exit ph_trial_run(const struct ph_cli *cli, const char *file, const char *name, json_t *report);

/* Sets "driver" from an encoded map of driver_info, item entry. */
void ph_trial_describe(json_t *report, const char *name, const void *entry, size_t len, const char *known_from);

#endif
