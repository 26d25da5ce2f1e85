/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the descriptors of a connection and the bytes on their way. Called by session.c. */
#include "host/conn.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "host/child.h"
#include "interrupt.h"
#include "proto.h"

#define READ_BYTES 65536
#define UNIX_PATH_MAX (sizeof ((struct sockaddr_un *)NULL)->sun_path - 1)

struct bytes {
    uint8_t *p;
    size_t from, to, cap; /* p[from..to) is in use */
};

struct ph_link {
    int in, out; /* the same for a socket; out is -1 after a write has failed: what the host still says is read first */
    struct ph_child child;
    struct bytes rx, tx;
    size_t taken; /* bytes of rx that the last frame given to the caller occupies */
    bool greeted; /* a frame has come */
    bool turn;    /* of the other descriptor: a frame was given last */
    char why[128];
};

int64_t ph_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int ms_until(int64_t deadline)
{
    int64_t left = deadline == PH_NEVER ? -1 : deadline - ph_now_ms();
    if (deadline != PH_NEVER && left < 0)
        left = 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

/* Room for `more` bytes behind `to`. */
static int bytes_room(struct bytes *b, size_t more)
{
    if (b->from > 0 && b->cap - b->to < more) {
        memmove(b->p, b->p + b->from, b->to - b->from);
        b->to -= b->from;
        b->from = 0;
    }
    if (b->cap - b->to >= more)
        return 0;
    size_t cap = (b->to + more) * 2;
    uint8_t *p = realloc(b->p, cap);
    if (!p)
        return -1;
    b->p = p;
    b->cap = cap;
    return 0;
}

/* ---- sockets ---- */

/* Connects without blocking for longer than the deadline. 0, or an errno. */
static int connect_within(int fd, const struct sockaddr *addr, socklen_t len, int64_t deadline)
{
    if (connect(fd, addr, len) == 0)
        return 0;
    if (errno != EINPROGRESS && errno != EINTR)
        return errno;
    struct pollfd p[2] = {{.fd = fd, .events = POLLOUT}, {.fd = ph_interrupt_fd(), .events = POLLIN}};
    int n;
    do
        n = poll(p, 2, ms_until(deadline));
    while (n < 0 && errno == EINTR && ph_interrupt_signal() == 0);
    if (n == 0)
        return ETIMEDOUT;
    if (!(p[0].revents & (POLLOUT | POLLERR | POLLHUP)))
        return EINTR;
    int err = 0;
    socklen_t size = sizeof err;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
    return err;
}

/* A connected socket or -1 with errno. */
static int socket_to(int family, const struct sockaddr *addr, socklen_t len, int64_t deadline)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int err = fd < 0 ? errno : connect_within(fd, addr, len, deadline);
    if (err && fd >= 0)
        close(fd);
    errno = err;
    return err ? -1 : fd;
}

bool ph_link_address_ok(enum ph_transport transport, const char *address, char *why, size_t cap)
{
    const char *wrong = transport == PH_TCP ? ph_address_wrong(address, PH_ADDRESS_CONNECT) : NULL;
    if (wrong)
        snprintf(why, cap, "%s: %s", address, wrong);
    else if (transport == PH_UNIX && (!*address || strlen(address) > UNIX_PATH_MAX))
        snprintf(why, cap, "the path of a unix socket has 1 to %zu bytes", UNIX_PATH_MAX);
    else
        return true;
    return false;
}

static int open_unix(const char *path, int64_t deadline, char *why, size_t cap)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    memcpy(addr.sun_path, path, strlen(path));
    int fd = socket_to(AF_UNIX, (struct sockaddr *)&addr, sizeof addr, deadline);
    if (fd < 0)
        snprintf(why, cap, "cannot connect to %s: %s", path, strerror(errno));
    return fd;
}

/* The end of this address's equal share of the time that is left for it and those behind it: one where nobody answers leaves them some. */
static int64_t share_of(const struct addrinfo *a, int64_t deadline)
{
    int64_t now = ph_now_ms(), n = 0;
    for (; a; a = a->ai_next)
        n++;
    return deadline == PH_NEVER || deadline <= now ? deadline : now + (deadline - now) / n;
}

