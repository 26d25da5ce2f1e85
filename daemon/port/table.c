/* SPDX-License-Identifier: Apache-2.0 */
/* All ports, by handle. */
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/handle.h"
#include "base/mem.h"
#include "base/thread.h"
#include "port/busy.h"
#include "port/port.h"
#include "term/words.h"

#define SLOTS 64u /* that are looked at without others having their turn at list_mu */

static struct ph_handles *handles;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t list_mu = PTHREAD_MUTEX_INITIALIZER; /* a port gets its driver, or some are looked at; taken before the table's mutexes */
static atomic_size_t count;

static void make_handles(void)
{
    handles = ph_handles_new();
}

void ph_ports_init(void)
{
    pthread_once(&once, make_handles);
}

struct ph_port *ph_port_new(struct ph_peer *peer, uint64_t id, struct ph_slice term, const char *name, size_t name_len)
{
    ph_ports_init();
    if (!ph_peer_keep(peer, term.len + name_len))
        return NULL;
    struct ph_port *p = ph_calloc_try(1, sizeof *p + name_len + 1 + term.len);
    if (!p) {
        ph_peer_unkeep(peer, term.len + name_len);
        return NULL;
    }
    atomic_init(&p->refs, 2);
    p->id = id;
    p->peer = ph_peer_ref(peer);
    p->term_len = (uint16_t)term.len;
    memcpy(p->body, term.p, term.len);
    memcpy(p->body + term.len, name, name_len);
    atomic_init(&p->owner, PH_NIL);
    p->caller = PH_NIL;
    p->os_pid = -1;
    p->msgq_low = PH_MSGQ_LOW;
    p->msgq_high = PH_MSGQ_HIGH;
    LIST_INIT(&p->monitors);
    ph_lane_init(&p->lane);
    p->handle = ph_handle_add(handles, p); /* from here on ph_ports_each meets it */
    if (!p->handle) {
        ph_peer_unkeep(peer, term.len + name_len);
        ph_peer_unref(peer);
        ph_free(p);
        return NULL;
    }
    atomic_fetch_add(&count, 1);
    return p;
}

void ph_port_unlist(struct ph_port *p)
{
    ph_handle_remove(handles, p->handle);
    atomic_fetch_sub(&count, 1);
    ph_port_unref(p);
}

struct ph_port *ph_port_here(ErlDrvPort port)
{
    uint64_t handle = (uint64_t)(uintptr_t)port;
    struct ph_port *p = ph_self.port;
    if (p && p->handle == handle)
        return ph_port_state(p) == PH_PORT_DEAD ? NULL : p;
    p = ph_port_by_handle(handle);
    if (!p)
        return NULL;
    bool here = ph_self.lock && ph_self.lock == atomic_load_explicit(&p->lock, memory_order_acquire);
    ph_port_unref(p); /* the table's reference goes only in the port's lock, which is ours */
    return here ? p : NULL;
}

struct ph_port *ph_port_by_handle(uint64_t handle)
{
    pthread_once(&once, make_handles);
    return ph_handle_get(handles, handle, ph_port_ref_obj);
}

struct visit {
    void (*fn)(struct ph_port *p, void *arg);
    void *arg;
};

static void visit(void *port, void *arg)
{
    const struct visit *v = arg;
    v->fn(port, v->arg);
}

void ph_ports_each(void (*fn)(struct ph_port *p, void *arg), void *arg)
{
    pthread_once(&once, make_handles);
    bool more = true;
    for (uint32_t at = 0; more;) {
        pthread_mutex_lock(&list_mu);
        more = ph_handles_some(handles, &at, SLOTS, visit, &(struct visit){fn, arg});
        pthread_mutex_unlock(&list_mu);
    }
}

size_t ph_ports_count(void)
{
    return atomic_load(&count);
}

void ph_w_port_term(struct ph_wbuf *w, ErlDrvTermData port)
{
    struct ph_port *p = ph_port_by_handle(ph_port_handle(port));
    if (!p) {
        ph_w_atom(w, "undefined"); /* a port that is gone has no name on the wire any more */
        return;
    }
    ph_w_raw(w, ph_port_self(p), p->term_len);
    ph_port_unref(p);
}

struct exit_job {
    struct ph_job job;
    struct ph_port *port; /* reference */
    enum ph_exit_how how;
    size_t len;
    uint8_t reason[];
};

static void run_exit(struct ph_job *job)
{
    struct exit_job *j = (struct exit_job *)job;
    ph_port_exit(j->port, (struct ph_slice){j->reason, j->len}, j->how);
    ph_port_unref(j->port);
    ph_free(j);
}

void ph_exit_later(struct ph_port *p, struct ph_slice reason, enum ph_exit_how how)
{
    struct exit_job *j = ph_alloc(sizeof *j + reason.len);
    *j = (struct exit_job){.job.run = run_exit, .port = ph_port_ref(p), .how = how, .len = reason.len};
    memcpy(j->reason, reason.p, reason.len);
    ph_port_submit(p, &j->job);
}

static void disconnect(struct ph_job *job, const char *reason)
{
    struct ph_port *p = (struct ph_port *)((char *)job - offsetof(struct ph_port, end_job));
    ph_port_exit_atom(p, reason, PH_EXIT_NORMALLY);
    ph_port_unref(p);
}

static void run_shutdown(struct ph_job *job)
{
    disconnect(job, "shutdown");
}

static void run_disconnected(struct ph_job *job)
{
    disconnect(job, "connection_closed");
}

void ph_port_disconnected(struct ph_port *p, bool by_host)
{
    ph_port_ref(p);
    p->end_job.run = by_host ? run_shutdown : run_disconnected;
    ph_port_submit(p, &p->end_job);
}

void ph_port_set_driver(struct ph_port *p, struct ph_driver *d)
{
    pthread_mutex_lock(&list_mu);
    p->driver = d;
    pthread_mutex_unlock(&list_mu);
}

static void kill_unloaded(struct ph_port *p)
{
    static const uint8_t reason[] = "\x77\x0f" "driver_unloaded";
    ph_exit_later(p, (struct ph_slice){reason, sizeof reason - 1}, PH_EXIT_FAILED);
}

void ph_kill_if_unwanted(struct ph_port *p)
{
    if (!ph_driver_may_open(p->driver))
        kill_unloaded(p);
}

static void kill_if_of(struct ph_port *p, void *driver)
{
    if (p->driver == driver)
        kill_unloaded(p);
}

void ph_kill_ports_of(struct ph_driver *d)
{
    ph_ports_each(kill_if_of, d);
}
