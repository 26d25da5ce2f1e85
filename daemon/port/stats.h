/* SPDX-License-Identifier: Apache-2.0 */
/* What a port counts. Each field is written by one thread at a time, the runner of the port's lock (but those marked otherwise), with a plain
 * load and store; whoever looks gets a value of about now. All lie in the port's own memory: counting touches no line that others share. */
#ifndef PH_STATS_H
#define PH_STATS_H

#include <stdatomic.h>
#include <stdint.h>

struct ph_port;
struct ph_wbuf;

typedef atomic_uint_fast64_t ph_stat;

struct ph_port_stats {
    ph_stat input, output;        /* bytes from, to the driver */
    ph_stat outputs;              /* messages from output functions */
    ph_stat terms;                /* messages from term functions: any thread, locked add */
    ph_stat queue_size;           /* copy of ioq.size, see ph_stat_queue */
    uint64_t busy_since_ns;       /* guarded by busy.c's mutex */
    ph_stat runs, worker_runs;    /* callbacks; of these, on a worker */
    ph_stat run_ns, longest_ns;   /* in callbacks; nested ones are part of the outer */
    ph_stat since_ns;             /* when the callback that runs was entered */
    _Atomic(const char *) running; /* its name, or NULL */
};

static inline void ph_stat_set(ph_stat *s, uint64_t v)
{
    atomic_store_explicit(s, v, memory_order_relaxed);
}

static inline uint64_t ph_stat_get(const ph_stat *s)
{
    return atomic_load_explicit((ph_stat *)(uintptr_t)s, memory_order_relaxed);
}

static inline void ph_stat_add(ph_stat *s, uint64_t n)
{
    ph_stat_set(s, ph_stat_get(s) + n);
}

/* From now on the driver queue of the port has that many bytes. Under the PDL if there is one, else in the lock. */
void ph_stat_queue(struct ph_port *p, uint64_t bytes);
/* The map of the request port_stats. Any thread, with a reference to the port. */
void ph_w_port_stats(struct ph_wbuf *w, const struct ph_port *p);

#endif
