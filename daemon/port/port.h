/* SPDX-License-Identifier: Apache-2.0 */
/* A port: one instance of a driver, opened by a client. Its fields are touched only in jobs of its lock (which the driver's callbacks
 * are), but for those marked otherwise. Reference-counted: the table, its peer's map and each job that may still reach it hold one.
 *
 * Life: LIVE -> EXITING (links and monitors are being told, same call stack) -> CLOSING (only with queued data: flush was called, waits for an empty
 * queue) -> DEAD (stop was called, the handle is invalid; the struct lasts until the last reference). */
#ifndef PH_PORT_H
#define PH_PORT_H

#include <erl_driver.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"
#include "driver/driver.h"
#include "etf.h"
#include "peer/peer.h"
#include "port/ioq.h"
#include "port/line.h"
#include "port/stats.h"
#include "sched/sched.h"

struct ph_pdl;
struct ph_timer;
struct ph_port_monitor;
struct ph_opening;

enum ph_port_state { PH_PORT_OPENING, PH_PORT_LIVE, PH_PORT_EXITING, PH_PORT_CLOSING, PH_PORT_DEAD };

/* What each command touches stands together at the beginning: among very many ports it is lines of memory that cost. */
struct ph_port {
    atomic_uint refs;
    atomic_uchar state;       /* enum ph_port_state; changed only by ph_port_set_state, in the lock; read from anywhere */
    bool busy;                /* set_busy_port; this and the next two: see busy.c */
    atomic_bool msgq_busy;    /* too many bytes of commands wait */
    atomic_bool announced_busy; /* what the client was told last; read from anywhere */
    bool binary, eof;         /* open_port options */
    bool close_wanted;        /* by Port ! {Owner, close}: the owner gets {Port, closed} */
    bool parallelism;
    bool terminating;         /* stop() runs or has run */
    bool selects;             /* has asked for a descriptor */
    bool queue_overfull;      /* more than the limit was to be queued: the port is about to end. Guarded like ioq */
    uint8_t control_flags;
    uint64_t handle;          /* immutable; the ErlDrvPort */
    struct ph_driver *driver; /* hold; set once, under the list's mutex (table.c) */
    _Atomic(struct ph_lock *) lock; /* reference; NULL until the driver is known, see ph_port_submit */
    struct ph_lane lane;      /* its jobs; while there is no lock, guarded by pending_mu (port.c) */
    struct ph_peer *peer;     /* reference; immutable */
    struct ph_held *held;     /* commands that wait while the port is busy, and what must stay behind them (busy.c); NULL: none */
    atomic_size_t msgq_bytes; /* of commands accepted and not executed */
    atomic_size_t msgq_low, msgq_high; /* limits of the command queue; high PH_MSGQ_DISABLED: none. Changed in the lock */
    _Atomic(ErlDrvData) data; /* changed in the lock, read from anywhere (as data_head is): not to follow it, see op.c */
    _Atomic ErlDrvTermData owner;   /* changed in the lock by ph_port_set_owner, read from anywhere */
    ErlDrvTermData caller;    /* of the callback that runs, or nil */
    _Atomic(struct ph_blob *) data_head; /* how each {data, _} to this owner begins, frame header included (output.c); NULL until there is one */
    struct ph_port_stats stats;
    atomic_uint traced;       /* connections that trace it; changed by trace.c, read from anywhere */
    uint16_t term_len;
    uint64_t id;              /* immutable; on the wire */
    struct ph_member of_peer; /* the peer's */
    struct ph_line *line;     /* line mode, or NULL */
    struct ph_opening *opening; /* options and tag of the open; NULL once it is answered (open.c) */
    struct ph_ioq *ioq;       /* guarded by the PDL if there is one; NULL until something is queued */
    _Atomic(struct ph_pdl *) pdl;   /* the port's reference; set once in the lock */
    struct ph_timer *timer;   /* NULL until one is set */
    LIST_HEAD(, ph_port_monitor) monitors;
    int64_t os_pid;           /* -1: none */
    struct ph_job end_job;    /* its connection ends (table.c): each port has its own, for there may be very many, and no memory */
    struct ph_blob *user_data; /* set_data: encoded term, NULL: undefined */
    char body[];              /* immutable: the encoded port term, then the command of open, NUL-terminated */
};

static inline const uint8_t *ph_port_self(const struct ph_port *p) /* encoded: term_len bytes, at most PH_MAX_TAG */
{
    return (const uint8_t *)p->body;
}

static inline const char *ph_port_name(const struct ph_port *p) /* the command of open */
{
    return p->body + p->term_len;
}

static inline size_t ph_port_queued(const struct ph_port *p) /* bytes in the driver queue; guarded like ioq */
{
    return p->ioq ? p->ioq->size : 0;
}

