/* SPDX-License-Identifier: Apache-2.0 */
/* Handle tables: slots in chunks that are never moved or freed, so that a slot can be looked at without a lock on the table. */
#include "base/handle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/mem.h"

#define SLOT_BITS 28
#define CHUNK_BITS 12
#define CHUNK_SLOTS (1u << CHUNK_BITS)
#define CHUNKS (1u << (SLOT_BITS - CHUNK_BITS))
#define SHARDS 64u

struct slot {
    void *obj;           /* NULL: free */
    uint32_t generation; /* of the present or next handle, never 0 */
    uint32_t next_free;  /* slot number + 1 */
};

struct ph_handles {
    pthread_mutex_t free_mu; /* guards free_list, used; taken alone */
    uint32_t free_list;      /* slot number + 1; 0: none */
    uint32_t used;           /* slots ever given out */
    pthread_mutex_t shard[SHARDS];
    _Atomic(struct slot *) chunk[CHUNKS];
};

struct ph_handles *ph_handles_new(void)
{
    struct ph_handles *t = ph_calloc(1, sizeof *t);
    pthread_mutex_init(&t->free_mu, NULL);
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_mutex_init(&t->shard[i], NULL);
    return t;
}

static struct slot *slot_at(struct ph_handles *t, uint32_t n)
{
    /* Acquire: pairs with the release that published the chunk's zeroed slots. */
    struct slot *chunk = atomic_load_explicit(&t->chunk[n >> CHUNK_BITS], memory_order_acquire);
    return chunk ? &chunk[n & (CHUNK_SLOTS - 1)] : NULL;
}

/* Is there memory for slot n, which was never used? */
static bool has_chunk_locked(struct ph_handles *t, uint32_t n)
{
    if (slot_at(t, n) == NULL)
        atomic_store_explicit(&t->chunk[n >> CHUNK_BITS], ph_calloc_try(CHUNK_SLOTS, sizeof(struct slot)), memory_order_release);
    return slot_at(t, n) != NULL;
}

/* A free slot's number, or UINT32_MAX. */
static uint32_t take_slot(struct ph_handles *t)
{
    uint32_t n = UINT32_MAX;
    pthread_mutex_lock(&t->free_mu);
    if (t->free_list) {
        n = t->free_list - 1;
        t->free_list = slot_at(t, n)->next_free;
    } else if (t->used < (1u << SLOT_BITS) && has_chunk_locked(t, t->used)) {
        n = t->used++;
    }
    pthread_mutex_unlock(&t->free_mu);
    return n;
}

uint64_t ph_handle_add(struct ph_handles *t, void *obj)
{
    uint32_t n = take_slot(t);
    if (n == UINT32_MAX)
        return 0;
    struct slot *s = slot_at(t, n);
    pthread_mutex_lock(&t->shard[n % SHARDS]);
    s->obj = obj;
    if (s->generation == 0)
        s->generation = 1;
    uint64_t handle = (uint64_t)s->generation << SLOT_BITS | n;
    pthread_mutex_unlock(&t->shard[n % SHARDS]);
    return handle;
}

void *ph_handle_get(struct ph_handles *t, uint64_t handle, void (*ref)(void *obj))
{
    uint32_t n = (uint32_t)handle & ((1u << SLOT_BITS) - 1);
    struct slot *s = handle >> 60 ? NULL : slot_at(t, n);
    if (!s)
        return NULL;
    pthread_mutex_lock(&t->shard[n % SHARDS]);
    void *obj = s->generation == (uint32_t)(handle >> SLOT_BITS) ? s->obj : NULL;
    if (obj && ref)
        ref(obj);
    pthread_mutex_unlock(&t->shard[n % SHARDS]);
    return obj;
}

bool ph_handle_was_given(struct ph_handles *t, uint64_t handle)
{
    uint32_t n = (uint32_t)handle & ((1u << SLOT_BITS) - 1), generation = (uint32_t)(handle >> SLOT_BITS);
    struct slot *s = handle >> 60 || generation == 0 ? NULL : slot_at(t, n);
    if (!s)
        return false;
    pthread_mutex_lock(&t->shard[n % SHARDS]);
    bool given = generation < s->generation || (generation == s->generation && s->obj);
    pthread_mutex_unlock(&t->shard[n % SHARDS]);
    return given;
}

bool ph_handles_some(struct ph_handles *t, uint32_t *at, uint32_t slots, void (*fn)(void *obj, void *arg), void *arg)
{
    struct slot *s;
    for (; slots > 0 && *at < (1u << SLOT_BITS) && (s = slot_at(t, *at)); slots--, ++*at) {
        pthread_mutex_lock(&t->shard[*at % SHARDS]);
        if (s->obj)
            fn(s->obj, arg);
        pthread_mutex_unlock(&t->shard[*at % SHARDS]);
    }
    return slots == 0;
}

void ph_handle_remove(struct ph_handles *t, uint64_t handle)
{
    uint32_t n = (uint32_t)handle & ((1u << SLOT_BITS) - 1);
    struct slot *s = slot_at(t, n);
    pthread_mutex_lock(&t->shard[n % SHARDS]);
    s->obj = NULL;
    s->generation++;
    pthread_mutex_unlock(&t->shard[n % SHARDS]);
    pthread_mutex_lock(&t->free_mu);
    s->next_free = t->free_list;
    t->free_list = n + 1;
    pthread_mutex_unlock(&t->free_mu);
}
