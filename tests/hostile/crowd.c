/* SPDX-License-Identifier: Apache-2.0 */
/* The crowd: so many clients at a time, each doing one move after the other, each on a connection of its own, on which it says nothing for a while. Which move a client begins with depends on its number, so
 * that all moves are made at once. A move that is answered otherwise than its row says, or not within PATIENCE_S, is wrong: the first of each is told. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../bench/load.h"
#include "hostile.h"

enum { PATIENCE_S = 300, STAY_MS = 2500, REST_MS = 200, LONGER = 10, LONGEST_WORD = 32, AT_ONCE = 1 << 20 };

struct client {
    struct crowd *crowd;
    size_t move;
    struct bufferevent *bev; /* NULL between moves */
    struct event *timer;     /* a pause, hesitation, a stay, a drip, or patience */
    struct evbuffer *drip;   /* what has not dripped yet */
    bool hesitates;
    bool expected, ponged, heard; /* have come; the last: anything at all */
    uint64_t begun;          /* ns */
};

struct crowd {
    const struct crowd_options *o;
    struct event_base *base;
    struct client *clients;
    size_t busy, most; /* connections now; at most */
    size_t held, most_held; /* bytes that the host may hold for them, now; at most */
    size_t *made, *wrong; /* by move */
    size_t wrongs, abandoned;
    struct event *end;
    uint64_t begun; /* ns */
};

static void pause_for(struct client *c, unsigned ms)
{
    struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    event_add(c->timer, &t);
}

/* Bytes that the host may hold for who makes the move, by its limits, besides what it needs for any connection. A frame is twice as large while it grows. */
static size_t may_hold(const struct move *m, const struct crowd_options *o)
{
    if (m->build == build_nested)
        return 2 * o->max_frame;
    if (m->build == build_kept)
        return o->kept + 2 * (o->max_frame / 4);
    if (m->build == build_queue)
        return o->queue + 2 * (o->max_frame / 2);
    if (m->build == build_pings || m->build == build_large_answers)
        return o->unsent + o->requests + 2 * (o->max_frame / 4);
    bool many = m->build == build_atoms || m->build == build_nodes || m->build == build_hellos || m->build == build_arities || m->build == build_ports || m->build == build_too_many_ports;
    return many ? o->unsent + o->requests : 0; /* each with an answer, which this program may be slow to read */
}

static void tell_wrong(struct client *c, const char *how)
{
    struct crowd *w = c->crowd;
    if (!w->wrong[c->move]++)
        fprintf(stderr, "%s: %s after %.1f s; %s, %s\n", moves[c->move].rule, how, (double)(now_ns() - c->begun) / 1e9,
                c->expected ? "what was expected has come" : "what was expected has not come", c->ponged ? "and pong" : "nor pong");
    w->wrongs++;
}

/* how: what has ended it. */
static void finished(struct client *c, bool right, const char *how)
{
    struct crowd *w = c->crowd;
    const struct move *m = &moves[c->move];
    if (!right)
        tell_wrong(c, how);
    w->held -= c->hesitates ? 0 : may_hold(m, w->o);
    w->made[c->move]++;
    w->abandoned += m->build == build_ports ? w->o->max_ports : 0;
    bufferevent_free(c->bev);
    c->bev = NULL;
    if (c->drip)
        evbuffer_free(c->drip);
    c->drip = NULL;
    w->busy--;
    c->move = (c->move + 1) % moves_count;
    pause_for(c, (unsigned)random() % REST_MS);
}

/* In the middle of a move, perhaps, which is none then. */
static void leave(struct client *c)
{
    if (c->bev)
        bufferevent_free(c->bev);
    if (c->drip)
        evbuffer_free(c->drip);
    event_free(c->timer);
}

