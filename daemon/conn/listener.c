/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/flood.h"
#include "base/log.h"
#include "base/mem.h"
#include "conn/activated.h"
#include "conn/conn.h"
#include "conn/socket_file.h"

#define BUFFER_SIZE (1 << 20)
#define BACKLOG 1024

struct listener {
    SLIST_ENTRY(listener) link;
    struct ph_access *access; /* reference */
    struct evconnlistener *evl;
    struct event *retry; /* accepts again after descriptors ran out */
    enum { ACCEPTS, PAUSES, TRIES } state;
    bool fresh;          /* these two: while ph_listeners_set runs, which has opened it, */
    struct ph_access *wanted; /* or has found what its place is to be; borrowed */
    struct ph_socket_file file; /* of a unix socket that the daemon has made */
};

static SLIST_HEAD(, listener) listeners = SLIST_HEAD_INITIALIZER(listeners);
static int stdio_fds[2] = {-1, -1}, stdio_flags[2];

static const char *refused(const struct listener *l, int fd)
{
    if (ph_conns_count() >= ph_limit(PH_LIMIT_CONNECTIONS)) {
        ph_limit_met(PH_LIMIT_CONNECTIONS);
        return "too many connections";
    }
    if (l->access->unix_path && !ph_access_admits(l->access, fd))
        return "the client runs as a user who is not admitted";
    return NULL;
}

static void on_accept(struct evconnlistener *evl, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
    struct listener *l = arg;
    const char *why = refused(l, fd);
    struct ph_newcomer *newcomer = !why && l->access->tcp ? ph_newcomer_new(l->access, addr, &why) : NULL;
    int on = 1;
    (void)evl;
    (void)len;
    if (why) {
        ph_log_flood(PH_FLOOD_NEWCOMERS, PH_LOG_WARNING, NULL, "a connection is refused: %s", why);
        ph_count(PH_COUNT_REFUSED, 1);
        close(fd);
        return;
    }
    if (l->access->tcp)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    else
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){BUFFER_SIZE}, sizeof(int)); /* as with pipes; that of TCP the kernel sees to itself */
    ph_conn_start(l->access, newcomer, fd, fd);
}

static const char *place(const struct listener *l)
{
    return l->access->unix_path ? l->access->unix_path : l->access->tcp;
}

/* The timer is set for a time that never comes as soon as it is made: then setting it while memory is short needs none. */
static const struct timeval never = {.tv_sec = INT32_MAX};

static const struct timeval pause_time = {.tv_usec = 200000};

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval trial = {.tv_sec = 1};
    struct listener *l = arg;
    (void)fd;
    (void)what;
    if (l->state == PAUSES && evconnlistener_enable(l->evl)) {
        event_add(l->retry, &pause_time);
    } else if (l->state == PAUSES) {
        l->state = TRIES;
        event_add(l->retry, &trial);
    } else {
        l->state = ACCEPTS;
        event_add(l->retry, &never);
        ph_log(PH_LOG_NOTICE, NULL, "%s: accepts connections again", place(l));
    }
}

/* Out of descriptors or memory: one line at the beginning, one when a trial has gone well. */
static void on_accept_error(struct evconnlistener *evl, void *arg)
{
    struct listener *l = arg;
    if (l->state == ACCEPTS)
        ph_log(PH_LOG_ERROR, NULL, "%s: cannot accept connections: %s", place(l), strerror(errno));
    l->state = PAUSES;
    evconnlistener_disable(evl);
    event_add(l->retry, &pause_time);
}

/* A listener of the socket, which is bound; takes it. It is the first of the list then. -1: errno. */
static int add_listener(struct ph_access *access, int fd)
{
    struct event_base *base = ph_reactor_base(ph_reactor_first());
    struct listener *l = ph_calloc(1, sizeof *l);
    int err = 0;
    if (!(l->evl = evconnlistener_new(base, on_accept, l, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd)))
        err = errno;
    else if (!(l->retry = event_new(base, -1, 0, on_retry, l)) || event_add(l->retry, &never))
        err = ENOMEM;
    if (err) {
        if (l->retry)
            event_free(l->retry);
        if (l->evl)
            evconnlistener_free(l->evl);
        else
            close(fd);
        ph_free(l);
        errno = err;
        return -1;
    }
    l->access = ph_access_ref(access);
    l->fresh = true;
    evconnlistener_set_error_cb(l->evl, on_accept_error);
    SLIST_INSERT_HEAD(&listeners, l, link);
    return 0;
}

