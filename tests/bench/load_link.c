/* SPDX-License-Identifier: Apache-2.0 */
/* Links: how bytes get to a contender and back. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

enum { FIRST_BUF = 1 << 18, MAX_WORDS = 32 };

/* A reader polls that long before it sleeps, as a scheduler of the VM does: the figures are of the other side's time to answer,
 * not of this side's time to wake up. */
#define SPIN_NS 50000

static void set_nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int connect_to(int family, const struct sockaddr *a, socklen_t len)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, a, len))
        err(1, "connect");
    return fd;
}

static int connect_unix(const char *path, pid_t *pid)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (strlen(path) >= sizeof a.sun_path)
        errx(1, "%s: too long", path);
    memcpy(a.sun_path, path, strlen(path));
    int fd = connect_to(AF_UNIX, (struct sockaddr *)&a, sizeof a);
    if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
        *pid = cred.pid;
    return fd;
}

static int connect_tcp(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = connect_to(AF_INET, (struct sockaddr *)&a, sizeof a);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void run(const char *command, int in, int out)
{
    char *words[MAX_WORDS + 1], *rest = strdup(command);
    size_t n = 0;
    for (char *w; n < MAX_WORDS && (w = strsep(&rest, " "));)
        if (*w)
            words[n++] = w;
    words[n] = NULL;
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || n == 0)
        err(1, "dup2");
    execvp(words[0], words);
    err(1, "%s", words[0]);
}

static void spawn(struct link *l, const char *command)
{
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC) || (l->pid = fork()) < 0)
        err(1, "%s", command);
    if (l->pid == 0)
        run(command, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    l->out = to[1];
    l->in = from[0];
}

void link_open(struct link *l, const struct target *t)
{
    signal(SIGPIPE, SIG_IGN);
    *l = (struct link){.in = -1, .out = -1, .pid = -1, .cap = FIRST_BUF, .buf = malloc(FIRST_BUF)};
    if (t->command)
        spawn(l, t->command);
    else if (t->unix_path)
        l->in = l->out = connect_unix(t->unix_path, &l->pid);
    else
        l->in = l->out = connect_tcp(t->tcp_port);
    set_nonblocking(l->in);
    set_nonblocking(l->out);
}

void link_close(struct link *l)
{
    close(l->in);
    if (l->out != l->in) {
        close(l->out);
        waitpid(l->pid, NULL, 0);
    }
    free(l->buf);
}

/* Room for a frame of which `need` bytes are wanted from start on. */
static void make_room(struct link *l, size_t need)
{
    if (l->start == l->end)
        l->start = l->end = 0;
    if (l->start + need <= l->cap && l->end < l->cap)
        return;
    memmove(l->buf, l->buf + l->start, l->end - l->start);
    l->end -= l->start;
    l->start = 0;
    if (need <= l->cap && l->end < l->cap)
        return;
    /* more than a frame, so that reading never goes on in small pieces */
    l->cap = need > l->cap * 2 ? need : l->cap * 2;
    l->buf = realloc(l->buf, l->cap);
    if (!l->buf)
        err(1, "realloc");
}

/* Reads what is there; false: nothing is. */
static bool fill(struct link *l, size_t need)
{
    make_room(l, need);
    ssize_t n = read(l->in, l->buf + l->end, l->cap - l->end);
    if (n == 0)
        errx(1, "the other end has closed");
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        err(1, "read");
    if (n > 0)
        l->end += (size_t)n;
    return n > 0;
}

static void wait_for(struct link *l, size_t need)
{
    struct pollfd p = {.fd = l->in, .events = POLLIN};
    for (uint64_t end = now_ns() + (l->rests ? 0 : SPIN_NS); now_ns() < end;)
        if (fill(l, need))
            return;
    while (!fill(l, need))
        poll(&p, 1, -1);
}

/* The other end may itself wait until it is read from. */
void link_write(struct link *l, const void *data, size_t len)
{
    const uint8_t *p = data;
    while (len) {
        ssize_t n = write(l->out, p, len);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            err(1, "write");
        if (n > 0) {
            p += n;
            len -= (size_t)n;
            continue;
        }
        struct pollfd fds[2] = {{.fd = l->in, .events = POLLIN}, {.fd = l->out, .events = POLLOUT}};
        poll(fds, 2, -1);
        if (fds[0].revents)
            fill(l, l->end - l->start + 1);
    }
}

/* 4 + the length of the frame at start, or 4 if that is not known yet. */
static size_t frame_need(const struct link *l)
{
    uint32_t len;
    if (l->end - l->start < 4)
        return 4;
    memcpy(&len, l->buf + l->start, 4);
    return 4 + (size_t)ntohl(len);
}

static bool has_frame(const struct link *l, size_t need)
{
    return l->end - l->start >= 4 && l->end - l->start >= need;
}

bool link_ready(struct link *l)
{
    size_t need = frame_need(l);
    return has_frame(l, need) || (fill(l, need) && has_frame(l, frame_need(l)));
}

const uint8_t *link_frame(struct link *l, size_t *len)
{
    size_t need;
    while (need = frame_need(l), !has_frame(l, need))
        wait_for(l, need);
    const uint8_t *p = l->buf + l->start + 4;
    *len = need - 4;
    l->start += need;
    return p;
}

/* {busy, Port, Boolean} answers nothing; this caller goes on, and the host keeps what comes. */
static bool is_answer(const uint8_t *p, size_t len)
{
    static const uint8_t busy[] = {131, 'h', 3, 'w', 4, 'b', 'u', 's', 'y'};
    return len < sizeof busy || memcmp(p, busy, sizeof busy);
}

size_t link_pass(struct link *l, size_t max)
{
    size_t n = 0, len, need;
    const uint8_t *p = link_frame(l, &len);
    for (;;) {
        n += is_answer(p, len);
        if (n == max || (need = frame_need(l), !has_frame(l, need)))
            return n;
        p = l->buf + l->start + 4;
        len = need - 4;
        l->start += need;
    }
}
