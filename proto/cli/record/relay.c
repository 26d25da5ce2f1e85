/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the bytes on their way between client and host. Called by record.c. */
#include "record/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/mem.h"
#include "interrupt.h"

#define HELD (1u << 20) /* bytes that wait for one who does not read; then the other is not read from */

/* One direction. in is -1 once the stream has ended, out is -1 once it cannot be written to: then what comes is heard and dropped. */
struct way {
    enum ph_side from;
    int in, out;
    char *buf;
    size_t at, len; /* buf[at..at+len) waits */
};

static void read_some(const struct ph_relay *r, struct way *w)
{
    ssize_t n = read(w->in, w->buf, HELD);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    r->heard(r->arg, w->from, w->buf, n > 0 ? (size_t)n : 0);
    w->at = 0;
    w->len = n > 0 && w->out >= 0 ? (size_t)n : 0;
    if (n <= 0)
        w->in = -1;
}

static void write_some(struct way *w)
{
    while (w->len > 0 && w->out >= 0) {
        ssize_t n = write(w->out, w->buf + w->at, w->len);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 && errno != EINTR)
            w->out = -1;
        if (n > 0) {
            w->at += (size_t)n;
            w->len -= (size_t)n;
        }
    }
    w->len = 0;
}

static bool wait_for(struct way *ways)
{
    struct pollfd p[5] = {{.fd = ph_interrupt_fd(), .events = POLLIN}};
    for (int i = 0; i < 2; i++) {
        p[1 + i] = (struct pollfd){.fd = ways[i].len > 0 ? -1 : ways[i].in, .events = POLLIN};
        p[3 + i] = (struct pollfd){.fd = ways[i].len > 0 ? ways[i].out : -1, .events = POLLOUT};
    }
    return poll(p, 5, -1) >= 0 || errno == EINTR;
}

static void set_flags(int fd, int flags)
{
    fcntl(fd, F_SETFL, flags);
}

void ph_relay_run(const struct ph_relay *r)
{
    struct way ways[2] = {{.from = PH_CLIENT, .in = r->client_in}, {.from = PH_HOST, .out = r->client_out}};
    int in_flags = fcntl(r->client_in, F_GETFL), out_flags = fcntl(r->client_out, F_GETFL);
    bool told = false;
    ph_link_descriptors(r->host, &ways[1].in, &ways[0].out);
    ways[0].buf = ph_alloc(HELD);
    ways[1].buf = ph_alloc(HELD);
    set_flags(r->client_in, in_flags | O_NONBLOCK);
    set_flags(r->client_out, out_flags | O_NONBLOCK);
    while ((ways[1].in >= 0 || ways[1].len > 0) && !ph_interrupt_signal() && wait_for(ways)) {
        for (int i = 0; i < 2; i++) {
            if (ways[i].in >= 0 && ways[i].len == 0)
                read_some(r, &ways[i]);
            write_some(&ways[i]);
        }
        if (ways[0].in < 0 && ways[0].len == 0 && !told) {
            ph_link_finish(r->host);
            ways[0].out = -1;
            told = true;
        }
    }
    set_flags(r->client_in, in_flags); /* they may be shared, with a shell for example */
    set_flags(r->client_out, out_flags);
    ph_free(ways[0].buf);
    ph_free(ways[1].buf);
}