/* --- unix sockets --- */

static bool made_file(const struct listener *l)
{
    return l->access->unix_path && !ph_activated_unix(l->access->unix_path);
}

/* The file at its path is the socket that the daemon made there. */
static bool has_file(const struct listener *l)
{
    return made_file(l) && ph_socket_has_file(l->access->unix_path, &l->file);
}

static bool has_lost_file(const struct listener *l)
{
    return made_file(l) && !has_file(l);
}

static int set_rights(const struct ph_access *a)
{
    return ph_activated_unix(a->unix_path) ? 0 : ph_socket_set_rights(a);
}

static int listen_at_file(struct ph_access *a, int fd, const struct ph_socket_file *file)
{
    if (add_listener(a, fd)) {
        ph_log(PH_LOG_ERROR, NULL, "unix socket %s: %s", a->unix_path, strerror(errno));
        if (ph_socket_has_file(a->unix_path, file))
            unlink(a->unix_path);
        return -1;
    }
    SLIST_FIRST(&listeners)->file = *file;
    if (ph_socket_has_file(a->unix_path, file))
        return 0;
    ph_log(PH_LOG_ERROR, NULL, "unix socket %s: another daemon has put its own in the place of the file", a->unix_path);
    return -1;
}

static int listen_passed(struct ph_access *a)
{
    int fd = ph_activated_take_unix(a->unix_path);
    if (fd >= 0 && add_listener(a, fd) == 0)
        return 0;
    ph_log(PH_LOG_ERROR, NULL, "unix socket %s: %s", a->unix_path, fd < 0 ? "it has a listener already" : strerror(errno));
    return -1;
}

static int listen_own(struct ph_access *a)
{
    struct ph_socket_file file;
    int lock = ph_socket_lock(a->unix_path);
    int fd = ph_socket_bind(a->unix_path, &file);
    int result = fd < 0 ? -1 : listen_at_file(a, fd, &file);
    if (lock >= 0)
        close(lock);
    return result ? -1 : ph_socket_set_rights(a);
}

static int listen_unix(struct ph_access *a)
{
    if (ph_activated_unix(a->unix_path) ? listen_passed(a) : listen_own(a))
        return -1;
    ph_log(PH_LOG_NOTICE, NULL, "listening on unix socket %s", a->unix_path);
    return 0;
}

/* --- TCP --- */

static int fd_of(const struct listener *l)
{
    return evconnlistener_get_fd(l->evl);
}

/* The listeners that end and are bound to the same port let another overlap with them, or do so no more. How many there are. */
static unsigned share_ending(const struct sockaddr *addr, bool on)
{
    const struct listener *l;
    unsigned n = 0;
    SLIST_FOREACH(l, &listeners, link)
        if (!l->fresh && !l->wanted && l->access->tcp && ph_address_has_port_of(addr, fd_of(l))) {
            ph_address_share(fd_of(l), on);
            n++;
        }
    return n;
}

static int add_tcp(struct ph_access *access, const struct addrinfo *at, bool shared)
{
    int fd = ph_activated_take_tcp(at->ai_addr);
    if (fd < 0)
        fd = ph_address_bind(at->ai_addr, at->ai_addrlen, shared);
    return fd < 0 ? -1 : add_listener(access, fd);
}

/* What has the address may be what this one is to take the place of: then that goes on until this one listens. -1: errno. */
static int open_tcp(struct ph_access *access, const struct addrinfo *at)
{
    int result = add_tcp(access, at, false);
    if (!result || errno != EADDRINUSE || !share_ending(at->ai_addr, true))
        return result;
    result = add_tcp(access, at, true);
    int err = errno;
    share_ending(at->ai_addr, false);
    if (!result)
        ph_address_share(fd_of(SLIST_FIRST(&listeners)), false);
    errno = err;
    return result;
}

