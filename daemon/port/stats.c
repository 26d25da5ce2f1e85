/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of a port as clients see them (PROTOCOL.md, port_stats). Any thread: reads only what never changes, or is atomic. */
#include "port/stats.h"

#include <string.h>

#include "port/port.h"

static const char *state_name(enum ph_port_state state)
{
    static const char *const names[] = {
        [PH_PORT_OPENING] = "opening", [PH_PORT_LIVE] = "live",    [PH_PORT_EXITING] = "exiting",
        [PH_PORT_CLOSING] = "closing", [PH_PORT_DEAD] = "exiting", /* gone in a moment */
    };
    return names[state];
}

static void put_number(struct ph_wbuf *w, const char *key, uint64_t v)
{
    ph_w_atom(w, key);
    ph_w_uint(w, v);
}

static void put_string(struct ph_wbuf *w, const char *key, const char *s)
{
    ph_w_atom(w, key);
    ph_w_string(w, s, strlen(s));
}

/* The driver of a port that is still opening may not be known: then it is what was asked for. So it is for one that could not be opened, which is dead without ever having had one. */
static void put_driver(struct ph_wbuf *w, const struct ph_port *p)
{
    const struct ph_driver *driver = ph_port_state(p) == PH_PORT_OPENING ? NULL : p->driver;
    const char *name = driver ? driver->name : ph_port_name(p);
    ph_w_atom(w, "driver");
    ph_w_string(w, name, strcspn(name, " "));
}

static void put_running(struct ph_wbuf *w, const struct ph_port_stats *s)
{
    const char *running = atomic_load_explicit((_Atomic(const char *) *)(uintptr_t)&s->running, memory_order_acquire);
    uint64_t since = ph_stat_get(&s->since_ns), now = ph_now_ns();
    ph_w_atom(w, "running");
    ph_w_atom(w, running ? running : "none");
    put_number(w, "running_time", running && now > since ? now - since : 0);
}

void ph_stat_queue(struct ph_port *p, uint64_t bytes)
{
    uint64_t before = ph_stat_get(&p->stats.queue_size);
    if (bytes == before)
        return;
    ph_stat_set(&p->stats.queue_size, bytes);
    ph_driver_count(p->driver->slot, PH_DRIVER_QUEUE_BYTES, bytes - before);
}

void ph_w_port_stats(struct ph_wbuf *w, const struct ph_port *p)
{
    const struct ph_port_stats *s = &p->stats;
    ph_w_map(w, 17);
    put_number(w, "connection", ph_peer_id(p->peer));
    put_number(w, "id", p->id);
    put_driver(w, p);
    put_string(w, "name", ph_port_name(p));
    ph_w_atom(w, "state");
    ph_w_atom(w, state_name(ph_port_state(p)));
    ph_w_atom(w, "busy");
    ph_w_bool(w, atomic_load_explicit((atomic_bool *)(uintptr_t)&p->announced_busy, memory_order_relaxed));
    put_number(w, "input", ph_stat_get(&s->input));
    put_number(w, "output", ph_stat_get(&s->output));
    put_number(w, "messages", ph_stat_get(&s->outputs) + ph_stat_get(&s->terms));
    put_number(w, "queue_size", ph_stat_get(&s->queue_size));
    put_number(w, "waiting", atomic_load_explicit((atomic_size_t *)(uintptr_t)&p->msgq_bytes, memory_order_relaxed));
    put_number(w, "runs", ph_stat_get(&s->runs));
    put_number(w, "worker_runs", ph_stat_get(&s->worker_runs));
    put_number(w, "run_time", ph_stat_get(&s->run_ns));
    put_number(w, "longest_run", ph_stat_get(&s->longest_ns));
    put_running(w, s);
}
