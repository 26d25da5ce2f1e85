/* SPDX-License-Identifier: Apache-2.0 */
/* Who may write what the daemon relies on: drivers, their directories, its configuration, its state. Any thread that may wait for files. */
#ifndef PH_TRUST_H
#define PH_TRUST_H

#include <stdbool.h>
#include <sys/stat.h>

#define PH_DISTRUST "belongs to another user or others may write it" /* what a message says about the file or directory */

/* It belongs to root or to the user that this process runs as, and no group and no others may write it. */
bool ph_trusts(const struct stat *st);
bool ph_trusts_path(const char *path); /* links are followed; false also if it cannot be looked at */
/* The directory that the file lies in, after links are resolved: as above, or it is sticky, so that others cannot replace the file. */
bool ph_trusts_directory_of(const char *file);

#endif
