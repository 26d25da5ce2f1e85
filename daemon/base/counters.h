/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: each thread adds to its own, whoever asks gets the sum, so counting touches no shared cache line. They only grow. */
#ifndef PH_COUNTERS_H
#define PH_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/limits.h"

/* X(NAME, atom); those of the limits count how often each was met */
#define PH_COUNTERS(X)                   \
    X(CONNECTIONS, "connections_total")  \
    X(FRAMES_IN, "frames_in")            \
    X(BYTES_IN, "bytes_in")              \
    X(OPENS, "opens")                    \
    X(COMMANDS, "commands")              \
    X(CONTROLS, "controls")              \
    X(CALLS, "calls")                    \
    X(REFUSED, "refused_connections")    \
    X(FAULTS, "faults")                  \
    X(NOT_PERMITTED, "not_permitted")    \
    X(DRIVER_PORTS, "limit_driver_ports") \
    PH_LIMITS(PH_LIMIT_COUNTER, X)
#define PH_LIMIT_COUNTER(X, name, key, value, least, most) X(LIMIT_##name, "limit_" #key)

enum ph_counter {
#define X(name, atom) PH_COUNT_##name,
    PH_COUNTERS(X)
#undef X
    PH_COUNTER_COUNT
};

struct ph_counters { /* one per thread that ever counted; kept when the thread ends, for its counts stay */
    SLIST_ENTRY(ph_counters) link;
    atomic_uint_fast64_t n[PH_COUNTER_COUNT];
};
extern _Thread_local struct ph_counters *ph_counters_mine; /* for ph_count; NULL before the thread's first */
struct ph_counters *ph_counters_new(void);

/* Any thread. Only this one writes its counts: a load and a store, no locked instruction. */
static inline void ph_count(enum ph_counter counter, uint64_t n)
{
    struct ph_counters *mine = ph_counters_mine ? ph_counters_mine : ph_counters_new();
    uint64_t old = atomic_load_explicit(&mine->n[counter], memory_order_relaxed);
    atomic_store_explicit(&mine->n[counter], old + n, memory_order_relaxed);
}

uint64_t ph_counter_sum(enum ph_counter counter);   /* any thread; of this moment, roughly */

#endif
