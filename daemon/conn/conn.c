/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection: open (reading, see stream.c) -> ending (its ports exit; what they still send is written) -> freed. */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bin.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "conn/conn_struct.h"
#include "driver/ddll.h"
#include "port/port.h"
#include "port/select.h"
#include "port/trace.h"

#define END_PORTS 100u /* in a turn */
#define END_POLL_US 5000
#define END_WRITE_NS UINT64_C(5000000000) /* how long an ending connection waits for its client to read */

static pthread_mutex_t list_mu = PTHREAD_MUTEX_INITIALIZER; /* guards the list and counts; taken before a reactor's inbox */
static LIST_HEAD(, ph_conn) conns = LIST_HEAD_INITIALIZER(conns);
static unsigned conn_count;
static uint64_t last_id;
static bool shutting_down;
static void (*on_stdio_end)(void);

/* From its start to its end the timer is in libevent's heap, if need be for a time that never comes: so its place there is kept, and setting it needs no memory.
 * Should another one have taken the place while it rang, it rings again at once. */
static const struct timeval never = {.tv_sec = INT32_MAX};

void ph_conn_set_timer(struct ph_conn *c, const struct timeval *after)
{
    if (event_add(c->timer, after ? after : &never))
        event_active(c->timer, EV_TIMEOUT, 0);
}

struct ph_peer *ph_conn_peer(struct ph_conn *c)
{
    return c->peer;
}

struct ph_op_batch *ph_conn_batch(struct ph_conn *c)
{
    return &c->batch;
}

const struct ph_access *ph_conn_access(const struct ph_conn *c)
{
    return c->access;
}

struct ph_newcomer *ph_conn_newcomer(struct ph_conn *c)
{
    return c->newcomer;
}

bool ph_conn_said_hello(const struct ph_conn *c)
{
    return c->hello;
}

const struct ph_where *ph_conn_where(const struct ph_conn *c)
{
    return &c->where;
}

/* For logs: where it comes from, later what it calls itself. */
static void set_client(struct ph_conn *c, const char *text)
{
    snprintf(c->client, sizeof c->client, "%s", text);
    c->where.client = c->client;
}

void ph_conn_set_hello(struct ph_conn *c, const char *name)
{
    c->hello = true;
    if (name)
        set_client(c, name);
    ph_log(PH_LOG_INFO, &c->where, "hello%s%s", c->newcomer ? " from " : "", c->newcomer ? ph_newcomer_address(c->newcomer) : "");
    if (c->newcomer)
        ph_conn_set_timer(c, NULL);
    ph_newcomer_free(c->newcomer);
    c->newcomer = NULL;
}

void ph_conn_on_stdio_end(void (*fn)(void))
{
    on_stdio_end = fn;
}

unsigned ph_conns_count(void)
{
    pthread_mutex_lock(&list_mu);
    unsigned n = conn_count;
    pthread_mutex_unlock(&list_mu);
    return n;
}

/* --- turns --- */

void ph_conn_go_on_later(struct ph_conn *c)
{
    if (c->goes_on)
        return;
    c->goes_on = true;
    ph_reactor_post(c->reactor, &c->go_on);
}

void ph_conn_answer_later(struct ph_conn *c, struct ph_listing *l)
{
    c->listing = l;
    ph_conn_go_on_later(c);
}

/* --- ending --- */

static void end_port(void *port, void *arg)
{
    const struct ph_conn *c = arg;
    ph_port_disconnected(port, c->goodbye == PH_FAULT_SHUTDOWN);
}

/* For a million ports this takes long, and so does what it has them do. */
static void end_some_ports(struct ph_conn *c)
{
    c->more_ports = ph_peer_walk_some(c->peer, &c->ports, END_PORTS, end_port, c);
    if (c->more_ports)
        ph_conn_go_on_later(c);
}

static void go_on_task(struct ph_task *task)
{
    struct ph_conn *c = (struct ph_conn *)((char *)task - offsetof(struct ph_conn, go_on));
    c->goes_on = false;
    if (c->ending) {
        if (c->more_ports)
            end_some_ports(c);
    } else if (c->listing && !ph_listing_go_on(c->listing)) {
        ph_conn_go_on_later(c);
    } else {
        c->listing = NULL;
        ph_stream_go_on(c);
    }
}

