/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the ErlDrvEntry of a driver in its file, before any of its code runs. One thread. */
#ifndef PH_CLI_CHECK_ENTRY_SCAN_H
#define PH_CLI_CHECK_ENTRY_SCAN_H

#include <erl_driver.h>

#include "check/object.h"

/* How many entries there are in the initialised data: structs whose name and callbacks point where such things are, and that have the
 * marker of an entry or the name of the file. If there is exactly one: *e is filled in as the file has it, its callbacks merely NULL or not,
 * its name copied to `name` (cut if it does not fit). driver_init may change it, and a driver that fills its entry when it runs has none here. */
unsigned ph_entry_scan(const struct ph_object *o, const char *expected_name, ErlDrvEntry *e, char *name, size_t cap);

#endif