struct ph_blob {
    size_t len;
    uint8_t bytes[];
};

static inline struct ph_blob *ph_blob_new(const void *p, size_t len) /* to be freed with ph_free; NULL: no memory */
{
    struct ph_blob *b = ph_alloc_try(sizeof *b + len);
    if (b) {
        b->len = len;
        memcpy(b->bytes, p, len);
    }
    return b;
}

/* --- port.c: life --- */

struct ph_port *ph_port_ref(struct ph_port *p);
void ph_port_ref_obj(void *p); /* as callbacks */
void ph_port_unref(struct ph_port *p);
/* Submits the job (taken) to the port's lock, now or as soon as the driver is known. Any thread. */
void ph_port_submit(struct ph_port *p, struct ph_job *job);
void ph_port_submit_all(struct ph_port *p, struct ph_jobs *jobs); /* the same for several, at least one; jobs becomes empty */
/* Takes a reference to l; submits first (NULL: nothing), then what was pending. Whoever finds the lock set comes after both. */
void ph_port_set_lock(struct ph_port *p, struct ph_lock *l, struct ph_job *first);
void ph_port_await_lock(struct ph_port *p); /* in `first`: until ph_port_set_lock, on another thread, is done */
void ph_port_set_state(struct ph_port *p, enum ph_port_state state);
void ph_port_set_owner(struct ph_port *p, ErlDrvTermData owner); /* in the lock, or before anyone knows the port */

static inline enum ph_port_state ph_port_state(const struct ph_port *p)
{
    return (enum ph_port_state)atomic_load_explicit(&((struct ph_port *)(uintptr_t)p)->state, memory_order_acquire);
}

enum ph_exit_how {
    PH_EXIT_NORMALLY, /* flushes a queue that is not empty */
    PH_EXIT_KILLED,   /* does not flush */
    PH_EXIT_FAILED,   /* driver_failure, driver_unloaded: drops the queue; also ends a port that is closing */
};
/* Begins, or for a closing port ends, the end of a port: the only way to it. reason: encoded term. In the lock; may call flush and stop. */
void ph_port_exit(struct ph_port *p, struct ph_slice reason, enum ph_exit_how how);
void ph_port_exit_atom(struct ph_port *p, const char *reason, enum ph_exit_how how);
/* After each callback: a closing port whose queue is empty ends. */
void ph_port_check_flushed(struct ph_port *p);
/* For a port that was never opened (failed start): frees its things, no stop, no exit event. */
void ph_port_abandon(struct ph_port *p);
size_t ph_port_queue_size(struct ph_port *p); /* takes the PDL */
struct ph_ioq *ph_port_ioq(struct ph_port *p); /* made if need be; the caller has the lock or the PDL */
const struct ph_where *ph_port_where(const struct ph_port *p, struct ph_where *where); /* for log lines; returns where, which borrows of p */

/* --- table.c: handles and the list of all ports --- */

void ph_ports_init(void); /* at start, when there is memory */
/* New, with one reference for the caller and one for the table; LIST of all. NULL: no slot left, or more than its connection may keep. */
struct ph_port *ph_port_new(struct ph_peer *peer, uint64_t id, struct ph_slice term, const char *name, size_t name_len);
void ph_port_unlist(struct ph_port *p); /* handle and list; drops the table's reference */
/* The port, if the current thread runs in its lock and it is not dead: borrowed until the callback returns. NULL otherwise. */
struct ph_port *ph_port_here(ErlDrvPort port);
/* New reference, or NULL: any thread. */
struct ph_port *ph_port_by_handle(uint64_t handle);
/* All that are there from begin to end, and perhaps some others. Under mutexes of the table: fn must be short, and keep p only by a reference. It takes time for as many ports as there
 * ever were at a time: not on a reactor that serves. */
void ph_ports_each(void (*fn)(struct ph_port *p, void *arg), void *arg);
size_t ph_ports_count(void);
void ph_w_port_term(struct ph_wbuf *w, ErlDrvTermData port); /* for ph_build */
void ph_port_set_driver(struct ph_port *p, struct ph_driver *d); /* takes the hold, and what ph_driver_take_port gave */
/* driver_unloaded, to every port that has the driver. Any thread; the driver may not be opened any more. */
void ph_kill_ports_of(struct ph_driver *d);
/* To this one, if its driver may not be opened any more: after ph_port_set_driver, since ph_kill_ports_of may have come before it. */
void ph_kill_if_unwanted(struct ph_port *p);
void ph_port_disconnected(struct ph_port *p, bool by_host); /* its connection ends, because the host does or not: the port exits. Once for a port, any thread */
void ph_exit_later(struct ph_port *p, struct ph_slice reason, enum ph_exit_how how); /* submits it as a job; any thread */

#endif
