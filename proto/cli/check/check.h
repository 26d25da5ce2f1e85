/* SPDX-License-Identifier: Apache-2.0 */
/* porthostctl check FILE...: is this a driver, will it load, and if not, why. */
#ifndef PH_CLI_CHECK_H
#define PH_CLI_CHECK_H

#include "args.h"
#include "cli.h"

/* Prints a report of each file. The worst of: PH_EXIT_OK, all are good; PH_EXIT_FAILED, one is not; PH_EXIT_USAGE; PH_EXIT_NO_CONNECTION,
 * no host could be started to try one in. */
enum ph_exit ph_check_run(const struct ph_cli *cli, struct ph_args *a);

#endif
