/* SPDX-License-Identifier: Apache-2.0 */
/* Owns who traces which port, and the events' form (PROTOCOL.md, trace). A tracer that is behind loses events and is told how many; what waits
 * for it stays bounded. trace_mu guards all lists here; under it frames are committed, so it comes before peer->out_mu and a reactor's inbox. */
#include "port/trace.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "term/words.h"

#define DATA_TOLD 64u     /* bytes */

struct tracer {
    LIST_ENTRY(tracer) of_port, all;
    struct ph_port *port;  /* no reference: ph_trace_closed comes before the port goes */
    struct ph_peer *peer;  /* reference */
    uint64_t dropped;
};

static pthread_mutex_t trace_mu = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, tracer) tracers = LIST_HEAD_INITIALIZER(tracers);
LIST_HEAD(of_port, tracer);
static struct ph_map by_port; /* the handle of a port that is traced: its tracers */

/* --- who traces --- */

static struct tracer *first_locked(const struct ph_port *p)
{
    const struct of_port *all = ph_traced(p) ? ph_map_get(&by_port, p->handle) : NULL;
    return all ? LIST_FIRST(all) : NULL;
}

static struct tracer *find_locked(const struct ph_port *p, const struct ph_peer *peer)
{
    struct tracer *t = first_locked(p);
    while (t && t->peer != peer)
        t = LIST_NEXT(t, of_port);
    return t;
}

/* The port's list, made if need be; NULL: no memory. */
static struct of_port *list_locked(const struct ph_port *p)
{
    struct of_port *list = ph_map_get(&by_port, p->handle);
    if (!list && (list = ph_calloc_try(1, sizeof *list)) && !ph_map_put(&by_port, p->handle, list)) {
        ph_free(list);
        list = NULL;
    }
    return list;
}

/* False: no memory. */
static bool add_locked(struct ph_port *p, struct ph_peer *peer)
{
    struct tracer *t = ph_alloc_try(sizeof *t);
    struct of_port *list = t ? list_locked(p) : NULL;
    if (!list) {
        ph_free(t);
        return false;
    }
    *t = (struct tracer){.port = p, .peer = ph_peer_ref(peer)};
    LIST_INSERT_HEAD(list, t, of_port);
    LIST_INSERT_HEAD(&tracers, t, all);
    atomic_fetch_add_explicit(&p->traced, 1, memory_order_relaxed);
    return true;
}

static void drop_locked(struct tracer *t)
{
    LIST_REMOVE(t, of_port);
    LIST_REMOVE(t, all);
    if (atomic_fetch_sub_explicit(&t->port->traced, 1, memory_order_relaxed) == 1)
        ph_free(ph_map_del(&by_port, t->port->handle));
    ph_peer_unref(t->peer);
    ph_free(t);
}

const char *ph_trace_on(struct ph_port *p, struct ph_peer *peer)
{
    const char *why = NULL;
    pthread_mutex_lock(&trace_mu);
    if (ph_port_state(p) == PH_PORT_DEAD)
        why = "undefined";
    else if (!find_locked(p, peer) && !add_locked(p, peer))
        why = "enomem";
    pthread_mutex_unlock(&trace_mu);
    return why;
}

void ph_trace_off(struct ph_port *p, struct ph_peer *peer)
{
    pthread_mutex_lock(&trace_mu);
    struct tracer *t = find_locked(p, peer);
    if (t)
        drop_locked(t);
    pthread_mutex_unlock(&trace_mu);
}

void ph_trace_forget(struct ph_peer *peer)
{
    pthread_mutex_lock(&trace_mu);
    for (struct tracer *t = LIST_FIRST(&tracers), *next; t; t = next) {
        next = LIST_NEXT(t, all);
        if (t->peer == peer)
            drop_locked(t);
    }
    pthread_mutex_unlock(&trace_mu);
}

/* --- telling --- */

enum what {
#define X(atom) TRACE_##atom,
    PH_TRACE_EVENTS(X)
#undef X
};

static const char *const names[] = {
#define X(atom) #atom,
    PH_TRACE_EVENTS(X)
#undef X
};

struct event {
    enum what what;
    uint32_t args; /* pairs of the map */
    void (*write)(struct ph_wbuf *w, const void *arg); /* the map's keys and values */
    const void *arg;
};

static uint64_t wall_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void send_event(const struct tracer *t, uint64_t time, const struct event *e)
{
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 6);
    ph_w_atom(w, "trace");
    ph_w_uint(w, ph_peer_id(t->port->peer));
    ph_w_uint(w, t->port->id);
    ph_w_uint(w, time);
    ph_w_atom(w, names[e->what]);
    ph_w_map(w, e->args);
    if (e->write)
        e->write(w, e->arg);
    ph_peer_commit(t->peer, w);
}

static void write_count(struct ph_wbuf *w, const void *arg)
{
    ph_w_atom(w, "count");
    ph_w_uint(w, *(const uint64_t *)arg);
}

static void tell_one_locked(struct tracer *t, uint64_t time, const struct event *e)
{
    if (t->dropped) {
        struct event dropped = {TRACE_dropped, 1, write_count, &t->dropped};
        send_event(t, time, &dropped);
        t->dropped = 0;
    }
    send_event(t, time, e);
}

/* So that a trace neither stops the tracer's own requests nor cuts it off. */
static bool is_behind(const struct ph_peer *peer)
{
    return ph_peer_unsent(peer) > ph_limit(PH_LIMIT_UNSENT_PAUSE_BYTES) / 8;
}

