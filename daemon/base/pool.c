/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of free blocks by size, one set per thread, freed with it. What one thread frees and another takes ends in malloc and free: lists are bounded. */
#include "base/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "base/mem.h"

#define STEP 64u /* bytes from class to class */
#define CLASSES (PH_POOL_MAX / STEP)
#define KEPT 1024u /* blocks of a class */

struct block {
    SLIST_ENTRY(block) link;
};

struct pool {
    SLIST_HEAD(, block) blocks[CLASSES];
    unsigned count[CLASSES];
};

static _Thread_local struct pool *mine;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool off; /* set once */

static void free_pool(void *arg)
{
    struct pool *pool = arg;
    mine = NULL;
    for (size_t i = 0; i < CLASSES; i++)
        for (struct block *b; (b = SLIST_FIRST(&pool->blocks[i]));) {
            SLIST_REMOVE_HEAD(&pool->blocks[i], link);
            ph_free(b);
        }
    ph_free(pool);
}

static void set_up(void)
{
    off = ph_mem_is_watched() || pthread_key_create(&key, free_pool) != 0;
}

static struct pool *new_pool(void)
{
    pthread_once(&once, set_up);
    if (off)
        return NULL;
    mine = ph_calloc(1, sizeof *mine);
    pthread_setspecific(key, mine);
    return mine;
}

static struct pool *my_pool(void)
{
    return mine ? mine : new_pool();
}

static size_t class_of(size_t size)
{
    return (size - 1) / STEP;
}

void *ph_pool_alloc(size_t size)
{
    struct pool *pool = size > 0 && size <= PH_POOL_MAX ? my_pool() : NULL;
    if (!pool)
        return ph_alloc_try(size);
    size_t class = class_of(size);
    struct block *b = SLIST_FIRST(&pool->blocks[class]);
    if (!b)
        return ph_alloc_try((class + 1) * STEP);
    SLIST_REMOVE_HEAD(&pool->blocks[class], link);
    pool->count[class]--;
    return b;
}

void ph_pool_free(void *p, size_t size)
{
    struct pool *pool = p && size > 0 && size <= PH_POOL_MAX ? my_pool() : NULL;
    size_t class = pool ? class_of(size) : 0;
    if (!pool || pool->count[class] >= KEPT) {
        ph_free(p);
        return;
    }
    struct block *b = p;
    SLIST_INSERT_HEAD(&pool->blocks[class], b, link);
    pool->count[class]++;
}
