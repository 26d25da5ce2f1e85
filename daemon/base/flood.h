/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log that somebody else may cause as often as they like: connections that nobody has admitted yet, requests, what drivers do for them. Of each kind so many are written in a
 * period, then a line says how many more there were. At level debug all are written. Any thread, under any lock: it takes only one of its own. */
#ifndef PH_FLOOD_H
#define PH_FLOOD_H

#include <stdint.h>

#include "base/log.h"

#define PH_FLOOD_SECONDS 10u /* a period, whose beginning is its first line */

enum ph_flood {
    PH_FLOOD_NEWCOMERS, /* who has not said hello: 20 lines */
    PH_FLOOD_CLIENTS,   /* who has, all together, what they ask for: 200 */
    PH_FLOOD_DRIVERS,   /* drivers and their ports: 200 */
    PH_FLOODS
};

/* Logs as ph_log does, or counts the line for the summary. A line of a level that is not wanted is neither. */
void ph_log_flood(enum ph_flood what, enum ph_log_level level, const struct ph_where *where, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Writes the summary if there is something to be told and the period is over. */
void ph_flood_over(enum ph_flood what);
/* The same for all kinds, over or not: the last words at the daemon's end. */
void ph_flood_end(void);
/* When the first line of a period is not written, await is called, on its thread and under whatever it holds, to have ph_flood_over called at due_ns (CLOCK_MONOTONIC) or later. Without
 * that the summary comes with the next line of its kind. Set once, before there are clients. */
void ph_flood_on_excess(void (*await)(enum ph_flood what, uint64_t due_ns));

#endif