static bool came(struct client *c, const char *word)
{
    struct evbuffer *in = bufferevent_get_input(c->bev);
    return evbuffer_search(in, word, strlen(word), NULL).pos >= 0;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct client *c = arg;
    const struct move *m = &moves[c->move];
    struct evbuffer *in = bufferevent_get_input(bev);
    c->heard = c->heard || evbuffer_get_length(in) > 0;
    c->expected = c->expected || !m->expect || came(c, m->expect);
    c->ponged = c->ponged || came(c, "pong"); /* which may overtake the answer of a port */
    if ((m->end == GOES_ON || m->end == DRIPS) && c->ponged && c->expected)
        finished(c, true, "answered");
    else if (evbuffer_get_length(in) > LONGEST_WORD) /* the beginning of a word, perhaps */
        evbuffer_drain(in, evbuffer_get_length(in) - LONGEST_WORD);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct client *c = arg;
    (void)bev;
    if (moves[c->move].end == LEAVES && !c->hesitates)
        finished(c, true, "sent");
}

/* The host has closed while there was more to write: what it said before has not been read yet. */
static void read_rest(struct client *c, int fd)
{
    const char *word = moves[c->move].expect;
    char rest[4096];
    ssize_t n = recv(fd, rest, sizeof rest, MSG_DONTWAIT);
    c->heard = c->heard || n > 0;
    if (word && n > 0 && memmem(rest, (size_t)n, word, strlen(word)))
        c->expected = true;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct client *c = arg;
    const struct move *m = &moves[c->move];
    if (what & BEV_EVENT_CONNECTED)
        return;
    on_read(bev, arg); /* the last words */
    if (c->bev != bev)
        return;
    if (what & BEV_EVENT_ERROR)
        read_rest(c, bufferevent_getfd(bev));
    if (m->end == ENDS || m->end == WAITS)
        finished(c, c->expected || (m->end == WAITS && !c->heard), "closed");
    else /* the host may send those away whom it need not keep; nobody else */
        finished(c, m->end == STAYS || m->end == DEAF || m->end == LEAVES, "closed");
}

static int connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || strlen(path) >= sizeof a.sun_path)
        err(1, "socket");
    memcpy(a.sun_path, path, strlen(path));
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    if (errno != EAGAIN)
        err(1, "%s", path);
    evutil_closesocket(fd);
    return -1; /* too many wait to be accepted */
}

static int connect_tcp(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || (connect(fd, (struct sockaddr *)&a, sizeof a) && errno != EINPROGRESS && errno != EAGAIN && errno != EADDRNOTAVAIL))
        err(1, "connect");
    return fd;
}

static void say(struct client *c, struct evbuffer *out)
{
    const struct move *m = &moves[c->move];
    if (m->hello == HELLO)
        put_hello(out);
    if (m->frame)
        put_format(out, m->frame);
    if (m->build)
        m->build(out, c->crowd->o);
    if (m->end == GOES_ON || m->end == DRIPS)
        put_ping(out);
}

