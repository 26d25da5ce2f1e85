/* SPDX-License-Identifier: Apache-2.0 */
/* The incoming half of a connection. Small frames are read into the reactor's buffer and handled there; one that is not complete goes to
 * a driver binary of its own, into which the rest is read directly, so that large data is never copied.
 *
 * Life: OPEN (reading) -> ENDING (its ports exit; what they still send is written) -> freed. */
#include "conn/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bin.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/flood.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "conn/listing.h"
#include "etf.h"
#include "driver/ddll.h"
#include "port/op.h"
#include "port/port.h"
#include "port/select.h"
#include "port/trace.h"

#define FRAME_AT_ONCE (1u << 20) /* bytes: a larger frame's memory grows as its bytes arrive */
#define READS_PER_TURN 8
#define FRAMES_PER_LOOK 8u /* frames that are handled until it is looked at whether there is too much to do already */
#define FRAMES_PER_CLOCK 64u /* a multiple of that: ... and whether there is time left, which is asked sooner after those that may take longer than commands */
#define LOOK_NS 1000000u     /* then it goes on in the next turn */
#define END_PORTS 100u /* in a turn */
#define END_POLL_US 5000
#define END_WRITE_NS UINT64_C(5000000000) /* how long an ending connection waits for its client to read */

enum state { OPEN, ENDING };

struct ph_conn {
    LIST_ENTRY(ph_conn) link; /* guarded by list_mu */
    struct ph_task start;
    struct ph_task shutdown;
    struct ph_task go_on; /* in the next turn: with the frames that are left, the listing or, if it ends, its ports */
    bool goes_on;         /* ... is posted. The connection is not freed then */
    bool shutdown_posted, finished; /* guarded by list_mu: the later of shutdown_task and finish frees */
    struct ph_access *access; /* reference; NULL: stdio */
    struct ph_newcomer *newcomer; /* NULL: not, or not any more; then end_timer is the time it has */
    enum state state;
    bool hello;
    bool no_input; /* regular file or closed: nothing to wait for */
    enum ph_fault goodbye; /* to say when all ports are gone */
    const char *goodbye_detail; /* static, or NULL */
    bool more_ports;        /* ENDING: ports that have not been told to end: */
    struct ph_walk ports;
    uint64_t ports_gone_ns;
    int fd_in, fd_out;
    struct ph_reactor *reactor;
    struct ph_peer *peer; /* reference */
    struct event *readable;
    struct event *end_timer;
    struct ph_op_batch batch; /* empty but while bytes are looked at */
    size_t frames, frame_bytes; /* of them, not counted yet */
    unsigned looked;       /* frames, or parts of them, in this look at the input; see FRAMES_PER_CLOCK */
    uint64_t look_since_ns; /* when the clock was first read in it */
    struct ph_listing *listing; /* what the last frame asks for; it goes on, and no other is looked at before it is answered. Or NULL */
    uint8_t header[PH_FRAME_HEADER];
    size_t header_got;
    ErlDrvBinary *frame; /* the incomplete frame, or NULL */
    size_t frame_got, frame_need;
    uint8_t *stash; /* bytes that were read before reading was held back, or NULL */
    size_t stash_len;
    struct ph_where where;
    char client[48]; /* what where.client points to */
};

static pthread_mutex_t list_mu = PTHREAD_MUTEX_INITIALIZER; /* guards the list and counts; taken before a reactor's inbox */
static LIST_HEAD(, ph_conn) conns = LIST_HEAD_INITIALIZER(conns);
static unsigned conn_count;
static uint64_t last_id;
static bool shutting_down;
static void (*on_stdio_end)(void);

static void begin_end(struct ph_conn *c, enum ph_fault goodbye, const char *detail);

/* From its start to its end the timer is in libevent's heap, if need be for a time that never comes: so its place there is kept, and setting it needs no memory.
 * Should another one have taken the place while it rang, it rings again at once. */
static const struct timeval never = {.tv_sec = INT32_MAX};

