/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counters.h"

#include <pthread.h>

#include "base/mem.h"

_Thread_local struct ph_counters *ph_counters_mine;

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards the list; a leaf */
static SLIST_HEAD(, ph_counters) blocks = SLIST_HEAD_INITIALIZER(blocks);

static void gone(void)
{
    ph_counters_mine = NULL;
}

static struct ph_inheritance inheritance = PH_INHERITANCE(gone);

struct ph_counters *ph_counters_new(void)
{
    struct ph_counters *c = ph_inherit(&inheritance);
    if (!c) {
        c = ph_calloc(1, sizeof *c);
        ph_bequeath(&inheritance, &c->inherited);
        pthread_mutex_lock(&mu);
        SLIST_INSERT_HEAD(&blocks, c, link);
        pthread_mutex_unlock(&mu);
    }
    return ph_counters_mine = c;
}

uint64_t ph_counter_sum(enum ph_counter counter)
{
    struct ph_counters *c;
    uint64_t sum = 0;
    pthread_mutex_lock(&mu);
    SLIST_FOREACH(c, &blocks, link)
        sum += atomic_load_explicit(&c->n[counter], memory_order_relaxed);
    pthread_mutex_unlock(&mu);
    return sum;
}
