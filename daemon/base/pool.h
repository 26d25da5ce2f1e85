/* SPDX-License-Identifier: Apache-2.0 */
/* Small blocks that come and go with every message: each thread keeps the ones it freed and uses them again, so that in the steady state nothing
 * is allocated. Any thread may free what another one took. Sanitizer builds and memcheck get malloc and free, so that they see each block's life. */
#ifndef PH_POOL_H
#define PH_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#define PH_POOL_MAX 512u /* bytes: larger blocks are malloc's and free's */

#define PH_POOL_STEP 64u /* bytes from class to class */
#define PH_POOL_CLASSES (PH_POOL_MAX / PH_POOL_STEP)
#define PH_POOL_KEPT 65536u /* bytes of blocks of a class */

struct ph_pool { /* a thread's, for the inline functions */
    SLIST_HEAD(, ph_pool_block) blocks[PH_POOL_CLASSES];
    unsigned kept[PH_POOL_CLASSES]; /* bytes */
    unsigned season;                /* see ph_pool_tidy */
};
struct ph_pool_block {
    SLIST_ENTRY(ph_pool_block) link;
};
extern _Thread_local struct ph_pool *ph_pool_mine; /* NULL until the thread freed something, or for ever */
extern atomic_uint ph_pool_season;

/* From now on, each thread frees what it keeps as soon as it calls ph_pool_tidy. Any thread. Such blocks lie scattered, and each keeps a page of memory from being given back. */
static inline void ph_pools_tidy(void)
{
    atomic_fetch_add_explicit(&ph_pool_season, 1, memory_order_relaxed);
}

void *ph_pool_alloc_new(size_t size);
void ph_pool_free_first(void *p, size_t size);
void ph_pool_empty(struct ph_pool *pool);

/* For threads that are about to wait: is there nothing that they have to free first? */
static inline bool ph_pool_is_tidy(void)
{
    return !ph_pool_mine || ph_pool_mine->season == atomic_load_explicit(&ph_pool_season, memory_order_relaxed);
}

static inline void ph_pool_tidy(void)
{
    if (!ph_pool_is_tidy())
        ph_pool_empty(ph_pool_mine);
}

/* 16-aligned; NULL if out of memory. */
static inline void *ph_pool_alloc(size_t size)
{
    struct ph_pool *pool = ph_pool_mine;
    size_t class = (size - 1) / PH_POOL_STEP;
    if (!pool || class >= PH_POOL_CLASSES || !SLIST_FIRST(&pool->blocks[class]))
        return ph_pool_alloc_new(size);
    struct ph_pool_block *b = SLIST_FIRST(&pool->blocks[class]);
    SLIST_REMOVE_HEAD(&pool->blocks[class], link);
    pool->kept[class] -= (unsigned)(class + 1) * PH_POOL_STEP;
    return b;
}

/* size: as it was allocated. */
static inline void ph_pool_free(void *p, size_t size)
{
    struct ph_pool *pool = ph_pool_mine;
    size_t class = (size - 1) / PH_POOL_STEP;
    if (!pool || class >= PH_POOL_CLASSES || pool->kept[class] >= PH_POOL_KEPT || !p) {
        ph_pool_free_first(p, size);
        return;
    }
    struct ph_pool_block *b = p;
    SLIST_INSERT_HEAD(&pool->blocks[class], b, link);
    pool->kept[class] += (unsigned)(class + 1) * PH_POOL_STEP;
}

#endif
