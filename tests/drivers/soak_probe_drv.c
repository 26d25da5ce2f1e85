/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: does one thing very often, for tests of memory, order and loss. Numbers are of 4 bytes, big endian; those that are missing are 0. Results are
 * binaries.
 *
 *   command        data: a number, microseconds: takes so long, then sends all of the data back
 *   control ECHO   the data comes back
 *   control DATA   data as of a command: takes so long, sends the data to the owner, and it is the result too
 *   control CALLER data: n: sends the term n to the caller
 *   control TIMER  data: n: sets and cancels the port's timer n times; result: how often it has run out
 *   control ATOM   data: first, n: makes n atoms; result: how many of them are system_limit. The last one is sent to the owner.
 *   control WATCH  data: 1: monitors the caller, and sends a number to the owner when it ends; 0: demonitors at once. Result: what that returned
 *   control SELECT data: n: so many socket pairs are selected for input. What comes there is sent to the owner: the pair's number
 *   control POKE   data: n: a byte for pair n
 *   control QUIET  all of them are closed
 *   control PRODUCE  a pair that always has input, and whose input is never read: each time a number and 64 KiB of their own are sent to the owner
 *   control BUSY   data: 1: the port is busy; 0: it is not
 */
#include <arpa/inet.h>
#include <erl_driver.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef PROBE_NAME
#define PROBE_NAME "soak_probe_drv"
#define PROBE_FLAGS 0
#endif

enum { ECHO, DATA, CALLER, TIMER, ATOM, WATCH, SELECT, POKE, QUIET, PRODUCE, BUSY };
enum { CHUNK = 64 << 10 };

/* Owned by the port, under its lock. */
struct self {
    ErlDrvPort port;
    uint32_t timeouts, ends, produced;
    uint32_t npairs;
    int (*pairs)[2]; /* [0] is selected */
    int producing;
};

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port};
    set_port_control_flags(port, PORT_CONTROL_FLAG_BINARY);
    return (ErlDrvData)s;
}

static ErlDrvEvent event(int fd)
{
    return (ErlDrvEvent)(intptr_t)fd;
}

static void quiet(struct self *s)
{
    for (uint32_t i = 0; i < s->npairs; i++) {
        driver_select(s->port, event(s->pairs[i][0]), ERL_DRV_READ | ERL_DRV_USE, 0);
        close(s->pairs[i][1]);
    }
    driver_free(s->pairs);
    s->pairs = NULL;
    s->npairs = 0;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    quiet(s);
    driver_free(s);
}

static void stop_select(ErlDrvEvent e, void *reserved)
{
    (void)reserved;
    close((int)(intptr_t)e);
}

static uint32_t number(const char *buf, ErlDrvSizeT len, ErlDrvSizeT at)
{
    uint32_t n = 0;
    if (at + sizeof n <= len)
        memcpy(&n, buf + at, sizeof n);
    return ntohl(n);
}

static void send_number(struct self *s, uint32_t n)
{
    uint32_t wire = htonl(n);
    driver_output(s->port, (char *)&wire, sizeof wire);
}

static void take(uint32_t us)
{
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    if (us)
        nanosleep(&t, NULL);
}

/* Passed on without a copy if it is large. */
static void outputv(ErlDrvData d, ErlIOVec *ev)
{
    struct self *s = (struct self *)d;
    char head[8] = {0};
    driver_vec_to_buf(ev, head, sizeof head);
    take(number(head, sizeof head, 4));
    driver_outputv(s->port, NULL, 0, ev, 0);
}

static void send_chunk(struct self *s)
{
    uint32_t wire = htonl(s->produced++);
    ErlDrvBinary *chunk = driver_alloc_binary(CHUNK);
    memset(chunk->orig_bytes, 'x', CHUNK);
    driver_output_binary(s->port, (char *)&wire, sizeof wire, chunk, 0, CHUNK);
    driver_free_binary(chunk);
}

static void ready_input(ErlDrvData d, ErlDrvEvent e)
{
    struct self *s = (struct self *)d;
    char c;
    if (s->producing) {
        send_chunk(s);
        return;
    }
    for (uint32_t i = 0; i < s->npairs; i++)
        if (event(s->pairs[i][0]) == e && read(s->pairs[i][0], &c, 1) == 1)
            send_number(s, i);
}

