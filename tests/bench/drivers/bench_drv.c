/* SPDX-License-Identifier: Apache-2.0 */
/* bench_drv: the work that is measured. The same object runs in the VM and in porthostd; it owns one struct per port.
 *
 *   control ECHO    the data comes back, as a binary
 *   control MODE    data: what commands do from now on (1 byte), an argument (4 bytes, big endian), a path if the mode is FILE
 *   control BURST   data: n, size (4 bytes each): n messages of that size to the owner, all of one binary
 *   control TERMS   data: n, shape (4 bytes each): n terms of that shape to the owner
 *   control TIMERS  data: n: sets and cancels the port's timer n times
 *   command         by mode: ECHO sends it back, SINK drops it, FILE writes it, WORK computes for `argument` steps, SPIN computes for
 *                   `argument` microseconds, BLOCK sleeps so long; the last three then answer with one byte
 *
 * Numbers that are missing count as 0.
 */
#include <arpa/inet.h>
#include <erl_driver.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../work.h"

#ifndef DRIVER_FLAGS
#define DRIVER_FLAGS ERL_DRV_FLAG_USE_PORT_LOCKING
#define DRIVER_NAME "bench_drv"
#define DRIVER_INIT_NAME bench_drv
#endif

enum { OP_ECHO, OP_MODE, OP_BURST, OP_TERMS, OP_TIMERS };
enum { MODE_ECHO, MODE_SINK, MODE_FILE, MODE_WORK, MODE_SPIN, MODE_BLOCK };
enum { SHAPE_TUPLE, SHAPE_LIST, SHAPE_MAP, SHAPE_BINARY };
enum { LIST_LENGTH = 100, MAP_PAIRS = 10, TERM_BINARY = 65536 };

/* Owned by the port, under its lock. */
struct bench {
    ErlDrvPort port;
    int mode;
    int fd; /* of mode FILE, else -1 */
    uint32_t argument;
    uint32_t result; /* of WORK: kept, so that the work cannot be left out */
};

static ErlDrvData bench_start(ErlDrvPort port, char *command)
{
    struct bench *b = driver_alloc(sizeof *b);
    (void)command;
    if (!b)
        return ERL_DRV_ERROR_GENERAL;
    *b = (struct bench){.port = port, .fd = -1};
    set_port_control_flags(port, PORT_CONTROL_FLAG_BINARY);
    return (ErlDrvData)b;
}

static void bench_stop(ErlDrvData d)
{
    struct bench *b = (struct bench *)d;
    if (b->fd >= 0)
        close(b->fd);
    driver_free(b);
}

static uint32_t number(const char *buf, ErlDrvSizeT len, ErlDrvSizeT at)
{
    uint32_t n = 0;
    if (at + sizeof n <= len)
        memcpy(&n, buf + at, sizeof n);
    return ntohl(n);
}

static void answer(struct bench *b)
{
    char dot = '.';
    driver_output(b->port, &dot, 1);
}

static void work(struct bench *b)
{
    b->result = bench_work(b->result + 1, b->argument);
    answer(b);
}

static void spin(struct bench *b)
{
    ErlDrvTime end = erl_drv_monotonic_time(ERL_DRV_USEC) + (ErlDrvTime)b->argument;
    while (erl_drv_monotonic_time(ERL_DRV_USEC) < end)
        ;
    answer(b);
}

static void block(struct bench *b)
{
    struct timespec ts = {.tv_sec = (time_t)(b->argument / 1000000), .tv_nsec = (long)(b->argument % 1000000) * 1000};
    nanosleep(&ts, NULL);
    answer(b);
}

/* Always at the same place: the file is in memory, and stays small. */
static void write_file(struct bench *b, const ErlIOVec *ev)
{
    /* SysIOVec is what the system calls it, under another name */
    if (pwritev(b->fd, (const struct iovec *)(const void *)ev->iov, ev->vsize, 0) != (ssize_t)ev->size)
        driver_failure_posix(b->port, EIO);
}

static void bench_outputv(ErlDrvData d, ErlIOVec *ev)
{
    struct bench *b = (struct bench *)d;
    switch (b->mode) {
    case MODE_ECHO:
        driver_outputv(b->port, NULL, 0, ev, 0);
        return;
    case MODE_FILE:
        write_file(b, ev);
        return;
    case MODE_WORK:
        work(b);
        return;
    case MODE_SPIN:
        spin(b);
        return;
    case MODE_BLOCK:
        block(b);
        return;
    default:
        return;
    }
}