static void set_end_timer(struct ph_conn *c, const struct timeval *after)
{
    if (event_add(c->end_timer, after))
        event_active(c->end_timer, EV_TIMEOUT, 0);
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
        set_end_timer(c, &never);
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

/* --- frames --- */

/* The bytes that there were have been looked at: what came of them is submitted and counted. */
static void hand_on(struct ph_conn *c)
{
    ph_op_batch_submit(&c->batch);
    ph_count(PH_COUNT_FRAMES_IN, c->frames);
    ph_count(PH_COUNT_BYTES_IN, c->frame_bytes);
    c->frames = c->frame_bytes = 0;
}

/* Not one of those that come all the time. Not inlined: they shall not pay for what this needs. */
__attribute__((noinline)) static enum ph_fault handle_whole(struct ph_conn *c, struct ph_cur cur, ErlDrvBinary *frame)
{
    struct ph_cur whole = cur;
    hand_on(c); /* nothing overtakes what came before, and it is counted */
    c->looked |= FRAMES_PER_CLOCK - 1;
    if (ph_etf_skip(&whole, (unsigned)ph_limit(PH_LIMIT_TERM_DEPTH))) {
        if (ph_etf_skip(&whole, UINT_MAX) == 0)
            ph_limit_met(PH_LIMIT_TERM_DEPTH);
        return PH_FAULT_BAD_TERM;
    }
    if (whole.p != whole.end)
        return PH_FAULT_BAD_TERM;
    return ph_request(c, cur.p, (size_t)(cur.end - cur.p), frame);
}

static enum ph_fault handle_frame(struct ph_conn *c, const uint8_t *p, size_t len, ErlDrvBinary *frame)
{
    struct ph_cur cur = {p, p + len};
    enum ph_fault fault;
    c->frames++;
    c->frame_bytes += len + PH_FRAME_HEADER;
    if (ph_etf_version(&cur))
        return PH_FAULT_BAD_TERM;
    return ph_request_quick(c, cur, frame, &fault) ? fault : handle_whole(c, cur, frame);
}

static enum ph_fault check_length(const struct ph_conn *c, size_t need)
{
    enum ph_limit limit = c->newcomer ? PH_LIMIT_HELLO_BYTES : PH_LIMIT_FRAME_BYTES;
    if (need == 0)
        return PH_FAULT_FRAME_EMPTY;
    if (need <= ph_limit(limit))
        return PH_FAULT_NONE;
    ph_limit_met(limit);
    return PH_FAULT_FRAME_TOO_LARGE;
}

/* The header says need bytes; at least one spare byte stays behind them, for drivers (see op.h). */
static enum ph_fault begin_frame(struct ph_conn *c, size_t need)
{
    c->frame = ph_bin_new((need < FRAME_AT_ONCE ? need : FRAME_AT_ONCE) + 1);
    c->frame_need = need;
    c->frame_got = 0;
    return c->frame ? PH_FAULT_NONE : PH_FAULT_NO_MEMORY;
}

static size_t frame_room(const struct ph_conn *c)
{
    size_t room = (size_t)c->frame->orig_size - 1;
    return (room < c->frame_need ? room : c->frame_need) - c->frame_got;
}

/* n more bytes lie in the frame. */
static enum ph_fault frame_grew(struct ph_conn *c, size_t n)
{
    c->frame_got += n;
    if (c->frame_got == c->frame_need) {
        ErlDrvBinary *frame = c->frame;
        c->frame = NULL;
        enum ph_fault fault = handle_frame(c, (const uint8_t *)frame->orig_bytes, c->frame_need, frame);
        ph_bin_unref(frame);
        return fault;
    }
    if (frame_room(c) == 0) {
        size_t size = c->frame_got * 2 < c->frame_need ? c->frame_got * 2 : c->frame_need;
        ErlDrvBinary *larger = ph_bin_realloc(c->frame, size + 1);
        if (!larger)
            return PH_FAULT_NO_MEMORY;
        c->frame = larger;
    }
    return PH_FAULT_NONE;
}

static enum ph_fault fill_frame(struct ph_conn *c, const uint8_t **p, size_t *len)
{
    size_t room = frame_room(c), n = *len < room ? *len : room;
    memcpy(c->frame->orig_bytes + c->frame_got, *p, n);
    *p += n;
    *len -= n;
    return frame_grew(c, n);
}

static enum ph_fault take_header(struct ph_conn *c, const uint8_t **p, size_t *len)
{
    size_t missing = PH_FRAME_HEADER - c->header_got, n = *len < missing ? *len : missing;
    uint32_t be;
    if (n == PH_FRAME_HEADER) {
        memcpy(&be, *p, sizeof be);
    } else {
        memcpy(c->header + c->header_got, *p, n);
        memcpy(&be, c->header, sizeof be);
    }
    c->header_got += n;
    *p += n;
    *len -= n;
    if (c->header_got < PH_FRAME_HEADER)
        return PH_FAULT_NONE;
    size_t need = ntohl(be);
    c->header_got = 0;
    enum ph_fault fault = check_length(c, need);
    if (fault)
        return fault;
    if (*len >= need) {
        const uint8_t *frame = *p;
        *p += need;
        *len -= need;
        return handle_frame(c, frame, need, NULL);
    }
    return begin_frame(c, need);
}

/* No reading until drained(); meanwhile a timer sees whether the client is still there, since nothing else would. */
static void hold_back(struct ph_conn *c)
{
    static const struct timeval look = {.tv_sec = 1};
    if (!c->no_input)
        event_del(c->readable);
    set_end_timer(c, &look);
}

static bool client_is_gone(const struct ph_conn *c)
{
    struct pollfd pfd = {.fd = c->fd_out, .events = 0};
    return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLERR | POLLHUP | POLLNVAL));
}

