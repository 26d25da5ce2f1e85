/* SPDX-License-Identifier: Apache-2.0 */
#include "base/recent.h"

#include <pthread.h>

#include "base/mem.h"

_Thread_local struct ph_recent *ph_recent_mine;

static _Atomic(struct ph_recent *) first; /* grows only, so a signal handler can walk it at any moment */

static void gone(void)
{
    ph_recent_mine = NULL;
}

static struct ph_inheritance inheritance = PH_INHERITANCE(gone);

static void list(struct ph_recent *r)
{
    struct ph_recent *old = atomic_load(&first);
    do
        atomic_store_explicit(&r->next, old, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&first, &old, r, memory_order_release, memory_order_relaxed));
}

struct ph_recent *ph_recent_new(void)
{
    struct ph_recent *r = ph_inherit(&inheritance);
    bool listed = r != NULL;
    if (!r) {
        r = ph_calloc(1, sizeof *r);
        ph_bequeath(&inheritance, &r->inherited);
    }
    for (unsigned i = 0; i < PH_RECENT_EVENTS; i++)
        atomic_store_explicit(&r->events[i].callback, NULL, memory_order_relaxed);
    pthread_getname_np(pthread_self(), r->thread, sizeof r->thread);
    if (!listed)
        list(r);
    return ph_recent_mine = r;
}

struct ph_recent *ph_recent_first(void)
{
    return atomic_load_explicit(&first, memory_order_acquire);
}
