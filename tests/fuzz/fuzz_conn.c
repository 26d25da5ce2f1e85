/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon behind its sockets: three connections with different rights, drivers that are loaded as always, and everything that follows from a frame. The input is a
 * sequence of steps: a byte that says which connection (bits 0, 1) and what (bits 2, 3), then, for what is sent, two bytes of length and the bytes.
 *
 *   0 a frame with this term   1 these bytes as they are   2 the client goes away, and the next comes   3 the client reads what is there
 *
 * All frames from the daemon must be well-formed; when the clients have ended their streams, connections and ports must be gone. Threads are started once. */
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
#include "conn/conn.h"
#include "driver/ddll.h"
#include "fuzz.h"
#include "port/port.h"
#include "port/select.h"

#define CLIENTS 3
#define PATIENCE_MS 20000

static struct client {
    int fd;
    uint8_t *heard; /* from the daemon, since the connection began */
    size_t len, cap;
} clients[CLIENTS];

static struct ph_access *rights[CLIENTS]; /* NULL: those of the parent */
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

static void start_daemon(void)
{
    pthread_t thread;
    signal(SIGPIPE, SIG_IGN);
    FUZZ_ASSERT(sem_init(&started, 0, 0) == 0 && evthread_use_pthreads() == 0);
    FUZZ_ASSERT(pthread_create(&thread, NULL, run_daemon, NULL) == 0);
    while (sem_wait(&started))
        ;
    for (int i = 1; i < CLIENTS; i++) {
        rights[i] = ph_access_new();
        rights[i]->all_ports = i == 1;
        rights[i]->administer = i == 1;
        ph_strings_add(&rights[i]->open, i == 1 ? "*" : "echo_drv", i == 1 ? 1 : 8);
    }
}

/* --- clients --- */

static void connect_client(struct client *c)
{
    int fds[2];
    FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    c->fd = fds[0];
    c->len = 0;
    ph_conn_start(rights[c - clients], NULL, fds[1], fds[1]);
}

/* False: nothing of it has come to be within PATIENCE_MS. libFuzzer's alarm is no reason to stop. */
static bool await(const struct client *c, short events)
{
    struct pollfd pfd = {.fd = c->fd, .events = events};
    int n;
    while ((n = poll(&pfd, 1, PATIENCE_MS)) < 0 && errno == EINTR)
        ;
    return n == 1;
}

/* What is there. False: the stream has ended. */
static bool hear(struct client *c)
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

static void send_all(struct client *c, const uint8_t *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(c->fd, p, len);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return; /* the daemon has ended the connection */
        p += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
        if (n < 0 && (!hear(c) || !await(c, POLLIN | POLLOUT)))
            return;
    }
}

static void send_frame(struct client *c, const uint8_t *p, size_t len)
{
    uint8_t head[5];
    uint32_t be = htonl((uint32_t)len + 1);
    memcpy(head, &be, 4);
    head[4] = 131;
    send_all(c, head, sizeof head);
    send_all(c, p, len);
}

static void check_heard(const struct client *c)
{
    struct ph_cur at = {c->heard, c->heard + c->len};
    while (at.end - at.p >= 4) {
        uint32_t be;
        memcpy(&be, at.p, 4);
        size_t len = ntohl(be);
        at.p += 4;
        if (len > (size_t)(at.end - at.p))
            return; /* cut by the end of an ending connection */
        struct ph_cur term = {at.p, at.p + len};
        FUZZ_ASSERT(ph_etf_version(&term) == 0 && ph_etf_skip(&term, 1u << 20) == 0 && term.p == term.end);
        at.p += len;
    }
}

static void end_client(struct client *c)
{
    shutdown(c->fd, SHUT_WR);
    do
        FUZZ_ASSERT(await(c, POLLIN)); /* else the connection does not end */
    while (hear(c));
    check_heard(c);
    close(c->fd);
}

/* --- an input --- */

static void step(const uint8_t **p, const uint8_t *end)
{
    uint8_t how = fuzz_byte(p, end);
    struct client *c = &clients[(how & 3) % CLIENTS];
    size_t len = 0;
    if (!(how & 8)) {
        len = (size_t)fuzz_byte(p, end) << 8;
        len |= fuzz_byte(p, end);
    }
    if (len > (size_t)(end - *p))
        len = (size_t)(end - *p);
    switch (how >> 2 & 3) {
    case 0: send_frame(c, *p, len); break;
    case 1: send_all(c, *p, len); break;
    case 2:
        close(c->fd);
        connect_client(c);
        break;
    default:
        usleep(500);
        hear(c);
        break;
    }
    *p += len;
}

static void await_nothing_left(void)
{
    for (int ms = 0; ph_conns_count() || ph_ports_count(); ms++) {
        FUZZ_ASSERT(ms < PATIENCE_MS);
        usleep(1000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool running;
    const uint8_t *p = data, *end = data + size;
    if (!running)
        start_daemon();
    running = true;
    for (int i = 0; i < CLIENTS; i++)
        connect_client(&clients[i]);
    for (int steps = 0; p < end && steps < 256; steps++)
        step(&p, end);
    for (int i = 0; i < CLIENTS; i++)
        end_client(&clients[i]);
    await_nothing_left();
    return 0;
}