/* Frees what the connection has but the peer, closes the descriptors. */
static void let_go(struct ph_conn *c)
{
    if (c->readable)
        event_free(c->readable);
    if (c->timer)
        event_free(c->timer);
    ph_newcomer_free(c->newcomer); /* its place is free when the client sees the end */
    close(c->fd_in);
    if (c->fd_out != c->fd_in)
        close(c->fd_out);
    ph_bin_unref(c->frame);
    ph_free(c->stash);
    ph_listing_free(c->listing);
}

/* Of stdio: once. */
static void tell_end(struct ph_conn *c)
{
    bool tell = !c->access && !c->end_told && on_stdio_end;
    c->end_told = true;
    if (tell)
        on_stdio_end();
}

/* The parent is waited for as long as it reads what ports have to say to their end. */
static bool parent_is_gone(const struct ph_conn *c)
{
    return !c->access && ph_stream_is_deserted(c);
}

static void finish(struct ph_conn *c)
{
    ph_log(PH_LOG_INFO, &c->where, "the connection has ended");
    ph_peer_close(c->peer);
    ph_trace_forget(c->peer);
    let_go(c);
    ph_ddll_forget_peer(c->peer);
    ph_peer_unref(c->peer);
    pthread_mutex_lock(&list_mu);
    LIST_REMOVE(c, link);
    conn_count--;
    c->finished = true;
    bool mine = !c->shutdown_posted;
    pthread_mutex_unlock(&list_mu);
    tell_end(c);
    ph_access_unref(c->access);
    if (mine)
        ph_free(c);
}

/* Ports first, then goodbye, then what is unsent; a client that does not read is not waited for long. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval poll = {.tv_usec = END_POLL_US};
    struct ph_conn *c = arg;
    (void)fd;
    (void)what;
    ph_conn_set_timer(c, NULL);
    if (!c->ending && c->newcomer) {
        ph_limit_met(PH_LIMIT_HELLO_S);
        ph_conn_end(c, PH_FAULT_HELLO_TIMEOUT, NULL);
        return;
    }
    if (!c->ending) {
        ph_stream_look(c);
        return;
    }
    if (!ph_peer_has_ports(c->peer) && !c->goes_on) {
        if (!c->ports_gone_ns) {
            c->ports_gone_ns = ph_now_ns();
            if (c->goodbye)
                ph_peer_say_goodbye(c->peer, c->goodbye, c->goodbye_detail);
        }
        if (ph_peer_flush(c->peer) || ph_now_ns() - c->ports_gone_ns > END_WRITE_NS) {
            finish(c);
            return;
        }
    } else if (parent_is_gone(c)) {
        tell_end(c);
    }
    ph_conn_set_timer(c, &poll);
}

/* Each wrong proof of the cookie is told: it is answered late anyway. */
static void tell_fault(const struct ph_conn *c, enum ph_fault fault, const char *detail)
{
    static const char *const texts[] = {
#define X(name, atom, ends, text) [PH_FAULT_##name] = text,
        PH_FAULTS(X)
#undef X
    };
    if (fault == PH_FAULT_SHUTDOWN)
        ph_log(PH_LOG_INFO, &c->where, "ending the connection: %s", texts[fault]);
    else if (fault == PH_FAULT_BAD_AUTH)
        ph_log(PH_LOG_WARNING, &c->where, "ending the connection: %s", detail ? detail : texts[fault]);
    else
        ph_log_flood(ph_conn_flood(c), PH_LOG_WARNING, &c->where, "ending the connection: %s", detail ? detail : texts[fault]);
}

void ph_conn_end(struct ph_conn *c, enum ph_fault goodbye, const char *detail)
{
    if (c->ending)
        return;
    c->ending = true;
    c->goodbye = goodbye;
    c->goodbye_detail = detail;
    bool blameless = goodbye == PH_FAULT_NONE || goodbye == PH_FAULT_SHUTDOWN || goodbye == PH_FAULT_NO_MEMORY;
    unsigned late_ms = c->newcomer && !blameless ? ph_newcomer_failed(c->newcomer) : 0;
    if (goodbye) {
        tell_fault(c, goodbye, detail);
        ph_count_fault(goodbye);
    }
    event_del(c->readable);
    ph_peer_forget_origin(c->peer);
    ph_peer_bar_ports(c->peer);
    ph_peer_walk_ports(c->peer, &c->ports);
    end_some_ports(c);
    struct timeval late = {.tv_sec = late_ms / 1000, .tv_usec = late_ms % 1000 * 1000};
    if (late_ms)
        ph_conn_set_timer(c, &late);
    else
        event_active(c->timer, EV_TIMEOUT, 0);
}