static void say_tcp(const char *host_port)
{
    char *text = ph_address_bound(host_port, fd_of(SLIST_FIRST(&listeners)));
    ph_log(PH_LOG_NOTICE, NULL, "listening on tcp %s", text);
    ph_free(text);
}

static bool may_listen(const struct ph_access *a, const struct sockaddr *addr)
{
    if (ph_access_may_listen(a, addr))
        return true;
    ph_log(PH_LOG_ERROR, NULL, "tcp %s: " PH_NEEDS_COOKIE, a->tcp);
    return false;
}

/* One that is left open for the access, or for nobody yet if that is NULL, and listens at just that address; or NULL. */
static struct listener *open_at(const struct sockaddr *addr, const struct ph_access *access)
{
    struct sockaddr_storage own;
    struct listener *l;
    SLIST_FOREACH(l, &listeners, link)
        if (!l->fresh && l->wanted == access && l->access->tcp && ph_address_of(fd_of(l), &own) && ph_address_same(addr, (struct sockaddr *)&own))
            return l;
    return NULL;
}

static int listen_tcp(struct ph_access *access, const struct addrinfo *found)
{
    int listening = 0;
    for (const struct addrinfo *at = found; at; at = at->ai_next)
        if (open_at(at->ai_addr, access))
            listening++;
        else if (!may_listen(access, at->ai_addr))
            continue;
        else if (open_tcp(access, at))
            ph_log(PH_LOG_ERROR, NULL, "tcp %s: %s", access->tcp, strerror(errno));
        else if (++listening)
            say_tcp(access->tcp);
    if (listening && !access->cookie)
        ph_log(PH_LOG_WARNING, NULL, "tcp %s: without a cookie_file every user of this machine can connect", access->tcp);
    return listening ? 0 : -1;
}

/* --- all of them --- */

static void close_listener(struct listener *l)
{
    SLIST_REMOVE(&listeners, l, listener, link);
    if (has_file(l)) /* as long as it listens no other file can be that inode */
        unlink(l->access->unix_path);
    evconnlistener_free(l->evl);
    event_free(l->retry);
    ph_access_unref(l->access);
    ph_free(l);
}

/* What is to be listened at. */
struct wish {
    struct ph_access *access;
    bool kept;              /* what is open at this place stays */
    struct addrinfo *found; /* of another one, with TCP */
};

static bool may_stay(const struct listener *l, const struct ph_access *a)
{
    struct sockaddr_storage addr;
    if (a->unix_path)
        return true;
    if (ph_address_of(fd_of(l), &addr))
        return may_listen(a, (struct sockaddr *)&addr);
    ph_log(PH_LOG_ERROR, NULL, "tcp %s: where it listens cannot be found out: %s", a->tcp, strerror(errno));
    return false;
}

/* Finds what is open already and where the rest is. Before anything is opened: then it is known what ends. */
static int prepare(struct wish *w)
{
    struct ph_access *a = w->access;
    struct listener *l;
    const char *why;
    SLIST_FOREACH(l, &listeners, link)
        if (!l->wanted && ph_access_same_place(l->access, a) && !has_lost_file(l)) {
            if (!may_stay(l, a))
                return -1;
            l->wanted = a;
            w->kept = true;
        }
    if (w->kept || a->unix_path)
        return 0;
    if (!(w->found = ph_address_find(a->tcp, &why))) {
        ph_log(PH_LOG_ERROR, NULL, "tcp %s: %s", a->tcp, why);
        return -1;
    }
    for (const struct addrinfo *at = w->found; at; at = at->ai_next)
        if (ph_access_may_listen(a, at->ai_addr) && (l = open_at(at->ai_addr, NULL)))
            l->wanted = a;
    return 0;
}

static int fulfil(const struct wish *w)
{
    struct ph_access *a = w->access;
    if (w->kept)
        return a->unix_path ? set_rights(a) : 0;
    return a->unix_path ? listen_unix(a) : listen_tcp(a, w->found);
}

