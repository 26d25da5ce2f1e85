/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver needs from others, and who provides it: porthostd, the libraries that the driver names, or nobody. One thread. */
#ifndef PH_CLI_CHECK_SYMBOLS_H
#define PH_CLI_CHECK_SYMBOLS_H

#include "check/object.h"

/* Puts imports, r12, libraries and missing into the report, and a problem for each kind of thing that is missing. */
void ph_symbols_check(const struct ph_object *o, const char *file, json_t *report);

#endif
