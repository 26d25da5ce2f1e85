/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: each thread adds to its own, whoever asks gets the sum, so counting touches no shared cache line. They only grow. */
#ifndef PH_COUNTERS_H
#define PH_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/inherit.h"
#include "base/limits.h"
#include "proto.h"

/* X(NAME, atom); those of the limits count how often each was met */
#define PH_COUNTERS(X)                   \
    X(CONNECTIONS, "connections_total")  \
    X(FRAMES_IN, "frames_in")            \
    X(BYTES_IN, "bytes_in")              \
    X(FRAMES_OUT, "frames_out")          \
    X(BYTES_OUT, "bytes_out")            \
    X(OPENS, "opens")                    \
    X(COMMANDS, "commands")              \
    X(CONTROLS, "controls")              \
    X(CALLS, "calls")                    \
    X(REFUSED, "refused_connections")    \
    X(FAULTS, "faults")                  \
    X(NOT_PERMITTED, "not_permitted")    \
    X(VIOLATIONS, "violations")          \
    X(DRIVER_PORTS, "limit_driver_ports") \
    PH_LIMITS(PH_LIMIT_COUNTER, X)
#define PH_LIMIT_COUNTER(X, name, key, value, least, most) X(LIMIT_##name, "limit_" #key)

enum ph_counter {
#define X(name, atom) PH_COUNT_##name,
    PH_COUNTERS(X)
#undef X
    PH_COUNTER_COUNT,
    PH_COUNT_FAULT = PH_COUNTER_COUNT, /* and from here on each enum ph_fault by itself */
    PH_COUNTERS_IN_ALL = PH_COUNT_FAULT + PH_FAULT_COUNT
};

struct ph_counters { /* one per thread that counts; when the thread ends its counts stay, and the next one goes on with them */
    struct ph_inherited inherited;
    SLIST_ENTRY(ph_counters) link;
    atomic_uint_fast64_t n[PH_COUNTERS_IN_ALL];
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

static inline void ph_count_fault(enum ph_fault fault)
{
    ph_count(PH_COUNT_FAULTS, 1);
    ph_count((enum ph_counter)(PH_COUNT_FAULT + fault), 1);
}

uint64_t ph_counter_sum(enum ph_counter counter);   /* any thread; of this moment, roughly */

#endif