/* What it was before a ph_listeners_set that failed. */
static void take_back(void)
{
    struct listener *l, *next;
    for (l = SLIST_FIRST(&listeners); l; l = next) {
        next = SLIST_NEXT(l, link);
        l->wanted = NULL;
        if (l->fresh)
            close_listener(l);
        else if (has_file(l))
            ph_socket_set_rights(l->access);
    }
}

/* Connections that have come in the moment before it ends, perhaps while another was opened in its place. */
static void take_waiting(struct listener *l)
{
    struct sockaddr_storage addr;
    for (int i = 0; i < BACKLOG; i++) {
        socklen_t len = sizeof addr;
        int fd = accept4(fd_of(l), (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        on_accept(l->evl, fd, (struct sockaddr *)&addr, (int)len, l);
    }
}

/* The listener gets its place's new rules, or ends if the place is not wanted any more. */
static void settle(struct listener *l)
{
    struct ph_access *wanted = l->wanted;
    bool stays = wanted || l->fresh;
    l->fresh = false;
    l->wanted = NULL;
    if (wanted) {
        ph_access_ref(wanted);
        ph_access_unref(l->access);
        l->access = wanted;
    } else if (!stays) {
        take_waiting(l);
        if (!has_lost_file(l)) /* then another listens there now, if it is wanted */
            ph_log(PH_LOG_NOTICE, NULL, "no longer listening on %s", place(l));
        close_listener(l);
    }
}

static int open_wishes(struct wish *wishes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (prepare(&wishes[i]))
            return -1;
    for (size_t i = 0; i < n; i++)
        if (fulfil(&wishes[i]))
            return -1;
    return 0;
}

int ph_listeners_set(struct ph_access **list, size_t n)
{
    struct listener *l, *next;
    struct wish *wishes = ph_calloc(n, sizeof *wishes);
    for (size_t i = 0; i < n; i++)
        wishes[i].access = list[i];
    int result = open_wishes(wishes, n);
    for (size_t i = 0; i < n; i++)
        if (wishes[i].found)
            freeaddrinfo(wishes[i].found);
    ph_free(wishes);
    if (result) {
        take_back();
        return -1;
    }
    for (l = SLIST_FIRST(&listeners); l; l = next) {
        next = SLIST_NEXT(l, link);
        settle(l);
    }
    return 0;
}

void ph_listeners_close(void)
{
    while (!SLIST_EMPTY(&listeners))
        close_listener(SLIST_FIRST(&listeners));
}

/* --- stdio --- */

static int claim(int fd, int i)
{
    struct stat st;
    bool usable = fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISREG(st.st_mode) || S_ISCHR(st.st_mode));
    int own = usable ? fcntl(fd, F_DUPFD_CLOEXEC, 5) : -1;
    int flags = own < 0 ? -1 : fcntl(own, F_GETFL);
    if (flags < 0 || fcntl(own, F_SETFL, flags | O_NONBLOCK)) {
        ph_log(PH_LOG_ERROR, NULL, "descriptor %d cannot be used as a connection: %s", fd, strerror(errno));
        return -1;
    }
    fcntl(own, F_SETPIPE_SZ, BUFFER_SIZE); /* more data per turn; fails on what is no pipe, and above the system's limit */
    stdio_fds[i] = own;
    stdio_flags[i] = flags;
    return 0;
}

static void replace(int fd, int by)
{
    if (by != fd)
        dup2(by, fd);
}

int ph_claim_stdio(int in, int out)
{
    if (claim(in, 0) || claim(out, 1))
        return -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) { /* what drivers print, or read, would be in the stream */
        ph_log(PH_LOG_ERROR, NULL, "/dev/null: %s", strerror(errno));
        return -1;
    }
    replace(in, null);
    replace(out, in == 0 ? STDERR_FILENO : null);
    if (null > 2)
        close(null);
    return 0;
}

void ph_serve_stdio(void)
{
    ph_conn_start(NULL, NULL, stdio_fds[0], stdio_fds[1]);
}

void ph_restore_stdio(void)
{
    for (int i = 0; i < 2; i++)
        if (stdio_fds[i] >= 0)
            fcntl(stdio_fds[i], F_SETFL, stdio_flags[i]);
}
