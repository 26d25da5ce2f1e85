/* SPDX-License-Identifier: Apache-2.0 */
/* Which locks and thread-specific data the current thread has, and what it may do with them. Only if ph_checking(). Any thread; those that answer false have reported, and the call is not to
 * be done. function: the driver API function, static. */
#ifndef PH_CHECK_LOCK_H
#define PH_CHECK_LOCK_H

#include "check/thing.h"

enum ph_hold { PH_HOLD, PH_HOLD_READ, PH_HOLD_WRITE };

void ph_lock_made(enum ph_thing_kind kind, const void *lock, const char *name); /* NULL ok */
bool ph_lock_take(enum ph_thing_kind kind, const void *lock, enum ph_hold how, const char *function); /* before it is waited for: from then on it counts as held */
bool ph_lock_try(enum ph_thing_kind kind, const void *lock, enum ph_hold how, const char *function);
void ph_lock_not_taken(const void *lock, enum ph_hold how); /* after one of these two that was allowed and failed */
bool ph_lock_drop(enum ph_thing_kind kind, const void *lock, enum ph_hold how, const char *function);
bool ph_lock_is_known(enum ph_thing_kind kind, const void *lock, const char *function);
bool ph_lock_is_held(enum ph_thing_kind kind, const void *lock, const char *function); /* by this thread */
bool ph_lock_may_end(enum ph_thing_kind kind, const void *lock, const char *function); /* before destroying it */
void ph_lock_is_busy(enum ph_thing_kind kind, const void *lock, const char *function); /* reports: it is held by somebody while it is destroyed */
void ph_thing_made(enum ph_thing_kind kind, const void *at, const char *name);  /* threads and keys */
void ph_thing_ended(enum ph_thing_kind kind, const void *at);
bool ph_thing_is_known(enum ph_thing_kind kind, const void *at); /* and not gone */
/* References of drivers to a port data lock. */
bool ph_pdl_inc(const void *pdl, const char *function);
bool ph_pdl_dec(const void *pdl, const char *function);
bool ph_lock_has_pdl(void); /* this thread holds one, whichever */
/* Thread-specific data. */
void ph_tsd_set(const void *key, bool some, const char *function); /* the value of this thread is set, some: not to NULL */
void ph_tsd_destroyed(const void *key, const char *function);      /* reports if a thread has data with it */

/* How a lock is unlocked that its driver has left locked, by the thread that holds it, or data are cleared: each room with locks says so for its own, before it makes any. */
void ph_lock_on_left(enum ph_thing_kind kind, void (*unlock)(void *lock));

/* The outermost callback or an async job has ended: what it has locked it must have unlocked; what it has not is unlocked for it. So with data in threads of the host. (That a
 * thread ends needs not be said.) */
void ph_locks_leave(void);

#endif
