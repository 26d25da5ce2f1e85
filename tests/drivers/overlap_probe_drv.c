/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: callbacks of one lock never overlap. Every callback goes through one counter for each lock: the driver's, or with
 * PROBE_FLAGS that say so the port's. It is atomic because it must not be what keeps them apart. */
#include "probe.h"
#include <stdatomic.h>

#ifndef PROBE_NAME
#define PROBE_NAME "overlap_probe_drv"
#endif

struct counter {
    atomic_int inside, calls, overlaps;
};

struct self {
    ErlDrvPort port;
    struct counter own;
};

static struct counter all;
static atomic_int waiting, met; /* of "meet" */

static struct counter *counter_of(struct self *s)
{
    return PROBE_FLAGS & ERL_DRV_FLAG_USE_PORT_LOCKING ? &s->own : &all;
}

/* Long enough to be met by another thread that is let in. */
static void pass(ErlDrvData d)
{
    struct counter *c = counter_of((struct self *)d);
    if (atomic_fetch_add(&c->inside, 1) != 0)
        atomic_fetch_add(&c->overlaps, 1);
    atomic_fetch_add(&c->calls, 1);
    for (int i = 0; i < 3000; i++)
        if (atomic_load(&c->inside) != 1)
            atomic_fetch_add(&c->overlaps, 1);
    atomic_fetch_sub(&c->inside, 1);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port};
    pass((ErlDrvData)s);
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    pass(d);
    driver_free(d);
}

static void output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    (void)buf;
    (void)len;
    pass(d);
}

static void timeout(ErlDrvData d)
{
    pass(d);
}

static void invoke(void *arg)
{
    (void)arg;
}

static void ready_async(ErlDrvData d, ErlDrvThreadData data)
{
    (void)data;
    pass(d);
}

/* A timer and a job, to come back by themselves. */
ACTION(do_work)
{
    struct self *s = self;
    pass(self);
    driver_set_timer(s->port, 0);
    say(a, driver_async(s->port, NULL, invoke, NULL, NULL) >= 0 ? "ok" : "failed");
}

ACTION(do_overlaps)
{
    struct self *s = self;
    const struct counter *c = counter_of(s);
    say(a, "overlaps %d", c->overlaps);
    say(a, c->calls > atoi(arg) ? "enough calls" : "too few calls");
}

/* Waits inside the callback for another port that does the same. */
ACTION(do_meet)
{
    if (atomic_fetch_add(&waiting, 1) == 1)
        atomic_store(&met, 1);
    for (int i = 0; i < 5000 && !atomic_load(&met); i++)
        usleep(1000);
    say(a, atomic_load(&met) ? "met" : "alone");
}

static const struct action actions[] = {{"work", do_work}, {"overlaps", do_overlaps}, {"meet", do_meet}, {NULL, NULL}};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .output = output,
    .timeout = timeout,
    .ready_async = ready_async,
    .control = control,
    .driver_name = PROBE_NAME,
    PROBE_VERSION,
};

DRIVER_INIT(overlap_probe_drv)
{
    return &entry;
}
