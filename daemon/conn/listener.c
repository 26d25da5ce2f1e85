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
    bool fresh;          /* opened by the ph_listeners_set that runs */
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

static int listen_passed(struct ph_access *a, const struct sockaddr_un *addr)
{
    int fd = ph_activated_take((const struct sockaddr *)addr);
    if (fd >= 0 && add_listener(a, fd) == 0)
        return 0;
    ph_log(PH_LOG_ERROR, NULL, "unix socket %s: %s", a->unix_path, fd < 0 ? "it has a listener already" : strerror(errno));
    return -1;
}

static int listen_own(struct ph_access *a, const struct sockaddr_un *addr)
{
    struct ph_socket_file file;
    int lock = ph_socket_lock(addr->sun_path);
    int fd = ph_socket_bind(addr, &file);
    int result = fd < 0 ? -1 : listen_at_file(a, fd, &file);
    if (lock >= 0)
        close(lock);
    return result ? -1 : ph_socket_set_rights(a);
}

static int listen_unix(struct ph_access *a)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const char *path = a->unix_path;
    if (strlen(path) >= sizeof addr.sun_path || !path[0]) {
        ph_log(PH_LOG_ERROR, NULL, "unix socket %s: the path must have 1 to %zu bytes", path, sizeof addr.sun_path - 1);
        return -1;
    }
    strcpy(addr.sun_path, path);
    if (ph_activated_unix(path) ? listen_passed(a, &addr) : listen_own(a, &addr))
        return -1;
    ph_log(PH_LOG_NOTICE, NULL, "listening on unix socket %s", path);
    return 0;
}

/* --- TCP --- */

/* The socket that was passed, or one of its own; -1: errno. */
static int bind_tcp(const struct sockaddr *addr, socklen_t len)
{
    static const int on = 1;
    int fd = ph_activated_take(addr);
    if (fd >= 0)
        return fd;
    fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) && !setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) && !bind(fd, addr, len))
        return fd;
    int err = errno;
    if (fd >= 0)
        close(fd);
    errno = err;
    return -1;
}

/* Says the port that was really bound: the address may have asked for any. */
static void log_tcp(const char *host_port)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    const char *asked;
    char port[NI_MAXSERV] = "?", *host = ph_address_host(host_port, &asked);
    if (getsockname(evconnlistener_get_fd(SLIST_FIRST(&listeners)->evl), (struct sockaddr *)&addr, &len) == 0)
        getnameinfo((struct sockaddr *)&addr, len, NULL, 0, port, sizeof port, NI_NUMERICSERV);
    ph_log(PH_LOG_NOTICE, NULL, "listening on tcp %s:%s", host, port);
    ph_free(host);
}

static int listen_tcp(struct ph_access *access)
{
    const char *host_port = access->tcp, *why;
    struct addrinfo *found = ph_address_find(host_port, &why), *a;
    if (!found) {
        ph_log(PH_LOG_ERROR, NULL, "tcp %s: %s", host_port, why);
        return -1;
    }
    int listening = 0, fd;
    for (a = found; a; a = a->ai_next) {
        if (!access->cookie && !ph_address_is_loopback(a->ai_addr))
            ph_log(PH_LOG_ERROR, NULL, "tcp %s: not a loopback address, and no cookie_file is configured", host_port);
        else if ((fd = bind_tcp(a->ai_addr, a->ai_addrlen)) < 0 || add_listener(access, fd))
            ph_log(PH_LOG_ERROR, NULL, "tcp %s: %s", host_port, strerror(errno));
        else if (++listening)
            log_tcp(host_port);
    }
    freeaddrinfo(found);
    if (listening && !access->cookie)
        ph_log(PH_LOG_WARNING, NULL, "tcp %s: without a cookie_file every user of this machine can connect", host_port);
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

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool same_place(const struct ph_access *a, const struct ph_access *b)
{
    return same(a->unix_path, b->unix_path) || same(a->tcp, b->tcp);
}

static bool is_open(const struct ph_access *a)
{
    const struct listener *l;
    SLIST_FOREACH(l, &listeners, link)
        if (!l->fresh && same_place(l->access, a) && !has_lost_file(l))
            return true;
    return false;
}

/* What is open already, by the rules of the new configuration. */
static int keep_open(const struct ph_access *a)
{
    const struct listener *l;
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    if (a->unix_path)
        return set_rights(a);
    SLIST_FOREACH(l, &listeners, link)
        if (!a->cookie && same_place(l->access, a) && (getsockname(evconnlistener_get_fd(l->evl), (struct sockaddr *)&addr, &len) ||
                                                       !ph_address_is_loopback((struct sockaddr *)&addr))) {
            ph_log(PH_LOG_ERROR, NULL, "tcp %s: not a loopback address, and no cookie_file is configured", a->tcp);
            return -1;
        }
    return 0;
}

static int open_one(struct ph_access *a)
{
    if (is_open(a))
        return keep_open(a);
    return a->unix_path ? listen_unix(a) : listen_tcp(a);
}

/* What it was before a ph_listeners_set that failed. */
static void take_back(void)
{
    struct listener *l, *next;
    for (l = SLIST_FIRST(&listeners); l; l = next) {
        next = SLIST_NEXT(l, link);
        if (l->fresh)
            close_listener(l);
        else if (has_file(l))
            ph_socket_set_rights(l->access);
    }
}

/* The listener gets its place's new rules, or ends if the place is not wanted any more. */
static void settle(struct listener *l, struct ph_access **list, size_t n)
{
    bool lost = has_lost_file(l); /* then another listens there now, if it is wanted */
    for (size_t i = 0; i < n && !lost; i++)
        if (same_place(l->access, list[i])) {
            ph_access_ref(list[i]);
            ph_access_unref(l->access);
            l->access = list[i];
            l->fresh = false;
            return;
        }
    if (!lost)
        ph_log(PH_LOG_NOTICE, NULL, "no longer listening on %s", place(l));
    close_listener(l);
}

int ph_listeners_set(struct ph_access **list, size_t n)
{
    struct listener *l, *next;
    for (size_t i = 0; i < n; i++)
        if (open_one(list[i])) {
            take_back();
            return -1;
        }
    for (l = SLIST_FIRST(&listeners); l; l = next) {
        next = SLIST_NEXT(l, link);
        settle(l, list, n);
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
