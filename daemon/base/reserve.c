/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reserve.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/log.h"

union ph_reserve_block ph_reserve[PH_RESERVE_BLOCKS];

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards the list; a leaf */
static union ph_reserve_block *first_free;
static size_t untouched = PH_RESERVE_BLOCKS; /* the first blocks, never given out yet: their pages need not be there */
static atomic_size_t used;

static union ph_reserve_block *take(void)
{
    union ph_reserve_block *b = first_free;
    if (b)
        first_free = b->next;
    else if (untouched > 0)
        b = &ph_reserve[--untouched];
    return b;
}

/* A line a second at most: every message may come by here. */
static void tell(void)
{
    static _Atomic time_t told;
    time_t now = time(NULL);
    if (atomic_exchange(&told, now) != now)
        ph_log(PH_LOG_ERROR, NULL, "out of memory: requests are refused, and what was accepted goes on with the reserve");
}

void *ph_reserve_take(size_t size)
{
    tell();
    if (size > PH_RESERVE_BLOCK)
        return NULL;
    pthread_mutex_lock(&mu);
    union ph_reserve_block *b = take();
    used += b != NULL;
    pthread_mutex_unlock(&mu);
    return b;
}

void ph_reserve_give(void *p)
{
    union ph_reserve_block *b = p;
    pthread_mutex_lock(&mu);
    b->next = first_free;
    first_free = b;
    used--;
    pthread_mutex_unlock(&mu);
}

size_t ph_reserve_used(void)
{
    return used;
}
