/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a driver that is hard on its host. control: 1 produces 64 KiB at every ready_input of a descriptor that is always readable, 2 stops that,
 * 3 takes the milliseconds in its data, 4 uses up the stack, 5 is quick, 6 tells how many outputs all ports together have had since the
 * driver was loaded, 7 comes back when the file in its data is gone. output takes as many milliseconds as the last 3 said, and echoes. */
#include <erl_driver.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef PROBE_NAME
#define PROBE_NAME "strain_probe_drv"
#define PROBE_FLAGS 0
#endif
#define CHUNK (64u << 10)

struct self {
    ErlDrvPort port;
    int pair[2];
    int ms;
    ErlDrvBinary *chunk;
    unsigned produced;
};

static unsigned outputs; /* under the driver's lock */

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port, .pair = {-1, -1}, .chunk = driver_alloc_binary(CHUNK)};
    memset(s->chunk->orig_bytes, 'x', CHUNK);
    return (ErlDrvData)s;
}

static void quiet(struct self *s)
{
    if (s->pair[0] < 0)
        return;
    driver_select(s->port, (ErlDrvEvent)(intptr_t)s->pair[0], ERL_DRV_READ | ERL_DRV_USE, 0);
    close(s->pair[1]);
    s->pair[0] = -1;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    quiet(s);
    driver_free_binary(s->chunk);
    driver_free(s);
}

static void stop_select(ErlDrvEvent e, void *reserved)
{
    (void)reserved;
    close((int)(intptr_t)e);
}

static void produce(struct self *s)
{
    if (s->pair[0] >= 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, s->pair) || write(s->pair[1], "x", 1) != 1)
        return;
    driver_select(s->port, (ErlDrvEvent)(intptr_t)s->pair[0], ERL_DRV_READ | ERL_DRV_USE, 1);
}

/* Nothing is read, so there is always input; each answer begins with its number. */
static void ready_input(ErlDrvData d, ErlDrvEvent e)
{
    struct self *s = (struct self *)d;
    char number[4] = {(char)(s->produced >> 24), (char)(s->produced >> 16), (char)(s->produced >> 8), (char)s->produced};
    (void)e;
    s->produced++;
    driver_output_binary(s->port, number, sizeof number, s->chunk, 0, CHUNK);
}

static void take(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static void output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    struct self *s = (struct self *)d;
    outputs++;
    if (s->ms)
        take(s->ms);
    driver_output(s->port, buf, len);
}

/* At most half a minute. */
static void await_end_of(const char *name, ErlDrvSizeT len)
{
    char file[256];
    snprintf(file, sizeof file, "%.*s", (int)len, name);
    for (int i = 0; i < 3000 && access(file, F_OK) == 0; i++)
        take(10);
}

static int use_up(volatile char *outer, int depth)
{
    volatile char here[4096];
    here[0] = (char)(outer[0] + depth);
    return depth < 0 ? 0 : use_up(here, depth + 1) + here[0];
}

static int number(const char *buf, ErlDrvSizeT len)
{
    int n = 0;
    for (ErlDrvSizeT i = 0; i < len; i++)
        n = n * 10 + (buf[i] - '0');
    return n;
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    struct self *s = (struct self *)d;
    switch (op) {
    case 1:
        produce(s);
        return 0;
    case 2:
        quiet(s);
        return 0;
    case 3:
        s->ms = number(buf, len);
        return 0;
    case 4:
        return use_up("", 1);
    case 6:
        return snprintf(*rbuf, rlen, "%u", outputs);
    case 7:
        await_end_of(buf, len);
        return 0;
    default:
        return 0;
    }
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .output = output,
    .ready_input = ready_input,
    .driver_name = PROBE_NAME,
    .control = control,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = PROBE_FLAGS,
    .stop_select = stop_select,
};

DRIVER_INIT(strain_probe_drv)
{
    return &entry;
}
