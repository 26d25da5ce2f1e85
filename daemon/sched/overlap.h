/* SPDX-License-Identifier: Apache-2.0 */
/* Debug builds (PH_DEBUG) assert that callbacks run in jobs of their port's lock and that those of one lock never overlap. For
 * port/callback.c, which enters every callback of a port. In other builds nothing is checked. */
#ifndef PH_OVERLAP_H
#define PH_OVERLAP_H

#include "base/log.h"
#include "base/thread.h"
#include "sched/lock.h"

#ifdef PH_DEBUG

/* Aborts if another thread is in a callback of the lock. Callbacks nest: a failure function runs stop() inside another. */
static inline void ph_overlap_enter(struct ph_lock *l, const char *callback)
{
    const struct ph_thread *inside = NULL;
    if (ph_self.lock != l)
        ph_fatal("callback %s is not in a job of its port's lock", callback);
    if (!atomic_compare_exchange_strong(&l->inside, &inside, &ph_self) && inside != &ph_self)
        ph_fatal("callback %s overlaps another one of its lock", callback);
    l->depth++;
}

static inline void ph_overlap_leave(struct ph_lock *l)
{
    if (--l->depth == 0)
        atomic_store(&l->inside, NULL);
}

#else

static inline void ph_overlap_enter(struct ph_lock *l, const char *callback)
{
    (void)l;
    (void)callback;
}

static inline void ph_overlap_leave(struct ph_lock *l)
{
    (void)l;
}

#endif

#endif
