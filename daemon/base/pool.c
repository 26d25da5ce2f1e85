/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of free blocks by size, one set per thread, freed with it. What one thread frees and another takes ends in malloc and free: lists are bounded. */
#include "base/pool.h"

#include <pthread.h>

#include "base/mem.h"

_Thread_local struct ph_pool *ph_pool_mine;
atomic_uint ph_pool_season;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool off; /* set once */

void ph_pool_empty(struct ph_pool *pool)
{
    pool->season = atomic_load_explicit(&ph_pool_season, memory_order_relaxed);
    for (size_t i = 0; i < PH_POOL_CLASSES; i++) {
        pool->kept[i] = 0;
        for (struct ph_pool_block *b; (b = SLIST_FIRST(&pool->blocks[i]));) {
            SLIST_REMOVE_HEAD(&pool->blocks[i], link);
            ph_free(b);
        }
    }
}

static void free_pool(void *arg)
{
    struct ph_pool *pool = arg;
    ph_pool_mine = NULL;
    ph_pool_empty(pool);
    ph_free(pool);
}

static void set_up(void)
{
    off = ph_mem_is_watched() || pthread_key_create(&key, free_pool) != 0;
}

void *ph_pool_alloc_new(size_t size)
{
    size_t class = (size - 1) / PH_POOL_STEP;
    return ph_alloc_try(class < PH_POOL_CLASSES ? (class + 1) * PH_POOL_STEP : size);
}

/* The list is full, or there is none yet. */
void ph_pool_free_first(void *p, size_t size)
{
    pthread_once(&once, set_up);
    if (!p || off || ph_pool_mine || size == 0 || size > PH_POOL_MAX || !(ph_pool_mine = ph_calloc_try(1, sizeof *ph_pool_mine))) {
        ph_free(p);
        return;
    }
    pthread_setspecific(key, ph_pool_mine);
    ph_pool_free(p, size);
}
