/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/thread.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"
#include "driver/ddll.h"
#include "port/port.h"
#include "port/select.h"

#define PATIENCE_MS 20000

static sem_t started;

/* --- the daemon --- */

static void add_driver_path(struct ph_config *c)
{
    char dir[4096];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 64);
    FUZZ_ASSERT(n > 0);
    dir[n] = '\0';
    char *end = strrchr(dir, '/');
    strcpy(end, "/../drivers");
    ph_strings_add(&c->driver_path, dir, strlen(dir));
    strcpy(end, "/../../drivers");
    ph_strings_add(&c->driver_path, dir, strlen(dir));
}

static void *run_daemon(void *arg)
{
    static struct ph_config c;
    (void)arg;
    ph_config_defaults(&c);
    add_driver_path(&c);
    c.reactors = 2;
    c.workers = 1;
    c.async_threads = 1;
    c.busy_poll_us = 0;
    c.log_level = PH_LOG_ERROR;
    c.limits[PH_LIMIT_FRAME_BYTES] = 1u << 20;
    FUZZ_ASSERT(ph_config_start_threads(&c) == 0);
    ph_ports_init();
    ph_monitors_init();
    ph_ddll_init();
    ph_ddll_on_kill_ports(ph_kill_ports_of);
    ph_peer_on_input_again(ph_select_input_again);
    ph_config_apply(&c);
    sem_post(&started);
    ph_reactor_main();
    return NULL;
}

void fuzz_host_start(void)
{
    static bool running;
    pthread_t thread;
    if (running)
        return;
    running = true;
    signal(SIGPIPE, SIG_IGN);
    FUZZ_ASSERT(sem_init(&started, 0, 0) == 0 && evthread_use_pthreads() == 0);
    FUZZ_ASSERT(pthread_create(&thread, NULL, run_daemon, NULL) == 0);
    while (sem_wait(&started))
        ;
}

/* --- clients --- */

void fuzz_connect(struct fuzz_client *c, struct ph_access *rights, struct ph_newcomer *newcomer)
{
    int fds[2];
    FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    c->fd = fds[0];
    c->len = 0;
    ph_conn_start(rights, newcomer, fds[1], fds[1]);
}

/* False: nothing of it has come to be by then. libFuzzer's alarm is no reason to stop. */
static bool await(const struct fuzz_client *c, short events, int ms)
{
    struct pollfd pfd = {.fd = c->fd, .events = events};
    int n;
    while ((n = poll(&pfd, 1, ms)) < 0 && errno == EINTR)
        ;
    return n == 1;
}

bool fuzz_hear(struct fuzz_client *c)
{
    for (;;) {
        if (c->cap - c->len < 4096) {
            c->cap = c->cap * 2 + 65536;
            c->heard = realloc(c->heard, c->cap);
            FUZZ_ASSERT(c->heard);
        }
        ssize_t n = read(c->fd, c->heard + c->len, c->cap - c->len);
        if (n <= 0)
            return n < 0 && errno != ECONNRESET;
        c->len += (size_t)n;
    }
}

void fuzz_send(struct fuzz_client *c, const uint8_t *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(c->fd, p, len);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return; /* the daemon has ended the connection */
        p += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
        if (n < 0 && (!fuzz_hear(c) || !await(c, POLLIN | POLLOUT, PATIENCE_MS)))
            return;
    }
}

void fuzz_send_frame(struct fuzz_client *c, const uint8_t *p, size_t len)
{
    uint8_t head[5];
    uint32_t be = htonl((uint32_t)len + 1);
    memcpy(head, &be, 4);
    head[4] = 131;
    fuzz_send(c, head, sizeof head);
    fuzz_send(c, p, len);
}

bool fuzz_next_frame(const struct fuzz_client *c, size_t *at, struct ph_cur *term)
{
    uint32_t be;
    if (c->len - *at < 4)
        return false;
    memcpy(&be, c->heard + *at, 4);
    size_t len = ntohl(be);
    if (len > c->len - *at - 4)
        return false; /* more is to come, or it is cut by the end of an ending connection */
    struct ph_cur all = {c->heard + *at + 4, c->heard + *at + 4 + len};
    FUZZ_ASSERT(ph_etf_version(&all) == 0);
    *term = all;
    FUZZ_ASSERT(ph_etf_skip(&all, 1u << 20) == 0 && all.p == all.end);
    *at += 4 + len;
    return true;
}

bool fuzz_hear_within(struct fuzz_client *c, int ms)
{
    return !await(c, POLLIN, ms) || fuzz_hear(c);
}

void fuzz_end(struct fuzz_client *c)
{
    shutdown(c->fd, SHUT_WR);
    do
        FUZZ_ASSERT(await(c, POLLIN, PATIENCE_MS)); /* else the connection does not end */
    while (fuzz_hear(c));
    struct ph_cur term;
    for (size_t at = 0; fuzz_next_frame(c, &at, &term);)
        ;
    close(c->fd);
}

void fuzz_await_nothing_left(void)
{
    for (int ms = 0; ph_conns_count() || ph_ports_count(); ms++) {
        FUZZ_ASSERT(ms < PATIENCE_MS);
        usleep(1000);
    }
}
