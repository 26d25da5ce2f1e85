/* SPDX-License-Identifier: Apache-2.0 */
/* Tracing of ports: events for the connections that asked for them. A port that nobody traces pays for one load and a branch (ph_traced); the
 * rest is behind it. Any thread, also with a PDL held, but never between ph_peer_begin and commit. */
#ifndef PH_TRACE_H
#define PH_TRACE_H

#include "port/port.h"

#define PH_TRACE_TERM 256u /* bytes of a term that are told */

static inline bool ph_traced(const struct ph_port *p)
{
    return __builtin_expect(atomic_load_explicit((atomic_uint *)(uintptr_t)&p->traced, memory_order_relaxed) != 0, 0);
}

/* NULL, or why not: undefined (the port is dead), enomem. Twice is once. */
const char *ph_trace_on(struct ph_port *p, struct ph_peer *tracer);
void ph_trace_off(struct ph_port *p, struct ph_peer *tracer);
void ph_trace_forget(struct ph_peer *tracer); /* all its traces: the connection has ended */
void ph_trace_closed(struct ph_port *p);      /* tells that and ends all traces; after the port is dead */

struct ph_trace_enter {
    const char *callback;
    ErlDrvTermData caller; /* a pid, or nil */
    const SysIOVec *iov;   /* data, or NULL */
    int n;
    const uint32_t *op;    /* or NULL */
    const int *fd;         /* or NULL */
};
void ph_trace_enter(struct ph_port *p, const struct ph_trace_enter *e);
void ph_trace_leave(struct ph_port *p, const char *callback, uint64_t run_ns);
void ph_trace_output(struct ph_port *p, const char *header, size_t header_len, const SysIOVec *iov, int n);
void ph_trace_eof(struct ph_port *p);
void ph_trace_busy(struct ph_port *p, bool busy);
void ph_trace_exit(struct ph_port *p, struct ph_slice reason);

/* A term that is sent: kept before its frame is committed, told afterwards. */
struct ph_trace_term {
    size_t size; /* encoded */
    size_t kept; /* of bytes: size, or 0 */
    uint8_t bytes[PH_TRACE_TERM];
};
void ph_trace_keep_term(struct ph_trace_term *t, const struct ph_wbuf *w, size_t begin); /* where the term begins in w */
void ph_trace_send(struct ph_port *p, ErlDrvTermData to, const struct ph_trace_term *t);

#endif
