/* SPDX-License-Identifier: Apache-2.0 */
/* The log call; flood.h has that for what others may cause. Lines go to stderr, one write each; errno is preserved; any thread. A line that cannot be written at once (a full disk, a pipe that nobody
 * reads) is lost: that is counted, and the next line that can be written comes after one that says how many were. As text: "LEVEL [where] text"; or as a JSON object a line, with the
 * members time (seconds since 1970), level, connection, client, port, driver (those that are known) and text. Before either, if wanted, "<N>": the priority
 * for syslog, which systemd's journal takes off. */
#ifndef PH_LOG_H
#define PH_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ph_log_level { PH_LOG_ERROR, PH_LOG_WARNING, PH_LOG_NOTICE, PH_LOG_INFO, PH_LOG_DEBUG };
enum ph_log_format { PH_LOG_TEXT, PH_LOG_JSON };
enum ph_log_prefix { PH_LOG_PREFIX_AUTO, PH_LOG_PREFIX_ALWAYS, PH_LOG_PREFIX_NEVER }; /* auto: if stderr is the journal */

struct ph_where {          /* who a line is about; what is 0 is not known */
    uint64_t connection;   /* its number, from 1 */
    const char *client;    /* what the client calls itself */
    bool has_port;
    uint64_t port;
    const char *driver;    /* a name, or what begins with a name and a space */
};

void ph_log_set_level(enum ph_log_level level);
void ph_log_set_format(enum ph_log_format format, enum ph_log_prefix prefix);
enum ph_log_level ph_log_level(void);
const char *ph_log_level_name(enum ph_log_level level);
int ph_log_parse_level(const char *name, enum ph_log_level *level); /* 0 or -1 */
bool ph_log_wants(enum ph_log_level level);
/* where: who the line is about, or NULL: the daemon. */
void ph_log(enum ph_log_level level, const struct ph_where *where, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void ph_vlog(enum ph_log_level level, const struct ph_where *where, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
/* For signal handlers: a line of level "critical", with a text that needs no formatting. */
void ph_log_in_handler(const struct ph_where *where, const char *text);
/* These are for who writes lines of its own. Any thread, signal handlers too. */
bool ph_log_is_json(void);
bool ph_log_can_write(int wait_ms); /* now, or after waiting for so long; true if it fails at once, too */
bool ph_log_has_prefix(void);
uint64_t ph_log_lost(void); /* lines since the start */
/* For broken invariants of our own: logs and aborts. */
_Noreturn void ph_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