static int open_tcp(const char *address, int64_t deadline, char *why, size_t cap)
{
    const char *none;
    struct addrinfo *found = ph_address_find(address, &none);
    if (!found) {
        snprintf(why, cap, "cannot find %s: %s", address, none);
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next)
        fd = socket_to(a->ai_family, a->ai_addr, a->ai_addrlen, share_of(a, deadline));
    if (fd < 0)
        snprintf(why, cap, "cannot connect to %s: %s", address, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

/* ---- opening and closing ---- */

struct ph_link *ph_link_open(const struct ph_cli *cli, int64_t deadline, char *why, size_t cap)
{
    struct ph_link *l = calloc(1, sizeof *l);
    if (!l) {
        snprintf(why, cap, "there is no memory");
        return NULL;
    }
    l->in = -1;
    if (cli->transport == PH_UNIX)
        l->in = l->out = open_unix(cli->address, deadline, why, cap);
    else if (cli->transport == PH_TCP)
        l->in = l->out = open_tcp(cli->address, deadline, why, cap);
    else if (ph_child_start(&l->child, cli, why, cap) == 0) {
        l->in = l->child.in;
        l->out = l->child.out;
    }
    if (l->in >= 0)
        return l;
    free(l);
    return NULL;
}

void ph_link_close(struct ph_link *l, int grace_ms, char *why, size_t cap)
{
    char how[100] = "";
    if (l->child.pid > 0)
        ph_child_end(&l->child, grace_ms, how, sizeof how);
    else
        close(l->in);
    if (cap)
        snprintf(why, cap, "%s%s%s", l->why, l->why[0] && how[0] ? ": " : "", how);
    free(l->rx.p);
    free(l->tx.p);
    free(l);
}

/* ---- sending ---- */

static void copy_out(uint8_t *to, const struct ph_wbuf *w)
{
    size_t at = 0;
    for (size_t i = 0; i < w->nrefs; i++) {
        memcpy(to, w->buf + at, w->refs[i].at - at);
        to += w->refs[i].at - at;
        at = w->refs[i].at;
        memcpy(to, w->refs[i].p, w->refs[i].len);
        to += w->refs[i].len;
    }
    memcpy(to, w->buf + at, w->len - at);
}

int ph_link_send(struct ph_link *l, const struct ph_wbuf *w)
{
    size_t len = ph_wbuf_total(w);
    if (w->failed || bytes_room(&l->tx, PH_FRAME_HEADER + len) < 0)
        return -1;
    uint8_t *p = l->tx.p + l->tx.to;
    for (unsigned i = 0; i < PH_FRAME_HEADER; i++)
        p[i] = (uint8_t)(len >> (8 * (PH_FRAME_HEADER - 1 - i)));
    copy_out(p + PH_FRAME_HEADER, w);
    l->tx.to += PH_FRAME_HEADER + len;
    return 0;
}

int ph_link_send_raw(struct ph_link *l, const void *p, size_t len)
{
    if (bytes_room(&l->tx, len) < 0)
        return -1;
    memcpy(l->tx.p + l->tx.to, p, len);
    l->tx.to += len;
    return 0;
}

void ph_link_descriptors(const struct ph_link *l, int *in, int *out)
{
    *in = l->in;
    *out = l->out;
}

void ph_link_finish(struct ph_link *l)
{
    l->tx.from = l->tx.to = 0;
    if (l->child.pid > 0 && l->child.out >= 0) {
        close(l->child.out);
        l->child.out = -1;
    } else if (l->out >= 0) {
        shutdown(l->out, SHUT_WR);
    }
    l->out = -1;
}

size_t ph_link_unsent(const struct ph_link *l)
{
    return l->tx.to - l->tx.from;
}

static void write_some(struct ph_link *l)
{
    while (l->out >= 0 && ph_link_unsent(l) > 0) {
        ssize_t n = write(l->out, l->tx.p + l->tx.from, ph_link_unsent(l));
        if (n > 0) {
            l->tx.from += (size_t)n;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            l->out = -1;
        }
    }
    l->tx.from = l->tx.to = 0;
}

/* ---- receiving ---- */

static enum ph_wait lost(struct ph_link *l, const char *why)
{
    if (!l->why[0])
        snprintf(l->why, sizeof l->why, "%s", why);
    return PH_WAIT_LOST;
}

/* FRAME if one has come as a whole, else TIMEOUT, or LOST if it cannot be one. A frame of a host may be as large as its length can say, but for the first. */
static enum ph_wait take_frame(struct ph_link *l, struct ph_slice *frame)
{
    l->rx.from += l->taken;
    l->taken = 0;
    size_t have = l->rx.to - l->rx.from, len = 0;
    if (have < PH_FRAME_HEADER)
        return PH_WAIT_TIMEOUT;
    const uint8_t *p = l->rx.p + l->rx.from;
    for (unsigned i = 0; i < PH_FRAME_HEADER; i++)
        len = len << 8 | p[i];
    if (len == 0 || (!l->greeted && len > PH_MAX_FRAME_DEFAULT))
        return lost(l, "what came from the host is no frame of this protocol");
    if (have - PH_FRAME_HEADER < len)
        return PH_WAIT_TIMEOUT;
    *frame = (struct ph_slice){p + PH_FRAME_HEADER, len};
    l->taken = PH_FRAME_HEADER + len;
    l->greeted = l->turn = true;
    return PH_WAIT_FRAME;
}

/* The bytes that came. */
static size_t read_some(struct ph_link *l)
{
    if (bytes_room(&l->rx, READ_BYTES) < 0) {
        lost(l, "there is no memory for what the host sends");
        return 0;
    }
    ssize_t n = read(l->in, l->rx.p + l->rx.to, l->rx.cap - l->rx.to);
    if (n == 0)
        lost(l, "the host has ended the connection");
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        lost(l, strerror(errno));
    if (n <= 0)
        return 0;
    l->rx.to += (size_t)n;
    return (size_t)n;
}

/* Once the deadline has passed only what had come by then is still read: a host that goes on and on does not make it later. */
static bool is_over(const struct ph_link *l, struct ph_wait_for *w)
{
    int n = 0;
    if (w->deadline == PH_NEVER || ph_now_ms() < w->deadline)
        return false;
    if (w->late)
        return w->left == 0;
    w->late = true;
    w->left = ioctl(l->in, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
    return false; /* the end of a connection is no byte */
}

/* Frames and the other descriptor take turns, however much there is of the one. */
static bool other_first(struct ph_link *l, int other_fd)
{
    struct pollfd p = {.fd = other_fd, .events = POLLIN};
    bool turn = l->turn;
    l->turn = false;
    return turn && other_fd >= 0 && poll(&p, 1, 0) > 0;
}

/* Waits for bytes, the other descriptor, or a writable host: FRAME says to go on. */
static enum ph_wait wait_once(struct ph_link *l, struct ph_wait_for *w)
{
    struct pollfd p[] = {
        {.fd = l->in, .events = POLLIN},
        {.fd = ph_link_unsent(l) > 0 ? l->out : -1, .events = POLLOUT},
        {.fd = ph_interrupt_fd(), .events = POLLIN},
        {.fd = w->other_fd, .events = POLLIN},
    };
    if (is_over(l, w))
        return PH_WAIT_TIMEOUT;
    int n = poll(p, 4, ms_until(w->deadline));
    if (ph_interrupt_signal())
        return PH_WAIT_INTERRUPTED;
    if (n == 0)
        return PH_WAIT_TIMEOUT;
    if (!p[0].revents)
        return p[3].revents ? PH_WAIT_INPUT : PH_WAIT_FRAME;
    size_t came = read_some(l);
    w->left -= came < w->left ? came : w->left;
    return PH_WAIT_FRAME;
}

enum ph_wait ph_link_wait(struct ph_link *l, struct ph_wait_for *w, struct ph_slice *frame)
{
    if (other_first(l, w->other_fd))
        return PH_WAIT_INPUT;
    for (;;) {
        enum ph_wait have = take_frame(l, frame);
        if (have != PH_WAIT_TIMEOUT)
            return have;
        if (l->why[0])
            return PH_WAIT_LOST;
        write_some(l);
        if (w->until_room && ph_link_unsent(l) <= w->room)
            return PH_WAIT_INPUT;
        have = wait_once(l, w);
        if (have != PH_WAIT_FRAME)
            return have;
    }
}
