/* SPDX-License-Identifier: Apache-2.0 */
/* Which drivers have crashed this host before: the state directory holds a file for each crash (written by crash.c), which is read at the start. A
 * driver that has done so too often is not loaded until an administrator allows it. */
#ifndef PH_CRASHES_H
#define PH_CRASHES_H

#include <stdbool.h>
#include <stdint.h>

#define PH_CRASH_FILE_PREFIX "crash-"      /* then seconds since 1970, "-", the process id */
#define PH_CRASH_DRIVER_LINE "\ndriver: "  /* the line in the file that names the driver; within the first PH_CRASH_HEAD bytes */
#define PH_CRASH_HEAD 1024u

/* From now on crashes are kept in this directory (NULL: nowhere), and a driver that has crashed the host more than limit times within window_s seconds is not loaded.
 * 0; or -1 with a line in the log, and nothing has changed. May block; one thread at a time. */
int ph_crashes_set(const char *dir, uint64_t limit, uint64_t window_s);
/* The directory's descriptor, or -1: any thread, also in signal handlers. */
int ph_crashes_dir(void);
/* Of a file there without a name, which a full disk has room for; or -1: the file system has no such files. Likewise. */
int ph_crashes_prepared(void);
bool ph_crashes_bar(const char *driver); /* it is not to be loaded; any thread */
/* It may be loaded again; *n: so many crashes are forgotten. Their files stay, under another name; errno if that cannot be, then those crashes count as before. May block. */
int ph_crashes_allow(const char *driver, unsigned *n);

#endif
