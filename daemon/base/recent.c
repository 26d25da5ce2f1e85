/* SPDX-License-Identifier: Apache-2.0 */
#include "base/recent.h"

#include <pthread.h>

#include "base/mem.h"

_Thread_local struct ph_recent *ph_recent_mine;

static _Atomic(struct ph_recent *) first; /* grows only, so a signal handler can walk it at any moment */

struct ph_recent *ph_recent_new(void)
{
    struct ph_recent *r = ph_calloc(1, sizeof *r);
    struct ph_recent *old = atomic_load(&first);
    pthread_getname_np(pthread_self(), r->thread, sizeof r->thread);
    do
        atomic_store_explicit(&r->next, old, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&first, &old, r, memory_order_release, memory_order_relaxed));
    return ph_recent_mine = r;
}

struct ph_recent *ph_recent_first(void)
{
    return atomic_load_explicit(&first, memory_order_acquire);
}