static void tell(struct ph_port *p, const struct event *e)
{
    uint64_t now = wall_clock_ns();
    pthread_mutex_lock(&trace_mu);
    for (struct tracer *t = first_locked(p); t; t = LIST_NEXT(t, of_port)) {
        if (is_behind(t->peer))
            t->dropped++;
        else
            tell_one_locked(t, now, e);
    }
    pthread_mutex_unlock(&trace_mu);
}

void ph_trace_closed(struct ph_port *p)
{
    struct event e = {.what = TRACE_closed};
    struct tracer *t;
    uint64_t now = wall_clock_ns();
    pthread_mutex_lock(&trace_mu);
    while ((t = first_locked(p))) {
        tell_one_locked(t, now, &e); /* also to one that is behind: it is the last */
        drop_locked(t);
    }
    pthread_mutex_unlock(&trace_mu);
}

/* --- what is told --- */

struct excerpt {
    size_t size, told;
    char bytes[DATA_TOLD];
};

static void take(struct excerpt *x, const char *p, size_t len)
{
    size_t room = sizeof x->bytes - x->told, n = len < room ? len : room;
    if (n)
        memcpy(x->bytes + x->told, p, n);
    x->told += n;
    x->size += len;
}

static struct excerpt excerpt_of(const char *header, size_t header_len, const SysIOVec *iov, int n)
{
    struct excerpt x;
    x.size = x.told = 0;
    take(&x, header, header_len);
    for (int i = 0; i < n; i++)
        take(&x, iov[i].iov_base, iov[i].iov_len);
    return x;
}

static void write_excerpt(struct ph_wbuf *w, const void *arg)
{
    const struct excerpt *x = arg;
    ph_w_atom(w, "size");
    ph_w_uint(w, x->size);
    ph_w_atom(w, "data");
    ph_w_binary(w, x->bytes, x->told);
}

static void write_enter(struct ph_wbuf *w, const void *arg)
{
    const struct ph_trace_enter *e = arg;
    ph_w_atom(w, "callback");
    ph_w_atom(w, e->callback);
    ph_w_atom(w, "runner");
    ph_w_atom(w, ph_self.kind == PH_THREAD_WORKER ? "worker" : "inline");
    if (e->caller != PH_NIL) {
        ph_w_atom(w, "caller");
        ph_w_word(w, e->caller);
    }
    if (e->op) {
        ph_w_atom(w, "op");
        ph_w_uint(w, *e->op);
    }
    if (e->fd) {
        ph_w_atom(w, "fd");
        ph_w_int(w, *e->fd);
    }
    if (e->iov) {
        struct excerpt x = excerpt_of(NULL, 0, e->iov, e->n);
        write_excerpt(w, &x);
    }
}

void ph_trace_enter(struct ph_port *p, const struct ph_trace_enter *e)
{
    uint32_t args = 2u + (e->caller != PH_NIL) + (e->op != NULL) + (e->fd != NULL) + (e->iov ? 2u : 0u);
    tell(p, &(struct event){TRACE_enter, args, write_enter, e});
}

struct left {
    const char *callback;
    uint64_t run_ns;
};

static void write_leave(struct ph_wbuf *w, const void *arg)
{
    const struct left *l = arg;
    ph_w_atom(w, "callback");
    ph_w_atom(w, l->callback);
    ph_w_atom(w, "run_time");
    ph_w_uint(w, l->run_ns);
}

void ph_trace_leave(struct ph_port *p, const char *callback, uint64_t run_ns)
{
    struct left l = {callback, run_ns};
    tell(p, &(struct event){TRACE_leave, 2, write_leave, &l});
}

void ph_trace_output(struct ph_port *p, const char *header, size_t header_len, const SysIOVec *iov, int n)
{
    struct excerpt x = excerpt_of(header, header_len, iov, n);
    tell(p, &(struct event){TRACE_output, 2, write_excerpt, &x});
}

void ph_trace_eof(struct ph_port *p)
{
    tell(p, &(struct event){.what = TRACE_eof});
}

static void write_busy(struct ph_wbuf *w, const void *arg)
{
    ph_w_atom(w, "busy");
    ph_w_bool(w, *(const bool *)arg);
}

void ph_trace_busy(struct ph_port *p, bool busy)
{
    tell(p, &(struct event){TRACE_busy, 1, write_busy, &busy});
}

static void write_reason(struct ph_wbuf *w, const void *arg)
{
    const struct ph_slice *reason = arg;
    ph_w_atom(w, "reason");
    ph_w_raw(w, reason->p, reason->len);
}

void ph_trace_exit(struct ph_port *p, struct ph_slice reason)
{
    bool told = reason.len <= PH_TRACE_TERM;
    tell(p, &(struct event){TRACE_exit, told, told ? write_reason : NULL, &reason});
}

void ph_trace_keep_term(struct ph_trace_term *t, const struct ph_wbuf *w, size_t begin)
{
    t->size = ph_wbuf_total(w) - begin;
    t->kept = t->size <= sizeof t->bytes && w->nrefs == 0 ? t->size : 0;
    memcpy(t->bytes, w->buf + begin, t->kept);
}

struct sent {
    ErlDrvTermData to;
    const struct ph_trace_term *term;
};

static void write_sent(struct ph_wbuf *w, const void *arg)
{
    const struct sent *s = arg;
    ph_w_atom(w, "to");
    ph_w_word(w, s->to);
    ph_w_atom(w, "size");
    ph_w_uint(w, s->term->size);
    if (s->term->kept) {
        ph_w_atom(w, "term");
        ph_w_raw(w, s->term->bytes, s->term->kept);
    }
}

void ph_trace_send(struct ph_port *p, ErlDrvTermData to, const struct ph_trace_term *t)
{
    struct sent s = {to, t};
    tell(p, &(struct event){TRACE_send, t->kept ? 3 : 2, write_sent, &s});
}