/* A frame is lost; without a fault to tell the client, nothing more can be written, and what is unsent is lost. */
static void broken(void *arg, enum ph_fault fault, const char *why)
{
    struct ph_conn *c = arg;
    ph_log_flood(ph_conn_flood(c), !c->ending ? PH_LOG_WARNING : PH_LOG_DEBUG, &c->where, "cannot write: %s", why);
    ph_conn_end(c, fault, NULL);
    if (!fault)
        ph_peer_drop_output(c->peer);
}

static void shutdown_task(struct ph_task *task)
{
    struct ph_conn *c = (struct ph_conn *)((char *)task - offsetof(struct ph_conn, shutdown));
    pthread_mutex_lock(&list_mu);
    c->shutdown_posted = false;
    bool finished = c->finished;
    pthread_mutex_unlock(&list_mu);
    if (finished)
        ph_free(c);
    else if (!c->ending)
        ph_conn_end(c, PH_FAULT_SHUTDOWN, NULL);
    else
        event_active(c->timer, EV_TIMEOUT, 0); /* who failed to prove itself is not made to wait any more */
}

void ph_conns_shutdown(void)
{
    struct ph_conn *c;
    pthread_mutex_lock(&list_mu);
    if (!shutting_down)
        LIST_FOREACH(c, &conns, link) {
            c->shutdown_posted = true;
            ph_reactor_post(c->reactor, &c->shutdown);
        }
    shutting_down = true;
    pthread_mutex_unlock(&list_mu);
}

/* --- starting --- */

/* False: no memory. */
static bool make_parts(struct ph_conn *c, uint64_t id)
{
    struct ph_peer_owner owner = {.drained = ph_stream_go_on, .broken = broken, .conn = c};
    struct event_base *base = ph_reactor_base(c->reactor);
    c->readable = event_new(base, c->fd_in, EV_READ | EV_PERSIST, ph_stream_on_readable, c);
    c->timer = event_new(base, -1, 0, on_timer, c);
    if (!c->readable || !c->timer || event_add(c->timer, &never))
        return false;
    c->peer = ph_peer_new(c->reactor, c->fd_out, id, &owner);
    return c->peer != NULL;
}

/* It never began: the client finds its stream ended. */
static void give_up(struct ph_conn *c)
{
    ph_log_flood(PH_FLOOD_NEWCOMERS, PH_LOG_ERROR, NULL, "a connection is refused: no memory");
    ph_count(PH_COUNT_REFUSED, 1);
    let_go(c);
    pthread_mutex_lock(&list_mu);
    conn_count--;
    pthread_mutex_unlock(&list_mu);
    tell_end(c);
    ph_access_unref(c->access);
    ph_free(c);
}

static void start_task(struct ph_task *task)
{
    struct ph_conn *c = (struct ph_conn *)((char *)task - offsetof(struct ph_conn, start));
    pthread_mutex_lock(&list_mu);
    uint64_t id = ++last_id;
    pthread_mutex_unlock(&list_mu);
    if (!make_parts(c, id)) {
        give_up(c);
        return;
    }
    c->where.connection = id;
    if (c->newcomer)
        set_client(c, ph_newcomer_address(c->newcomer));
    ph_count(PH_COUNT_CONNECTIONS, 1);
    pthread_mutex_lock(&list_mu);
    LIST_INSERT_HEAD(&conns, c, link);
    bool too_late = shutting_down;
    pthread_mutex_unlock(&list_mu);
    ph_select_reused(c->fd_in);
    ph_select_reused(c->fd_out);
    ph_stream_arm(c);
    struct timeval patience = {.tv_sec = (time_t)ph_limit(PH_LIMIT_HELLO_S)};
    if (c->newcomer && !c->ending)
        ph_conn_set_timer(c, &patience);
    if (too_late)
        ph_conn_end(c, PH_FAULT_SHUTDOWN, NULL);
}

void ph_conn_start(struct ph_access *access, struct ph_newcomer *newcomer, int fd_in, int fd_out)
{
    struct ph_conn *c = ph_calloc(1, sizeof *c);
    c->access = access ? ph_access_ref(access) : NULL;
    c->newcomer = newcomer;
    c->fd_in = fd_in;
    c->fd_out = fd_out;
    c->reactor = ph_reactor_next();
    c->start.run = start_task;
    c->shutdown.run = shutdown_task;
    c->go_on.run = go_on_task;
    pthread_mutex_lock(&list_mu);
    conn_count++;
    pthread_mutex_unlock(&list_mu);
    ph_reactor_post(c->reactor, &c->start);
}
