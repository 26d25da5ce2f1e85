/* SPDX-License-Identifier: Apache-2.0 */
/* The incoming half of a connection. Small frames are read into the reactor's buffer and handled there; one that is not complete goes to
 * a driver binary of its own, into which the rest is read directly, so that large data is never copied. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bin.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "conn/conn_struct.h"

#define FRAME_AT_ONCE (1u << 20) /* bytes: a larger frame's memory grows as its bytes arrive */
#define READS_PER_TURN 8
#define FRAMES_PER_LOOK 8u /* frames that are handled until it is looked at whether there is too much to do already */
#define FRAMES_PER_CLOCK 64u /* a multiple of that: ... and whether there is time left, which is asked sooner after those that may take longer than commands */
#define LOOK_NS 1000000u     /* then it goes on in the next turn */

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

/* No reading until ph_stream_go_on(); meanwhile a timer sees whether the client is still there, since nothing else would. */
static void hold_back(struct ph_conn *c)
{
    static const struct timeval look = {.tv_sec = 1};
    if (!c->no_input)
        event_del(c->readable);
    ph_conn_set_timer(c, &look);
}

bool ph_stream_is_deserted(const struct ph_conn *c)
{
    struct pollfd pfd = {.fd = c->fd_out, .events = 0};
    return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLERR | POLLHUP | POLLNVAL));
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
        ph_conn_go_on_later(c);
    return !c->goes_on && ph_peer_may_read(c->peer);
}

/* Bytes from the stream. */
static void consume(struct ph_conn *c, const uint8_t *p, size_t len)
{
    enum ph_fault fault = PH_FAULT_NONE;
    for (c->looked = 0; len > 0 && !c->ending && !fault && (c->looked % FRAMES_PER_LOOK || may_look_on(c)); c->looked++)
        fault = c->frame ? fill_frame(c, &p, &len) : take_header(c, &p, &len);
    hand_on(c);
    bool left = !fault && len > 0 && !c->ending;
    if (left && !(c->stash = ph_alloc_try(len)))
        fault = PH_FAULT_NO_MEMORY;
    if (fault) {
        ph_conn_end(c, fault, NULL);
    } else if (left) {
        c->stash_len = len;
        memcpy(c->stash, p, len);
        if (!c->goes_on)
            hold_back(c);
    }
}

/* --- reading --- */

/* err: of the read, or 0. */
static void end_of_stream(struct ph_conn *c, int err)
{
    if (err && err != ECONNRESET)
        ph_log_flood(ph_conn_flood(c), PH_LOG_WARNING, &c->where, "cannot read: %s", strerror(err));
    else if (!c->frame && !c->header_got)
        ph_log(PH_LOG_INFO, &c->where, "the client has closed the connection");
    else
        ph_log_flood(ph_conn_flood(c), PH_LOG_WARNING, &c->where, "the stream ends inside a frame");
    ph_conn_end(c, PH_FAULT_NONE, NULL);
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
    if (!fault && !c->ending)
        consume(c, buf, got - first); /* also if that is nothing: it submits */
    else
        hand_on(c);
    if (fault)
        ph_conn_end(c, fault, NULL);
    return !c->ending && got == direct + size;
}

void ph_stream_arm(struct ph_conn *c)
{
    errno = 0;
    if (event_add(c->readable, NULL) == 0)
        return;
    if (errno != EPERM) {
        ph_conn_end(c, PH_FAULT_NO_MEMORY, NULL);
        return;
    }
    c->no_input = true; /* a regular file: always readable, and epoll refuses it */
    event_active(c->readable, EV_READ, 0);
}

void ph_stream_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct ph_conn *c = arg;
    (void)fd;
    (void)what;
    for (int i = 0; !c->ending; i++) {
        if (c->stash || c->goes_on)
            return; /* held back already, or what is there waits for the next turn */
        if (!ph_peer_may_read(c->peer)) {
            hold_back(c);
            return;
        }
        if (!read_once(c) || !c->frame || i == READS_PER_TURN)
            break; /* small frames take their turn with other connections' */
    }
    if (!c->ending && c->no_input)
        event_active(c->readable, EV_READ, 0);
}

void ph_stream_go_on(void *arg)
{
    struct ph_conn *c = arg;
    uint8_t *stash = c->stash;
    c->stash = NULL;
    if (stash && !c->ending)
        consume(c, stash, c->stash_len);
    ph_free(stash);
    if (!c->ending && !c->stash && !c->goes_on) {
        ph_conn_set_timer(c, NULL);
        ph_stream_arm(c);
    }
}

void ph_stream_look(struct ph_conn *c)
{
    if (ph_stream_is_deserted(c))
        end_of_stream(c, 0);
    else
        hold_back(c);
}
