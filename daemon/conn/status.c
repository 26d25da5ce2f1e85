/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that look at the host: ports, stats, port_stats. On the connection's reactor. */
#include <stdio.h>
#include <string.h>

#include "base/counters.h"
#include "check/violation.h"
#include "conn/listing.h"
#include "conn/request.h"
#include "peer/reply.h"
#include "port/port.h"
#include "term/words.h"

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

/* False: the scope is wrong. */
static bool answer_list(struct ph_req *r, bool opening, void (*write)(struct ph_wbuf *w, const struct ph_port *p))
{
    const struct ph_access *access = ph_conn_access(r->conn);
    bool all = false;
    r->element++;
    if (ph_etf_is_atom(&r->cur, "all") == 0)
        all = !access || access->all_ports;
    else if (ph_etf_is_atom(&r->cur, "connection"))
        return false;
    struct ph_listing *l = ph_listing_new(r->peer, r->tag, all, opening, write);
    if (l && !ph_listing_go_on(l))
        ph_conn_answer_later(r->conn, l);
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
