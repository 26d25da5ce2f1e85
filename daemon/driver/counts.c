/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/counts.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"

_Thread_local struct ph_driver_blocks *ph_driver_blocks_mine;

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards what follows; a leaf */
static struct ph_driver_blocks *threads; /* of all threads that count; when one ends its counts stay, and the next one goes on with them */
static struct ph_driver_blocks others;   /* of drivers' own threads, of which there may be any number: they add with locked instructions */
static char *names[PH_DRIVER_SLOTS];
static unsigned used;

unsigned ph_driver_slot(const char *name)
{
    unsigned slot = 0;
    pthread_mutex_lock(&mu);
    while (slot < used && strcmp(names[slot], name) != 0)
        slot++;
    if (slot == PH_DRIVER_SLOTS)
        slot--;
    else if (slot == used)
        names[used++] = ph_strdup(slot < PH_DRIVER_SLOTS - 1 ? name : "(others)");
    pthread_mutex_unlock(&mu);
    return slot;
}

const char *ph_driver_lasting_name(const char *name)
{
    return names[ph_driver_slot(name)]; /* never changes once it is there */
}

static struct ph_driver_counts *counts_in(struct ph_driver_blocks *b, unsigned slot)
{
    struct ph_driver_counts *c = atomic_load_explicit(&b->of[slot], memory_order_acquire);
    if (c)
        return c;
    pthread_mutex_lock(&mu);
    c = atomic_load_explicit(&b->of[slot], memory_order_relaxed);
    if (!c) {
        c = ph_calloc(1, sizeof *c);
        atomic_store_explicit(&b->of[slot], c, memory_order_release);
    }
    pthread_mutex_unlock(&mu);
    return c;
}

static void gone(void)
{
    ph_driver_blocks_mine = NULL;
}

static struct ph_inheritance inheritance = PH_INHERITANCE(gone);

/* NULL: no memory, perhaps there is some at the next count. */
static struct ph_driver_blocks *new_thread(void)
{
    struct ph_driver_blocks *b = ph_inherit(&inheritance);
    if (!b && (b = ph_calloc_try(1, sizeof *b))) {
        ph_bequeath(&inheritance, &b->inherited);
        pthread_mutex_lock(&mu);
        b->next = threads;
        threads = b;
        pthread_mutex_unlock(&mu);
    }
    return ph_driver_blocks_mine = b;
}

void ph_driver_count_slow(unsigned slot, unsigned count, uint64_t n)
{
    bool own = ph_thread_is_host() || ph_self.kind == PH_THREAD_ASYNC;
    struct ph_driver_blocks *b = !own ? NULL : ph_driver_blocks_mine ? ph_driver_blocks_mine : new_thread();
    if (!b) {
        atomic_fetch_add_explicit(&counts_in(&others, slot)->n[count], n, memory_order_relaxed);
        return;
    }
    struct ph_driver_counts *c = counts_in(b, slot);
    atomic_store_explicit(&c->n[count], atomic_load_explicit(&c->n[count], memory_order_relaxed) + n, memory_order_relaxed);
}

static void add(struct ph_driver_blocks *b, unsigned slot, uint64_t *sums)
{
    struct ph_driver_counts *c = atomic_load_explicit(&b->of[slot], memory_order_acquire);
    for (unsigned i = 0; c && i < PH_DRIVER_COUNT_COUNT; i++)
        sums[i] += atomic_load_explicit(&c->n[i], memory_order_relaxed);
}

const char *ph_driver_slot_sums(unsigned slot, uint64_t *sums)
{
    memset(sums, 0, PH_DRIVER_COUNT_COUNT * sizeof *sums);
    pthread_mutex_lock(&mu);
    const char *name = slot < used ? names[slot] : NULL;
    for (struct ph_driver_blocks *b = threads; name && b; b = b->next)
        add(b, slot, sums);
    if (name)
        add(&others, slot, sums);
    pthread_mutex_unlock(&mu);
    return name;
}