static void go_on_later(struct ph_conn *c)
{
    if (c->goes_on)
        return;
    c->goes_on = true;
    ph_reactor_post(c->reactor, &c->go_on);
}

void ph_conn_answer_later(struct ph_conn *c, struct ph_listing *l)
{
    c->listing = l;
    go_on_later(c);
}

static bool has_time(struct ph_conn *c)
{
    if (c->looked == 0 || c->looked % FRAMES_PER_CLOCK)
        return true;
    uint64_t now = ph_now_ns();
    if (c->looked == FRAMES_PER_CLOCK)
        c->look_since_ns = now;
    return now - c->look_since_ns <= LOOK_NS;
}

/* Others shall not wait for all that one client asks for. */
static bool may_look_on(struct ph_conn *c)
{
    if (!c->goes_on && !has_time(c))
        go_on_later(c);
    return !c->goes_on && ph_peer_may_read(c->peer);
}

/* Bytes from the stream. */
static void consume(struct ph_conn *c, const uint8_t *p, size_t len)
{
    enum ph_fault fault = PH_FAULT_NONE;
    for (c->looked = 0; len > 0 && c->state == OPEN && !fault && (c->looked % FRAMES_PER_LOOK || may_look_on(c)); c->looked++)
        fault = c->frame ? fill_frame(c, &p, &len) : take_header(c, &p, &len);
    hand_on(c);
    bool left = !fault && len > 0 && c->state == OPEN;
    if (left && !(c->stash = ph_alloc_try(len)))
        fault = PH_FAULT_NO_MEMORY;
    if (fault) {
        begin_end(c, fault, NULL);
    } else if (left) {
        c->stash_len = len;
        memcpy(c->stash, p, len);
        if (!c->goes_on)
            hold_back(c);
    }
}

/* --- reading --- */

static enum ph_flood flood_of(const struct ph_conn *c)
{
    return c->hello ? PH_FLOOD_CLIENTS : PH_FLOOD_NEWCOMERS;
}

/* err: of the read, or 0. */
static void end_of_stream(struct ph_conn *c, int err)
{
    if (err && err != ECONNRESET)
        ph_log_flood(flood_of(c), PH_LOG_WARNING, &c->where, "cannot read: %s", strerror(err));
    else if (!c->frame && !c->header_got)
        ph_log(PH_LOG_INFO, &c->where, "the client has closed the connection");
    else
        ph_log_flood(flood_of(c), PH_LOG_WARNING, &c->where, "the stream ends inside a frame");
    begin_end(c, PH_FAULT_NONE, NULL);
}

/* One read, straight into the frame that is being filled and what follows into the reactor's buffer. False: no more now. */
static bool read_once(struct ph_conn *c)
{
    size_t size;
    uint8_t *buf = ph_reactor_buffer(c->reactor, &size);
    size_t direct = c->frame ? frame_room(c) : 0;
    struct iovec iov[2] = {{c->frame ? c->frame->orig_bytes + c->frame_got : NULL, direct}, {buf, size}};
    ssize_t n = c->frame ? readv(c->fd_in, iov, 2) : read(c->fd_in, buf, size);
    if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
        return errno == EINTR;
    if (n <= 0) {
        end_of_stream(c, n < 0 ? errno : 0);
        return false;
    }
    size_t got = (size_t)n, first = got < direct ? got : direct;
    enum ph_fault fault = first ? frame_grew(c, first) : PH_FAULT_NONE;
    if (!fault && c->state == OPEN)
        consume(c, buf, got - first); /* also if that is nothing: it submits */
    else
        hand_on(c);
    if (fault)
        begin_end(c, fault, NULL);
    return c->state == OPEN && got == direct + size;
}

static void rearm(struct ph_conn *c)
{
    errno = 0;
    if (event_add(c->readable, NULL) == 0)
        return;
    if (errno != EPERM) {
        begin_end(c, PH_FAULT_NO_MEMORY, NULL);
        return;
    }
    c->no_input = true; /* a regular file: always readable, and epoll refuses it */
    event_active(c->readable, EV_READ, 0);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct ph_conn *c = arg;
    (void)fd;
    (void)what;
    for (int i = 0; c->state == OPEN; i++) {
        if (c->stash || c->goes_on)
            return; /* held back already, or what is there waits for the next turn */
        if (!ph_peer_may_read(c->peer)) {
            hold_back(c);
            return;
        }
        if (!read_once(c) || !c->frame || i == READS_PER_TURN)
            break; /* small frames take their turn with other connections' */
    }
    if (c->state == OPEN && c->no_input)
        event_active(c->readable, EV_READ, 0);
}

