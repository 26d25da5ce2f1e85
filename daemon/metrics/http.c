/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: libevent's, with an event base and a thread of its own. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "config/config.h"
#include "metrics/metrics.h"
#include "sched/sched.h"

#define MAX_HEADER_BYTES 8192
#define TIMEOUT_S 10
#define BACKLOG 128
#define HEALTH_S 2 /* how long the first reactor may take to answer */

static struct server {
    char *address;
    struct event_base *base;
    struct evhttp *http;
    struct evconnlistener *listener;
    struct event *retry; /* accepts again after descriptors ran out */
    pthread_t thread;
} *server; /* NULL: nothing is served. Of the thread that starts and reloads */
static _Thread_local struct server *my_server; /* of a thread that serves */
static atomic_bool ending;

/* --- health --- */

struct question {
    struct ph_task task;
    atomic_int refs; /* who asks, and the reactor */
    pthread_mutex_t mu;
    pthread_cond_t answered;
    bool answer;
};

static void unref(struct question *q)
{
    if (atomic_fetch_sub(&q->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&q->mu);
    pthread_cond_destroy(&q->answered);
    ph_free(q);
}

static void answer(struct ph_task *task)
{
    struct question *q = (struct question *)task;
    pthread_mutex_lock(&q->mu);
    q->answer = true;
    pthread_cond_signal(&q->answered);
    pthread_mutex_unlock(&q->mu);
    unref(q);
}

/* Does the first reactor do what it is asked? */
static bool reactor_answers(void)
{
    struct question *q = ph_calloc(1, sizeof *q);
    struct timespec until;
    q->task.run = answer;
    atomic_init(&q->refs, 2);
    pthread_mutex_init(&q->mu, NULL);
    pthread_cond_init(&q->answered, NULL);
    ph_reactor_post(ph_reactor_first(), &q->task);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += HEALTH_S;
    pthread_mutex_lock(&q->mu);
    while (!q->answer && pthread_cond_clockwait(&q->answered, &q->mu, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
        ;
    bool answered = q->answer;
    pthread_mutex_unlock(&q->mu);
    unref(q);
    return answered;
}

/* --- requests --- */

/* libevent would answer HEAD with the body, and without its length: the client takes that for the beginning of the next answer. */
static void without_body(struct evkeyvalq *headers, struct evbuffer *body)
{
    char length[24];
    snprintf(length, sizeof length, "%zu", evbuffer_get_length(body));
    evhttp_add_header(headers, "Content-Length", length);
    evbuffer_drain(body, evbuffer_get_length(body));
}

static void reply(struct evhttp_request *req, int status, const char *type, struct evbuffer *body)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    evhttp_add_header(headers, "Content-Type", type);
    if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD)
        without_body(headers, body);
    evhttp_send_reply(req, status, NULL, body);
    evbuffer_free(body);
}

static void reply_line(struct evhttp_request *req, int status, const char *line)
{
    struct evbuffer *body = evbuffer_new();
    if (!body)
        return;
    evbuffer_add_printf(body, "%s\n", line);
    reply(req, status, "text/plain; charset=utf-8", body);
}

static void on_metrics(struct evhttp_request *req, void *arg)
{
    struct evbuffer *body = evbuffer_new();
    (void)arg;
    if (!body)
        return;
    ph_metrics_page(body);
    reply(req, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", body);
}

static void on_health(struct evhttp_request *req, void *arg)
{
    const char *wrong = atomic_load(&ending) ? "the daemon ends" : reactor_answers() ? NULL : "a reactor does not answer";
    (void)arg;
    reply_line(req, wrong ? HTTP_SERVUNAVAIL : HTTP_OK, wrong ? wrong : "ok");
}

static void on_other(struct evhttp_request *req, void *arg)
{
    (void)arg;
    reply_line(req, HTTP_NOTFOUND, "not found");
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    (void)fd;
    (void)what;
    evconnlistener_enable(s->listener);
}

static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    static const struct timeval pause = {.tv_sec = 1};
    struct server *s = my_server; /* arg is libevent's own */
    (void)arg;
    evconnlistener_disable(listener);
    event_add(s->retry, &pause);
}

/* --- starting and stopping --- */

static bool may_serve(const char *address, const struct sockaddr *at, bool remote)
{
    bool may = ph_config_may_serve(at, remote);
    if (!may)
        ph_log(PH_LOG_ERROR, NULL, "metrics %s: " PH_NEEDS_REMOTE, address);
    return may;
}

static void say_where(const char *address, int fd)
{
    char *text = ph_address_bound(address, fd);
    ph_log(PH_LOG_NOTICE, NULL, "metrics at http://%s/metrics", text);
    ph_free(text);
}

/* -1: errno. */
static int listen_at(struct server *s, const struct addrinfo *at, bool shared)
{
    int fd = ph_address_bind(at->ai_addr, at->ai_addrlen, shared);
    if (fd < 0)
        return -1;
    s->listener = evconnlistener_new(s->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
    if (s->listener && evhttp_bind_listener(s->http, s->listener))
        return 0;
    int err = s->listener ? ENOMEM : errno;
    if (s->listener)
        evconnlistener_free(s->listener);
    else
        close(fd);
    errno = err;
    return -1;
}

/* The server that is to end may have the address: then it goes on until this one listens. -1: errno. */
static int take_over(struct server *s, const struct addrinfo *at)
{
    int result = listen_at(s, at, false), old = server ? evconnlistener_get_fd(server->listener) : -1;
    if (!result || errno != EADDRINUSE || old < 0 || !ph_address_has_port_of(at->ai_addr, old))
        return result;
    ph_address_share(old, true);
    result = listen_at(s, at, true);
    int err = errno;
    ph_address_share(old, false);
    if (!result)
        ph_address_share(evconnlistener_get_fd(s->listener), false);
    errno = err;
    return result;
}

/* At the first of the addresses at which it can be done. */
static int listen_at_first(struct server *s, const struct addrinfo *found)
{
    for (const struct addrinfo *at = found; at; at = at->ai_next)
        if (take_over(s, at) == 0) {
            evconnlistener_set_error_cb(s->listener, on_accept_error);
            say_where(s->address, evconnlistener_get_fd(s->listener));
            return 0;
        }
    ph_log(PH_LOG_ERROR, NULL, "metrics %s: %s", s->address, strerror(errno));
    return -1;
}

static void *serve(void *s)
{
    my_server = s;
    event_base_dispatch(((struct server *)s)->base);
    return NULL;
}

static void free_server(struct server *s)
{
    if (s->http)
        evhttp_free(s->http);
    if (s->retry)
        event_free(s->retry);
    if (s->base)
        event_base_free(s->base);
    ph_free(s->address);
    ph_free(s);
}

static void stop(void)
{
    if (!server)
        return;
    if (event_base_loopexit(server->base, NULL)) /* it may not have come to its loop yet: then only this is not lost. But it needs memory */
        event_base_loopbreak(server->base);
    pthread_join(server->thread, NULL);
    free_server(server);
    server = NULL;
}

static struct server *new_server(const char *address, const struct addrinfo *found)
{
    struct server *s = ph_calloc(1, sizeof *s);
    s->address = ph_strdup(address);
    s->base = event_base_new();
    s->http = s->base ? evhttp_new(s->base) : NULL;
    s->retry = s->http ? event_new(s->base, -1, 0, on_retry, s) : NULL;
    if (!s->retry || listen_at_first(s, found)) {
        free_server(s);
        return NULL;
    }
    evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_max_headers_size(s->http, MAX_HEADER_BYTES);
    evhttp_set_max_body_size(s->http, 0);
    evhttp_set_timeout(s->http, TIMEOUT_S);
    evhttp_set_cb(s->http, "/metrics", on_metrics, NULL);
    evhttp_set_cb(s->http, "/healthz", on_health, NULL);
    evhttp_set_gencb(s->http, on_other, NULL);
    return s;
}

/* One of these addresses is served already. */
static bool serves(const struct addrinfo *found)
{
    struct sockaddr_storage own;
    bool is = false;
    for (const struct addrinfo *at = found; at && server && !is; at = at->ai_next)
        is = ph_address_of(evconnlistener_get_fd(server->listener), &own) && ph_address_same(at->ai_addr, (struct sockaddr *)&own);
    return is;
}

static void rename_to(const char *address)
{
    char *text = ph_strdup(address);
    ph_free(server->address);
    server->address = text;
}

static int serve_at(const char *address, const struct addrinfo *found)
{
    if (server && (strcmp(address, server->address) == 0 || serves(found))) {
        rename_to(address);
        return 0;
    }
    struct server *s = new_server(address, found);
    int err = s ? ph_thread_start(&s->thread, "metrics", 0, serve, s) : 0;
    if (err) {
        ph_log(PH_LOG_ERROR, NULL, "cannot start a thread for metrics: %s", strerror(err));
        free_server(s);
    }
    if (!s || err)
        return -1;
    stop();
    server = s;
    return 0;
}

int ph_metrics_serve(const char *address, bool remote)
{
    const char *why = address ? ph_address_wrong(address, PH_ADDRESS_SERVE) : NULL;
    struct addrinfo *found = address && !why ? ph_address_find(address, &why) : NULL;
    bool may = true;
    for (const struct addrinfo *at = found; at && may; at = at->ai_next)
        may = may_serve(address, at->ai_addr, remote);
    if (why)
        ph_log(PH_LOG_ERROR, NULL, "metrics %s: %s", address, why);
    else if (!address)
        stop();
    int result = !address ? 0 : found && may ? serve_at(address, found) : -1;
    if (found)
        freeaddrinfo(found);
    return result;
}

void ph_metrics_ending(void)
{
    atomic_store(&ending, true);
}
