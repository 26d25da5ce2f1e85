/* SPDX-License-Identifier: Apache-2.0 */
/* The one log call. Lines go to stderr, one write each, "LEVEL [where] text"; errno is preserved; any thread. */
#ifndef PH_LOG_H
#define PH_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum ph_log_level { PH_LOG_ERROR, PH_LOG_WARNING, PH_LOG_NOTICE, PH_LOG_INFO, PH_LOG_DEBUG };

void ph_log_set_level(enum ph_log_level level);
enum ph_log_level ph_log_level(void);
const char *ph_log_level_name(enum ph_log_level level);
int ph_log_parse_level(const char *name, enum ph_log_level *level); /* 0 or -1 */
bool ph_log_wants(enum ph_log_level level);
/* where: who the line is about ("port 3 sqlite3_drv", "conn 2"), or NULL for the daemon. */
void ph_log(enum ph_log_level level, const char *where, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* For broken invariants of our own: logs and aborts. */
_Noreturn void ph_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