static void drained(void *arg)
{
    struct ph_conn *c = arg;
    uint8_t *stash = c->stash;
    c->stash = NULL;
    if (stash && c->state == OPEN)
        consume(c, stash, c->stash_len);
    ph_free(stash);
    if (c->state == OPEN && !c->stash && !c->goes_on) {
        set_end_timer(c, &never);
        rearm(c);
    }
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
        go_on_later(c);
}

static void go_on_task(struct ph_task *task)
{
    struct ph_conn *c = (struct ph_conn *)((char *)task - offsetof(struct ph_conn, go_on));
    c->goes_on = false;
    if (c->state == ENDING) {
        if (c->more_ports)
            end_some_ports(c);
    } else if (c->listing && !ph_listing_go_on(c->listing)) {
        go_on_later(c);
    } else {
        c->listing = NULL;
        drained(c);
    }
}

/* Frees what the connection has but the peer, closes the descriptors. */
static void let_go(struct ph_conn *c)
{
    if (c->readable)
        event_free(c->readable);
    if (c->end_timer)
        event_free(c->end_timer);
    ph_newcomer_free(c->newcomer); /* its place is free when the client sees the end */
    close(c->fd_in);
    if (c->fd_out != c->fd_in)
        close(c->fd_out);
    ph_bin_unref(c->frame);
    ph_free(c->stash);
    ph_listing_free(c->listing);
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
    bool mine = !c->shutdown_posted, stdio = !c->access;
    pthread_mutex_unlock(&list_mu);
    ph_access_unref(c->access);
    if (mine)
        ph_free(c);
    if (stdio && on_stdio_end)
        on_stdio_end();
}

/* Ports first, then goodbye, then what is unsent; a client that does not read is not waited for long. */
static void on_end_timer(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval poll = {.tv_usec = END_POLL_US};
    struct ph_conn *c = arg;
    (void)fd;
    (void)what;
    set_end_timer(c, &never);
    if (c->state == OPEN && c->newcomer) {
        ph_limit_met(PH_LIMIT_HELLO_S);
        begin_end(c, PH_FAULT_HELLO_TIMEOUT, NULL);
        return;
    }
    if (c->state == OPEN && !client_is_gone(c)) {
        hold_back(c);
        return;
    }
    if (c->state == OPEN) {
        end_of_stream(c, 0);
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
    }
    set_end_timer(c, &poll);
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
        ph_log_flood(flood_of(c), PH_LOG_WARNING, &c->where, "ending the connection: %s", detail ? detail : texts[fault]);
}

static void begin_end(struct ph_conn *c, enum ph_fault goodbye, const char *detail)
{
    if (c->state != OPEN)
        return;
    c->state = ENDING;
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
        set_end_timer(c, &late);
    else
        event_active(c->end_timer, EV_TIMEOUT, 0);
}

/* A frame is lost; without a fault to tell the client, nothing more can be written, and what is unsent is lost. */
static void broken(void *arg, enum ph_fault fault, const char *why)
{
    struct ph_conn *c = arg;
    ph_log_flood(flood_of(c), c->state == OPEN ? PH_LOG_WARNING : PH_LOG_DEBUG, &c->where, "cannot write: %s", why);
    begin_end(c, fault, NULL);
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
    else if (c->state == OPEN)
        begin_end(c, PH_FAULT_SHUTDOWN, NULL);
    else
        event_active(c->end_timer, EV_TIMEOUT, 0); /* who failed to prove itself is not made to wait any more */
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
    struct ph_peer_owner owner = {.drained = drained, .broken = broken, .conn = c};
    struct event_base *base = ph_reactor_base(c->reactor);
    c->readable = event_new(base, c->fd_in, EV_READ | EV_PERSIST, on_readable, c);
    c->end_timer = event_new(base, -1, 0, on_end_timer, c);
    if (!c->readable || !c->end_timer || event_add(c->end_timer, &never))
        return false;
    c->peer = ph_peer_new(c->reactor, c->fd_out, id, &owner);
    return c->peer != NULL;
}

/* It never began: the client finds its stream ended. */
static void give_up(struct ph_conn *c)
{
    bool stdio = !c->access;
    ph_log_flood(PH_FLOOD_NEWCOMERS, PH_LOG_ERROR, NULL, "a connection is refused: no memory");
    ph_count(PH_COUNT_REFUSED, 1);
    let_go(c);
    ph_access_unref(c->access);
    ph_free(c);
    pthread_mutex_lock(&list_mu);
    conn_count--;
    pthread_mutex_unlock(&list_mu);
    if (stdio && on_stdio_end)
        on_stdio_end();
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
    rearm(c);
    struct timeval patience = {.tv_sec = (time_t)ph_limit(PH_LIMIT_HELLO_S)};
    if (c->newcomer && c->state == OPEN)
        set_end_timer(c, &patience);
    if (too_late)
        begin_end(c, PH_FAULT_SHUTDOWN, NULL);
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
