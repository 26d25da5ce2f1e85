/* SPDX-License-Identifier: Apache-2.0 */
/* What one would write without porthost, at its barest: echoes {packet,4} frames with read and write, and does nothing else.
 *
 *   bare_echo              a port program, over stdin and stdout
 *   bare_echo polling      the same, but it looks for the next frame for a while before it waits
 *   bare_echo waiting      the same, but it waits in epoll for each frame, as a server of many connections must
 *   bare_echo twice        the same, but each frame comes back twice
 *   bare_echo large        the same, over pipes that it has enlarged to 1 MiB, as porthostd does
 *   bare_echo unix PATH    the same for each client of a unix socket: the floor for whatever goes over a socket
 *   bare_echo tcp PORT     the same on loopback
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FRAME = 1 << 25, LOOK_NS = 200000, PIPE_SIZE = 1 << 20 };
enum manner { PLAINLY, POLLING, WAITING, TWICE, LARGE };

static int read_all(int fd, char *p, size_t n)
{
    for (ssize_t got; n; p += got, n -= (size_t)got)
        if ((got = read(fd, p, n)) <= 0)
            return -1;
    return 0;
}

static int write_all(int fd, const char *p, size_t n)
{
    for (ssize_t put; n; p += put, n -= (size_t)put)
        if ((put = write(fd, p, n)) <= 0)
            return -1;
    return 0;
}

static long now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static void look_for_input(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (long begin = now_ns(); poll(&p, 1, 0) == 0 && now_ns() - begin < LOOK_NS;)
        continue;
}

static int make_epoll(int fd)
{
    struct epoll_event e = {.events = EPOLLIN};
    int epoll = epoll_create1(0);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
        err(1, "epoll");
    return epoll;
}

static void wait_for_input(int epoll)
{
    struct epoll_event e;
    if (epoll_wait(epoll, &e, 1, -1) < 0)
        err(1, "epoll_wait");
}

/* A figure for pipes that are smaller than its name says would mislead. */
static void enlarge(int fd)
{
    if (fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE) < 0)
        err(1, "the size of a pipe");
}

static void echo(int in, int out, enum manner manner)
{
    int epoll = manner == WAITING ? make_epoll(in) : -1;
    char *buf = malloc(4 + MAX_FRAME);
    uint32_t len;
    if (!buf)
        err(1, "malloc");
    for (;;) {
        if (manner == POLLING)
            look_for_input(in);
        if (manner == WAITING)
            wait_for_input(epoll);
        if (read_all(in, buf, 4))
            break;
        memcpy(&len, buf, 4);
        len = ntohl(len);
        if (len > MAX_FRAME || read_all(in, buf + 4, len) || write_all(out, buf, len + 4) || (manner == TWICE && write_all(out, buf, len + 4)))
            break;
    }
    free(buf);
}

static void *client(void *arg)
{
    int fd = (int)(intptr_t)arg;
    echo(fd, fd, PLAINLY);
    close(fd);
    return NULL;
}

static void serve(int listener, int tcp)
{
    for (;;) {
        pthread_t thread;
        int one = 1, fd = accept(listener, NULL, NULL);
        if (fd < 0)
            err(1, "accept");
        if (tcp)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (pthread_create(&thread, NULL, client, (void *)(intptr_t)fd))
            errx(1, "no thread");
        pthread_detach(thread);
    }
}

static int listen_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (strlen(path) >= sizeof a.sun_path)
        errx(1, "%s: too long", path);
    memcpy(a.sun_path, path, strlen(path));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 128))
        err(1, "%s", path);
    return fd;
}

static int listen_tcp(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) || bind(fd, (struct sockaddr *)&a, sizeof a)
        || listen(fd, 128))
        err(1, "port %s", port);
    return fd;
}

static void echo_stdio(enum manner manner)
{
    if (manner == LARGE) {
        enlarge(0);
        enlarge(1);
    }
    echo(0, 1, manner);
}

static int manner_of(const char *name)
{
    static const char *const names[] = {[POLLING] = "polling", [WAITING] = "waiting", [TWICE] = "twice", [LARGE] = "large"};
    for (int m = POLLING; m <= LARGE; m++)
        if (!strcmp(name, names[m]))
            return m;
    return -1;
}

int main(int argc, char **argv)
{
    int manner = argc == 1 ? PLAINLY : argc == 2 ? manner_of(argv[1]) : -1;
    if (manner >= 0)
        echo_stdio((enum manner)manner);
    else if (argc == 3 && !strcmp(argv[1], "unix"))
        serve(listen_unix(argv[2]), 0);
    else if (argc == 3 && !strcmp(argv[1], "tcp"))
        serve(listen_tcp(argv[2]), 1);
    else
        errx(2, "usage: bare_echo [polling | waiting | twice | large | unix PATH | tcp PORT]");
    return 0;
}