static void set_mode(struct bench *b, const char *buf, ErlDrvSizeT len)
{
    char path[256];
    b->mode = len ? buf[0] : MODE_ECHO;
    b->argument = number(buf, len, 1);
    if (b->mode != MODE_FILE || len < 6 || b->fd >= 0)
        return;
    snprintf(path, sizeof path, "%.*s", (int)(len - 5), buf + 5);
    b->fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
}

static void burst(struct bench *b, uint32_t n, uint32_t size)
{
    ErlDrvBinary *bin = driver_alloc_binary(size);
    memset(bin->orig_bytes, 'x', size);
    for (uint32_t i = 0; i < n; i++)
        driver_output_binary(b->port, NULL, 0, bin, 0, size);
    driver_free_binary(bin);
}

static int tuple_spec(ErlDrvTermData *t)
{
    int n = 0;
    t[n++] = ERL_DRV_ATOM, t[n++] = driver_mk_atom("ok");
    t[n++] = ERL_DRV_INT, t[n++] = 42;
    t[n++] = ERL_DRV_TUPLE, t[n++] = 2;
    return n;
}

static int list_spec(ErlDrvTermData *t)
{
    int n = 0;
    for (int i = 0; i < LIST_LENGTH; i++)
        t[n++] = ERL_DRV_INT, t[n++] = (ErlDrvTermData)(i * 1000);
    t[n++] = ERL_DRV_NIL;
    t[n++] = ERL_DRV_LIST, t[n++] = LIST_LENGTH + 1;
    return n;
}

static int map_spec(ErlDrvTermData *t)
{
    int n = 0;
    for (int i = 0; i < MAP_PAIRS; i++) {
        t[n++] = ERL_DRV_INT, t[n++] = (ErlDrvTermData)i;
        t[n++] = ERL_DRV_BUF2BINARY, t[n++] = (ErlDrvTermData) "a value of 20 bytes.", t[n++] = 20;
    }
    t[n++] = ERL_DRV_MAP, t[n++] = MAP_PAIRS;
    return n;
}

static int binary_spec(ErlDrvTermData *t, ErlDrvBinary *bin)
{
    int n = 0;
    t[n++] = ERL_DRV_ATOM, t[n++] = driver_mk_atom("ok");
    t[n++] = ERL_DRV_BINARY, t[n++] = (ErlDrvTermData)bin, t[n++] = TERM_BINARY, t[n++] = 0;
    t[n++] = ERL_DRV_TUPLE, t[n++] = 2;
    return n;
}

static void terms(struct bench *b, uint32_t count, uint32_t shape)
{
    ErlDrvTermData spec[2 * LIST_LENGTH + 8], port = driver_mk_port(b->port);
    ErlDrvBinary *bin = shape == SHAPE_BINARY ? driver_alloc_binary(TERM_BINARY) : NULL;
    int n = shape == SHAPE_TUPLE ? tuple_spec(spec)
            : shape == SHAPE_LIST ? list_spec(spec)
            : shape == SHAPE_MAP ? map_spec(spec)
                                  : binary_spec(spec, bin);
    if (bin)
        memset(bin->orig_bytes, 'x', TERM_BINARY);
    for (uint32_t i = 0; i < count; i++)
        erl_drv_output_term(port, spec, n);
    if (bin)
        driver_free_binary(bin);
}

static void timers(struct bench *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        driver_set_timer(b->port, 1000 + i % 1000);
        driver_cancel_timer(b->port);
    }
}

static void bench_timeout(ErlDrvData d)
{
    (void)d;
}

static ErlDrvSSizeT echo(const char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    if (len <= rlen) {
        memcpy(*rbuf, buf, len);
        return (ErlDrvSSizeT)len;
    }
    ErlDrvBinary *bin = driver_alloc_binary(len);
    if (!bin)
        return -1;
    memcpy(bin->orig_bytes, buf, len);
    *rbuf = (char *)bin;
    return (ErlDrvSSizeT)len;
}

static ErlDrvSSizeT bench_control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    struct bench *b = (struct bench *)d;
    uint32_t n = number(buf, len, 0), m = number(buf, len, 4);
    switch (op) {
    case OP_ECHO:
        return echo(buf, len, rbuf, rlen);
    case OP_MODE:
        set_mode(b, buf, len);
        return 0;
    case OP_BURST:
        burst(b, n, m);
        return 0;
    case OP_TERMS:
        terms(b, n, m);
        return 0;
    case OP_TIMERS:
        timers(b, n);
        return 0;
    default:
        return -1;
    }
}

static ErlDrvEntry entry = {
    .start = bench_start,
    .stop = bench_stop,
    .outputv = bench_outputv,
    .control = bench_control,
    .timeout = bench_timeout,
    .driver_name = DRIVER_NAME,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = DRIVER_FLAGS,
};

DRIVER_INIT(DRIVER_INIT_NAME)
{
    return &entry;
}