static void go_on(struct client *c)
{
    struct crowd *w = c->crowd;
    const struct move *m = &moves[c->move];
    c->hesitates = false;
    c->begun = now_ns();
    w->held += may_hold(m, w->o);
    if (w->held > w->most_held)
        w->most_held = w->held;
    if (m->end == DRIPS) {
        c->drip = evbuffer_new();
        say(c, c->drip);
        pause_for(c, (unsigned)w->o->drip_ms);
        return;
    }
    pause_for(c, m->end == STAYS || m->end == DEAF || m->end == WAITS ? STAY_MS + (unsigned)random() % STAY_MS : PATIENCE_S * 1000);
    say(c, bufferevent_get_output(c->bev));
    if (m->end == LEAVES && evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
        finished(c, true, "nothing to send");
}

static void begin_move(struct client *c)
{
    struct crowd *w = c->crowd;
    const struct move *m = &moves[c->move];
    int fd = m->hello == OVER_TCP ? connect_tcp(w->o->tcp_port) : connect_unix(w->o->unix_path);
    if (fd < 0) {
        pause_for(c, 50);
        return;
    }
    c->bev = bufferevent_socket_new(w->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!c->bev)
        errx(1, "bufferevent_socket_new");
    c->expected = !m->expect;
    c->ponged = c->heard = false;
    c->hesitates = true;
    bufferevent_set_max_single_write(c->bev, AT_ONCE); /* so that what is large does not wait for many turns of all the others */
    bufferevent_set_max_single_read(c->bev, AT_ONCE);
    bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
    bufferevent_enable(c->bev, m->end == DEAF ? EV_WRITE : EV_READ | EV_WRITE);
    if (m->end == DEAF)
        bufferevent_disable(c->bev, EV_READ);
    if (++w->busy > w->most)
        w->most = w->busy;
    if (m->hello == OVER_TCP) /* who would not be waited for */
        go_on(c);
    else
        pause_for(c, (unsigned)((size_t)random() % w->o->hesitate_ms));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct client *c = arg;
    (void)fd;
    (void)what;
    if (!c->bev) {
        begin_move(c);
    } else if (c->hesitates) {
        go_on(c);
    } else if (c->drip && evbuffer_get_length(c->drip)) {
        char byte;
        evbuffer_remove(c->drip, &byte, 1);
        bufferevent_write(c->bev, &byte, 1);
        pause_for(c, evbuffer_get_length(c->drip) ? (unsigned)c->crowd->o->drip_ms : PATIENCE_S * 1000);
    } else {
        enum move_end end = moves[c->move].end;
        finished(c, end == STAYS || end == DEAF || (end == WAITS && (c->expected || !c->heard)), "nothing more has come");
    }
}

/* Somebody has come to the end of each move. */
static bool all_are_made(const struct crowd *w)
{
    size_t i = 0;
    while (i < moves_count && w->made[i])
        i++;
    return i == moves_count;
}

/* Every second: is the time over? */
static void on_second(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval second = {.tv_sec = 1};
    struct crowd *w = arg;
    (void)fd;
    (void)what;
    uint64_t passed = (now_ns() - w->begun) / 1000000000; /* a turn of the crowd may take longer than a second */
    if (passed < w->o->seconds || (passed < w->o->seconds * LONGER && (w->abandoned < w->o->ports || !all_are_made(w)))) {
        event_add(w->end, &second);
        return;
    }
    event_base_loopbreak(w->base);
}

static void print(const struct crowd *w)
{
    size_t all = 0;
    for (size_t i = 0; i < moves_count; i++) {
        printf("move %-62s %8zu%s\n", moves[i].rule, w->made[i], w->wrong[i] ? " WRONG" : "");
        if (w->wrong[i])
            printf("wrong_answers %zu\n", w->wrong[i]);
        all += w->made[i];
    }
    printf("moves %zu\nat_once %zu\nheld %zu\nabandoned %zu\n", all, w->most, w->most_held, w->abandoned);
}

size_t crowd_run(const struct crowd_options *o)
{
    static const struct timeval second = {.tv_sec = 1};
    struct crowd w = {.o = o, .base = event_base_new(), .begun = now_ns()};
    w.clients = calloc(o->clients, sizeof *w.clients);
    w.made = calloc(moves_count, sizeof *w.made);
    w.wrong = calloc(moves_count, sizeof *w.wrong);
    if (!w.base || !w.clients || !w.made || !w.wrong)
        err(1, "calloc");
    for (size_t i = 0; i < o->clients; i++) {
        w.clients[i] = (struct client){.crowd = &w, .move = i % moves_count};
        w.clients[i].timer = event_new(w.base, -1, 0, on_timer, &w.clients[i]);
        pause_for(&w.clients[i], (unsigned)random() % 2000);
    }
    w.end = event_new(w.base, -1, 0, on_second, &w);
    event_add(w.end, &second);
    event_base_dispatch(w.base);
    print(&w);
    for (size_t i = 0; i < o->clients; i++)
        leave(&w.clients[i]);
    event_free(w.end);
    event_base_free(w.base);
    free(w.clients);
    free(w.made);
    free(w.wrong);
    return w.wrongs;
}
