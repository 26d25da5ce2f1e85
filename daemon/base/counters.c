/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counters.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/mem.h"

struct block { /* one per thread that ever counted; kept when the thread ends, for its counts stay */
    SLIST_ENTRY(block) link;
    atomic_uint_fast64_t n[PH_COUNTER_COUNT];
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards the list; a leaf */
static SLIST_HEAD(, block) blocks = SLIST_HEAD_INITIALIZER(blocks);

static struct block *new_block(void)
{
    struct block *b = ph_calloc(1, sizeof *b);
    pthread_mutex_lock(&mu);
    SLIST_INSERT_HEAD(&blocks, b, link);
    pthread_mutex_unlock(&mu);
    return b;
}

void ph_count(enum ph_counter counter, uint64_t n)
{
    static _Thread_local struct block *mine;
    if (!mine)
        mine = new_block();
    /* Only this thread writes: a load and a store, no locked instruction. */
    uint64_t old = atomic_load_explicit(&mine->n[counter], memory_order_relaxed);
    atomic_store_explicit(&mine->n[counter], old + n, memory_order_relaxed);
}

uint64_t ph_counter_sum(enum ph_counter counter)
{
    struct block *b;
    uint64_t sum = 0;
    pthread_mutex_lock(&mu);
    SLIST_FOREACH(b, &blocks, link)
        sum += atomic_load_explicit(&b->n[counter], memory_order_relaxed);
    pthread_mutex_unlock(&mu);
    return sum;
}
