/* SPDX-License-Identifier: Apache-2.0 */
/* When a driver crashes: says which one, in which callback of which port, with a backtrace, and lets the process die of the signal. */
#ifndef PH_CRASH_H
#define PH_CRASH_H

void ph_crash_install(void);

#endif
