/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a shared object's libraries are, as the dynamic linker itself finds them. One thread. */
#ifndef PH_CLI_CHECK_LIBRARIES_H
#define PH_CLI_CHECK_LIBRARIES_H

#include <stdbool.h>

/* Asks the dynamic linker of this process to list what it would map for the file, which runs nothing of it. Calls fn for each: path is NULL if the
 * library is not found, name NULL if it is a complaint of the linker (then path is its text). False if it could not be asked. */
bool ph_libraries_list(const char *file, void (*fn)(void *arg, const char *name, const char *path), void *arg);

#endif
