/* SPDX-License-Identifier: Apache-2.0 */
/* A table that gives equal keys the same small number, for ever. It knows hashes and numbers only: what a key is and where
 * it is kept belongs to the owner of the table (words.c). Entries are never removed. */
#ifndef PH_INTERN_H
#define PH_INTERN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PH_INTERN_FULL UINT32_MAX

struct ph_intern_slots;

struct ph_intern {
    _Atomic(struct ph_intern_slots *) slots;
    atomic_uint count; /* numbers given out are 0..count-1 */
    pthread_mutex_t mutex;
    uint32_t limit;
    bool (*equal)(uint32_t number, const void *key); /* any thread, also while another one inserts */
    bool (*store)(uint32_t number, const void *key); /* under the mutex, once for each number, before anyone else sees it. False: no memory, the number stays free */
};

#define PH_INTERN_INIT(limit_, equal_, store_) \
    {.slots = NULL, .mutex = PTHREAD_MUTEX_INITIALIZER, .limit = (limit_), .equal = (equal_), .store = (store_)}

/* The number of the key, inserted if it is new. allowance: how many entries whoever asks may still make, counted down for
 * each; NULL for no end. PH_INTERN_FULL: new, and the table is full, the allowance used up, or no memory. Any thread; no lock if it is there. */
uint32_t ph_intern(struct ph_intern *t, uint32_t hash, const void *key, atomic_uint *allowance);

/* Was this number given out? What `store` wrote for it is then visible. */
static inline bool ph_intern_known(struct ph_intern *t, uint64_t number)
{
    return number < atomic_load_explicit(&t->count, memory_order_acquire);
}

#endif
