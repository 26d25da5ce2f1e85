/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted for each driver, by its name: each thread of the host adds to a block of its own, whoever asks gets the sums, so counting touches no
 * shared cache line and asking costs nothing per port. Counts stay when the driver is unloaded. Some are gauges: what is taken away is added as a
 * negative number, and the sum over all threads is right. */
#ifndef PH_DRIVER_COUNTS_H
#define PH_DRIVER_COUNTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/inherit.h"
#include "proto.h"

enum ph_callback_kind {
#define X(name) PH_CALLBACK_##name,
    PH_CALLBACKS(X)
#undef X
    PH_CALLBACK_COUNT
};

#define PH_RUN_BUCKETS 12u /* of callback times: up to 1.024 us, 4.096 us, ..., 1.07 s, and above */
#define PH_RUN_BUCKET_NS(i) (UINT64_C(1024) << 2 * (i)) /* the bound of all buckets but the last */

enum ph_driver_count {
    PH_DRIVER_OPENS,
    PH_DRIVER_OPEN_FAILURES, /* start said no */
    PH_DRIVER_CLOSES,
    PH_DRIVER_BYTES_TO,   /* of commands */
    PH_DRIVER_BYTES_FROM, /* from output functions */
    PH_DRIVER_OUTPUTS,    /* messages from these */
    PH_DRIVER_TERMS,      /* messages from term functions */
    PH_DRIVER_WORKER_RUNS,
    PH_DRIVER_RUN_NS,
    PH_DRIVER_QUEUE_BYTES, /* gauge */
    PH_DRIVER_BUSY_PORTS,  /* gauge */
    PH_DRIVER_BUSY_NS,     /* of ports that are not busy any more */
    PH_DRIVER_ASYNC_JOBS,
    PH_DRIVER_ASYNC_STARTED,
    PH_DRIVER_ASYNC_DONE,
    PH_DRIVER_ASYNC_WAIT_NS,
    PH_DRIVER_ASYNC_RUN_NS,
    PH_DRIVER_TIMERS,    /* gauge */
    PH_DRIVER_CALLBACKS, /* by ph_callback_kind, nested ones too */
    PH_DRIVER_RUNS = PH_DRIVER_CALLBACKS + PH_CALLBACK_COUNT, /* by bucket, outermost ones */
    PH_DRIVER_COUNT_COUNT = PH_DRIVER_RUNS + PH_RUN_BUCKETS
};

#define PH_DRIVER_SLOTS 1024u /* names; those that come later share the last one */

struct ph_driver_counts {
    atomic_uint_fast64_t n[PH_DRIVER_COUNT_COUNT];
};
struct ph_driver_blocks {
    struct ph_inherited inherited;
    _Atomic(struct ph_driver_counts *) of[PH_DRIVER_SLOTS];
    struct ph_driver_blocks *next;
};
extern _Thread_local struct ph_driver_blocks *ph_driver_blocks_mine; /* for ph_driver_count; NULL before the thread's first, and in drivers' own threads */

/* The slot in which the driver with that name counts. Any thread. */
unsigned ph_driver_slot(const char *name);
const char *ph_driver_lasting_name(const char *name); /* equal, but immortal: that of its slot */
void ph_driver_count_slow(unsigned slot, unsigned count, uint64_t n);

/* This thread's own counts in that slot, for ph_driver_count_in: NULL before it has some, and in drivers' own threads. */
static inline struct ph_driver_counts *ph_driver_counts_here(unsigned slot)
{
    struct ph_driver_blocks *mine = ph_driver_blocks_mine;
    return mine ? atomic_load_explicit(&mine->of[slot], memory_order_relaxed) : 0;
}

/* Any thread. Those of the host write to their own block: a load and a store, no locked instruction. count: enum ph_driver_count, plus a kind or bucket. */
static inline void ph_driver_count_in(struct ph_driver_counts *c, unsigned slot, unsigned count, uint64_t n)
{
    if (c)
        atomic_store_explicit(&c->n[count], atomic_load_explicit(&c->n[count], memory_order_relaxed) + n, memory_order_relaxed);
    else
        ph_driver_count_slow(slot, count, n);
}

static inline void ph_driver_count(unsigned slot, unsigned count, uint64_t n)
{
    ph_driver_count_in(ph_driver_counts_here(slot), slot, count, n);
}

static inline unsigned ph_run_bucket(uint64_t ns)
{
    unsigned bits = ns > 1024 ? 64u - (unsigned)__builtin_clzll((ns - 1) >> 10) : 0, bucket = (bits + 1) / 2;
    return bucket < PH_RUN_BUCKETS ? bucket : PH_RUN_BUCKETS - 1;
}

/* Any thread; of this moment, roughly. The name of the slot (borrowed, immortal), or NULL: it is not used. sums: PH_DRIVER_COUNT_COUNT numbers. */
const char *ph_driver_slot_sums(unsigned slot, uint64_t *sums);

#endif