static void timeout(ErlDrvData d)
{
    ((struct self *)d)->timeouts++;
}

static void process_exit(ErlDrvData d, ErlDrvMonitor *m)
{
    struct self *s = (struct self *)d;
    (void)m;
    send_number(s, s->ends++);
}

static uint32_t timers(struct self *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        driver_set_timer(s->port, 60000 + i % 1000);
        driver_cancel_timer(s->port);
    }
    return s->timeouts;
}

static void send_term(struct self *s, ErlDrvTermData to, ErlDrvTermData kind, ErlDrvTermData value)
{
    ErlDrvTermData spec[] = {kind, value};
    erl_drv_send_term(driver_mk_port(s->port), to, spec, 2);
}

static uint32_t atoms(struct self *s, uint32_t first, uint32_t n)
{
    ErlDrvTermData limit = driver_mk_atom("system_limit"), last = limit;
    uint32_t refused = 0;
    for (uint32_t i = first; i < first + n; i++) {
        char text[32];
        snprintf(text, sizeof text, "soak_%u", i);
        last = driver_mk_atom(text);
        refused += last == limit;
    }
    send_term(s, driver_connected(s->port), ERL_DRV_ATOM, last);
    return refused;
}

static uint32_t watch(struct self *s, uint32_t keep)
{
    ErlDrvMonitor m;
    int result = driver_monitor_process(s->port, driver_caller(s->port), &m);
    if (result == 0 && !keep)
        result = driver_demonitor_process(s->port, &m);
    return (uint32_t)result;
}

/* How many of n there are. */
static uint32_t select_pairs(struct self *s, uint32_t n)
{
    quiet(s);
    s->pairs = driver_alloc(n * sizeof *s->pairs);
    for (; s->npairs < n; s->npairs++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s->pairs[s->npairs]))
            break;
        driver_select(s->port, event(s->pairs[s->npairs][0]), ERL_DRV_READ | ERL_DRV_USE, 1);
    }
    return s->npairs;
}

static uint32_t poke(struct self *s, uint32_t i)
{
    return i < s->npairs && write(s->pairs[i][1], "x", 1) == 1;
}

static uint32_t produce(struct self *s)
{
    s->producing = 1;
    return select_pairs(s, 1) && poke(s, 0);
}

static ErlDrvSSizeT give(const char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    if (len <= rlen) {
        memcpy(*rbuf, buf, len);
        return (ErlDrvSSizeT)len;
    }
    ErlDrvBinary *bin = driver_alloc_binary(len);
    memcpy(bin->orig_bytes, buf, len);
    *rbuf = (char *)bin;
    return (ErlDrvSSizeT)len;
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    struct self *s = (struct self *)d;
    uint32_t n = number(buf, len, 0), m = number(buf, len, 4), result = 0;
    switch (op) {
    case DATA:
        take(m);
        driver_output(s->port, buf, len);
        /* fall through */
    case ECHO: return give(buf, len, rbuf, rlen);
    case CALLER: send_term(s, driver_caller(s->port), ERL_DRV_UINT, n); break;
    case TIMER: result = timers(s, n); break;
    case ATOM: result = atoms(s, n, m); break;
    case WATCH: result = watch(s, n); break;
    case SELECT: result = select_pairs(s, n); break;
    case POKE: result = poke(s, n); break;
    case QUIET: quiet(s); break;
    case PRODUCE: result = produce(s); break;
    case BUSY: set_busy_port(s->port, (int)n); break;
    default: return -1;
    }
    result = htonl(result);
    return give((char *)&result, sizeof result, rbuf, rlen);
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .outputv = outputv,
    .ready_input = ready_input,
    .timeout = timeout,
    .process_exit = process_exit,
    .control = control,
    .driver_name = PROBE_NAME,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = PROBE_FLAGS,
    .stop_select = stop_select,
};

DRIVER_INIT(soak_probe_drv)
{
    return &entry;
}
