/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that look at the host: ports, stats, port_stats. On the connection's reactor. */
#include <stdio.h>
#include <string.h>

#include "base/counters.h"
#include "base/mem.h"
#include "check/violation.h"
#include "conn/request.h"
#include "peer/reply.h"
#include "port/port.h"
#include "term/words.h"

struct found {
    struct ph_peer *only; /* NULL: of all connections */
    bool opening;         /* also ports that are opening */
    struct ph_port **ports;
    size_t n, cap;
    bool no_memory;
};

static bool has_room(struct found *f)
{
    size_t cap = f->cap ? f->cap * 2 : 64;
    if (f->n < f->cap)
        return true;
    struct ph_port **ports = ph_realloc_try(f->ports, cap * sizeof(struct ph_port *));
    if (!ports) {
        f->no_memory = true;
        return false;
    }
    f->ports = ports;
    f->cap = cap;
    return true;
}

static void collect(struct ph_port *p, void *arg)
{
    struct found *f = arg;
    enum ph_port_state state = ph_port_state(p);
    if ((f->only && p->peer != f->only) || state == PH_PORT_DEAD || (state == PH_PORT_OPENING && !f->opening))
        return;
    if (!f->no_memory && has_room(f))
        f->ports[f->n++] = ph_port_ref(p);
}

/* Only what never changes, and the owner, may be read here: the port's lock is not ours. */
static void write_port(struct ph_wbuf *w, const struct ph_port *p)
{
    ph_w_map(w, 6);
    ph_w_atom(w, "id");
    ph_w_uint(w, p->id);
    ph_w_atom(w, "port");
    ph_w_raw(w, ph_port_self(p), p->term_len);
    ph_w_atom(w, "name");
    ph_w_string(w, ph_port_name(p), strlen(ph_port_name(p)));
    ph_w_atom(w, "driver");
    ph_w_string(w, p->driver->name, strlen(p->driver->name));
    ph_w_atom(w, "connection");
    ph_w_uint(w, ph_peer_id(p->peer));
    ph_w_atom(w, "connected");
    ph_w_word(w, p->owner);
}

static void reply_list(struct ph_req *r, const struct found *f, void (*write)(struct ph_wbuf *w, const struct ph_port *p))
{
    struct ph_wbuf *w = ph_reply_ok(r->tag);
    ph_w_list(w, (uint32_t)f->n);
    for (size_t i = 0; i < f->n; i++)
        write(w, f->ports[i]);
    if (f->n)
        ph_w_nil(w);
    ph_peer_commit(r->peer, w);
}

/* False: the scope is wrong. */
static bool answer_list(struct ph_req *r, bool opening, void (*write)(struct ph_wbuf *w, const struct ph_port *p))
{
    struct found f = {.only = r->peer, .opening = opening};
    r->element++;
    const struct ph_access *access = ph_conn_access(r->conn);
    if (ph_etf_is_atom(&r->cur, "all") == 0)
        f.only = access && !access->all_ports ? r->peer : NULL;
    else if (ph_etf_is_atom(&r->cur, "connection"))
        return false;
    ph_ports_each(collect, &f);
    if (f.no_memory)
        ph_reply_error_atom(r->peer, r->tag, "enomem");
    else
        reply_list(r, &f, write);
    for (size_t i = 0; i < f.n; i++)
        ph_port_unref(f.ports[i]);
    ph_free(f.ports);
    return true;
}

bool ph_answer_ports(struct ph_req *r)
{
    return answer_list(r, false, write_port);
}

bool ph_answer_port_stats(struct ph_req *r)
{
    return answer_list(r, true, ph_w_port_stats);
}

struct violations {
    uint32_t kinds; /* that there were any of: these are written */
    uint64_t n[PH_VIOLATION_COUNT];
};

static struct violations get_violations(void)
{
    struct violations v = {0};
    for (unsigned i = 0; i < PH_VIOLATION_COUNT && ph_checking(); i++) {
        v.n[i] = ph_violations_of((enum ph_violation)i);
        v.kinds += v.n[i] != 0;
    }
    return v;
}

static void write_violations(struct ph_wbuf *w, const struct violations *v)
{
    char atom[64];
    for (unsigned i = 0; i < PH_VIOLATION_COUNT; i++) {
        if (!v->n[i])
            continue;
        snprintf(atom, sizeof atom, "violation_%s", ph_violation_name((enum ph_violation)i));
        ph_w_atom(w, atom);
        ph_w_uint(w, v->n[i]);
    }
}

void ph_answer_stats(struct ph_req *r)
{
    static const char *const names[] = {
#define X(name, atom) [PH_COUNT_##name] = atom,
        PH_COUNTERS(X)
#undef X
    };
    struct violations v = get_violations();
    struct ph_wbuf *w = ph_reply_ok(r->tag);
    ph_w_map(w, PH_COUNTER_COUNT + 4 + v.kinds);
    for (size_t i = 0; i < PH_COUNTER_COUNT; i++) {
        ph_w_atom(w, names[i]);
        ph_w_uint(w, ph_counter_sum((enum ph_counter)i));
    }
    ph_w_atom(w, "connections");
    ph_w_uint(w, ph_conns_count());
    ph_w_atom(w, "ports");
    ph_w_uint(w, ph_ports_count());
    ph_w_atom(w, "async_threads");
    ph_w_uint(w, ph_async_threads());
    ph_w_atom(w, "worker_threads");
    ph_w_uint(w, ph_scheduler_threads());
    write_violations(w, &v);
    ph_peer_commit(r->peer, w);
}
