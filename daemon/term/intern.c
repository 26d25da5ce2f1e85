/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the slot arrays of the intern tables. Any thread; lookups take no lock, insertions the table's mutex.
 *
 * Ordering. A slot goes from 0 to its final value once, by a release store after `store` has written the entry; a reader
 * that acquires a value other than 0 sees the entry. An array is filled before its address is published by a release store.
 * It may be replaced by a larger one while it is being read; it is kept, so the reader goes on safely, and a key that
 * was inserted into the new array only is a miss: every miss is looked up again under the mutex, where nothing moves. The replaced
 * arrays together are smaller than the one in use. */
#include "term/intern.h"

#include "base/limits.h"
#include "base/mem.h"

#define FIRST_SLOTS 256u

struct ph_intern_slots {
    struct ph_intern_slots *older; /* keeps the replaced arrays reachable */
    uint32_t mask;
    _Atomic uint64_t slot[]; /* hash in the high half, number + 1 in the low; 0: free */
};

/* NULL: no memory. The first are small enough for the reserve. */
static struct ph_intern_slots *new_slots(uint32_t n, struct ph_intern_slots *older)
{
    size_t size = sizeof(struct ph_intern_slots) + n * sizeof(_Atomic uint64_t);
    struct ph_intern_slots *s = older == NULL ? ph_calloc(1, size) : ph_calloc_try(1, size);
    if (s == NULL)
        return NULL;
    s->older = older;
    s->mask = n - 1;
    return s;
}

/* *at: where the search ended, at the key or at the free slot for it. */
static uint32_t find(struct ph_intern *t, struct ph_intern_slots *s, uint32_t hash, const void *key, uint32_t *at)
{
    for (uint32_t i = hash & s->mask;; i = (i + 1) & s->mask) {
        uint64_t v = atomic_load_explicit(&s->slot[i], memory_order_acquire);
        uint32_t number = (uint32_t)v - 1;
        *at = i;
        if (v == 0)
            return PH_INTERN_FULL;
        if ((uint32_t)(v >> 32) == hash && t->equal(number, key))
            return number;
    }
}

static struct ph_intern_slots *grown_locked(struct ph_intern *t, struct ph_intern_slots *old)
{
    struct ph_intern_slots *s = new_slots(old == NULL ? FIRST_SLOTS : 2 * (old->mask + 1), old);
    if (s == NULL)
        return old;
    for (uint32_t i = 0; old != NULL && i <= old->mask; i++) {
        uint64_t v = atomic_load_explicit(&old->slot[i], memory_order_relaxed);
        uint32_t to = (uint32_t)(v >> 32) & s->mask;
        while (v != 0 && atomic_load_explicit(&s->slot[to], memory_order_relaxed) != 0)
            to = (to + 1) & s->mask;
        if (v != 0)
            atomic_store_explicit(&s->slot[to], v, memory_order_relaxed);
    }
    atomic_store_explicit(&t->slots, s, memory_order_release);
    return s;
}

/* At most half of the slots are used, but for lack of memory for more; one is always free, so every search ends. */
static uint32_t insert_locked(struct ph_intern *t, uint32_t hash, const void *key)
{
    struct ph_intern_slots *s = atomic_load_explicit(&t->slots, memory_order_relaxed);
    uint32_t count = atomic_load_explicit(&t->count, memory_order_relaxed);
    uint32_t at;

    if (s == NULL || count >= s->mask / 2)
        s = grown_locked(t, s);
    uint32_t number = find(t, s, hash, key, &at);
    if (number != PH_INTERN_FULL || count >= t->limit)
        return number;
    if (count >= s->mask || !t->store(count, key))
        return PH_INTERN_FULL;
    atomic_store_explicit(&t->count, count + 1, memory_order_release);
    atomic_store_explicit(&s->slot[at], (uint64_t)hash << 32 | (count + 1), memory_order_release);
    return count;
}

static bool allowed(atomic_uint *allowance)
{
    unsigned left = allowance ? atomic_load_explicit(allowance, memory_order_relaxed) : 1;
    while (left && allowance && !atomic_compare_exchange_weak_explicit(allowance, &left, left - 1, memory_order_relaxed, memory_order_relaxed))
        ;
    if (left == 0)
        ph_limit_met(PH_LIMIT_NEW_NAMES);
    return left > 0;
}

uint32_t ph_intern(struct ph_intern *t, uint32_t hash, const void *key, atomic_uint *allowance)
{
    struct ph_intern_slots *s = atomic_load_explicit(&t->slots, memory_order_acquire);
    uint32_t at;
    uint32_t number = s == NULL ? PH_INTERN_FULL : find(t, s, hash, key, &at);

    if (number != PH_INTERN_FULL || !allowed(allowance))
        return number;
    pthread_mutex_lock(&t->mutex);
    number = insert_locked(t, hash, key);
    pthread_mutex_unlock(&t->mutex);
    return number;
}
