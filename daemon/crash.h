/* SPDX-License-Identifier: Apache-2.0 */
/* When a driver crashes: says in the log, and in a file in the state directory, which signal, address, driver, port, callback and thread, what the port did last, and
 * a backtrace, and lets the process die of the signal. */
#ifndef PH_CRASH_H
#define PH_CRASH_H

void ph_crash_install(void);

#endif
