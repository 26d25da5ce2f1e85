/* SPDX-License-Identifier: Apache-2.0 */
/* Where drivers may come from: the daemon's rule, and what porthostctl checks a file against. */
#ifndef PH_DRIVER_PATH_H
#define PH_DRIVER_PATH_H

#include "base/list.h"

void ph_driver_path_set(const struct ph_strings *path); /* copies */
/* The file that is configured for the driver, else "dir/name.so" of the first directory in the driver path that has it; malloc'd, or NULL. */
char *ph_driver_path_find(const char *name);
/* The file with links resolved (malloc'd), if it lies in a directory of the driver path (or is what is configured for driver name) and neither can be
 * written by others. NULL otherwise: *why says so (static text), or is NULL if the file cannot be resolved (errno). What is opened must be the result,
 * not what was asked for. */
char *ph_driver_path_resolve(const char *name, const char *file, const char **why);

#endif
