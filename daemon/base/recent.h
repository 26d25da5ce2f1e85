/* SPDX-License-Identifier: Apache-2.0 */
/* What each thread has entered last, for the report of a crash. Written by its own thread with plain stores, a few instructions for each callback; read by a signal
 * handler on any thread. */
#ifndef PH_RECENT_H
#define PH_RECENT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/inherit.h"

#define PH_RECENT_EVENTS 16u /* a power of 2 */

struct ph_recent_event {
    atomic_uint_fast64_t port; /* handle; 0: none yet */
    atomic_uint_fast64_t at_ns;
    _Atomic(const char *) callback; /* static */
};

struct ph_recent { /* one per thread that enters drivers; when it ends it stays, until the next one begins anew with it */
    struct ph_inherited inherited;
    _Atomic(struct ph_recent *) next;
    char thread[16];
    unsigned count; /* own thread only */
    struct ph_recent_event events[PH_RECENT_EVENTS];
};

extern _Thread_local struct ph_recent *ph_recent_mine; /* NULL before the thread's first */
struct ph_recent *ph_recent_new(void);

/* A thread of the host enters a callback of the port. callback: static. */
static inline void ph_recent_add(uint64_t port, const char *callback, uint64_t at_ns)
{
    struct ph_recent *mine = ph_recent_mine ? ph_recent_mine : ph_recent_new();
    struct ph_recent_event *e = &mine->events[mine->count++ % PH_RECENT_EVENTS];
    atomic_store_explicit(&e->port, port, memory_order_relaxed);
    atomic_store_explicit(&e->at_ns, at_ns, memory_order_relaxed);
    atomic_store_explicit(&e->callback, callback, memory_order_relaxed);
}

/* The first of all threads' lists; follow next. For signal handlers: allocates nothing, takes no lock. */
struct ph_recent *ph_recent_first(void);

#endif
