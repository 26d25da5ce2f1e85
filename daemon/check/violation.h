/* SPDX-License-Identifier: Apache-2.0 */
/* The checking mode: whether it is on, what drivers can do wrong, and telling it. Every other room above base/ may ask and tell; each call site is behind ph_checking(),
 * which is one branch, never taken, in a daemon that does not check. */
#ifndef PH_CHECK_H
#define PH_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "check/stack.h"

/* X(NAME, name): the name stands in the log, in stats and in metrics, and in drivers/CHECKING.md */
#define PH_VIOLATIONS(X)                          \
    X(DOUBLE_FREE, double_free)                   \
    X(UNKNOWN_FREE, unknown_free)                 \
    X(WRONG_FREE, wrong_free)                     \
    X(OVERWRITE, overwrite)                       \
    X(USE_AFTER_FREE, use_after_free)             \
    X(LEAK, leak)                                 \
    X(BINARY_AFTER_FREE, binary_after_free)       \
    X(BINARY_UNKNOWN, binary_unknown)             \
    X(REFCOUNT, refcount)                         \
    X(STALE_PORT, stale_port)                     \
    X(UNKNOWN_PORT, unknown_port)                 \
    X(WRONG_THREAD, wrong_thread)                 \
    X(QUEUE_WITHOUT_LOCK, queue_without_lock)     \
    X(OUTPUT_AFTER_CLOSE, output_after_close)     \
    X(FAILURE_IN_STOP, failure_in_stop)           \
    X(BAD_FD, bad_fd)                             \
    X(FD_CLOSED, fd_closed)                       \
    X(FD_STOLEN, fd_stolen)                       \
    X(NO_STOP_SELECT, no_stop_select)             \
    X(LOCK_UNKNOWN, lock_unknown)                 \
    X(LOCK_TWICE, lock_twice)                     \
    X(LOCK_NOT_HELD, lock_not_held)               \
    X(LOCK_DESTROYED, lock_destroyed)             \
    X(LOCK_LEFT, lock_left)                       \
    X(THREAD_MISUSE, thread_misuse)               \
    X(TSD_KEY, tsd_key)                           \
    X(TSD_LEFT, tsd_left)                         \
    X(INIT_ACK, init_ack)                         \
    X(MONITOR_UNKNOWN, monitor_unknown)           \
    X(SLOW_CALLBACK, slow_callback)               \
    X(BAD_ANSWER, bad_answer)                     \
    X(VECTOR_CHANGED, vector_changed)             \
    X(DATA_CHANGED, data_changed)                 \
    X(ENTRY_CHANGED, entry_changed)               \
    X(BAD_TERM, bad_term)                         \
    X(BAD_ARGUMENT, bad_argument)

enum ph_violation {
#define X(name, text) PH_VIOLATION_##name,
    PH_VIOLATIONS(X)
#undef X
    PH_VIOLATION_COUNT
};

extern bool ph_checking_on; /* for ph_checking */
static inline bool ph_checking(void)
{
    return __builtin_expect(ph_checking_on, false);
}

/* Turns it on, for good: before there are threads and before anything is allocated for a driver. where_of: what is said about a port (ph_port_where). */
struct ph_port;
void ph_check_start(const struct ph_where *(*where_of)(const struct ph_port *p, struct ph_where *where));

/* --- who does something --- */

struct ph_who {
    const char *driver;   /* immortal, or NULL: not known */
    bool has_port;
    uint64_t port, connection;
    const char *callback; /* static */
};
struct ph_who ph_who_driver(const char *name, const char *callback); /* for what concerns a driver as a whole */

struct ph_act {
    struct ph_who who;
    struct ph_stack stack;
};
void ph_act_now(struct ph_act *a); /* what the current thread does; with no mutex of check/ held */

/* --- telling; any thread, with no mutex of check/ held --- */

#define PH_NOTES 10u
struct ph_report { /* is put together first, where mutexes are held, and told later */
    enum ph_violation kind;
    struct ph_act act;
    char text[320];
    unsigned notes;
    struct ph_note {
        char text[160];
        struct ph_stack stack;
    } note[PH_NOTES];
};
void ph_report_init(struct ph_report *r, enum ph_violation kind, const struct ph_act *act, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* What belongs to it and happened elsewhere; what is too much is left out. */
void ph_report_note(struct ph_report *r, const struct ph_stack *stack, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* " in control of port 3 of foo_drv": in buf, which is returned. */
const char *ph_who_text(const struct ph_who *who, char *buf, size_t size);
void ph_report_tell(const struct ph_report *r);
/* All three, of what the current thread does. */
void ph_violation(enum ph_violation kind, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- what was counted; any thread --- */

const char *ph_violation_name(enum ph_violation kind);
uint64_t ph_violations_of(enum ph_violation kind); /* all drivers together */
/* counts: PH_VIOLATION_COUNT numbers. The name of the nth driver that broke a rule (from 0; immortal), or NULL: there are not so many. */
const char *ph_violations_by(unsigned nth, uint64_t *counts);

#endif
