/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: what a driver does wrong, or late, when a port ends: failure functions in stop and flush, descriptors closed while they are selected,
 * monitors made while the port flushes, callbacks that do not return. The flags and the name may be set by a file that includes this one. Called by the run-time system only.
 *
 * "counts" tells of the driver since it was loaded: how many times stop was called, and process_exit for a port that had stopped. */
#ifndef PROBE_NAME
#define PROBE_NAME "ending_probe_drv"
#endif
#include "probe.h"
#include <stdatomic.h>
#include <stdlib.h>

struct self {
    ErlDrvPort port;
    int pipe[2];
    int stopped;
    char where[8]; /* the callback that is to fail once: "stop", "flush" */
    ErlDrvMonitor monitor;
    struct self *next;
};

static atomic_int stops, late;
static _Atomic(struct self *) ended; /* stopped ports' structs, freed by finish: a late callback must find one */

static int init(void)
{
    atomic_store(&stops, 0);
    atomic_store(&late, 0);
    return 0;
}

static void finish(void)
{
    struct self *s = atomic_exchange(&ended, NULL);
    while (s) {
        struct self *next = s->next;
        driver_free(s);
        s = next;
    }
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port, .pipe = {-1, -1}};
    return (ErlDrvData)s;
}

static void fail_if_armed(struct self *s, const char *where)
{
    if (strcmp(s->where, where) != 0)
        return;
    s->where[0] = 0;
    driver_failure_atom(s->port, "armed");
    driver_failure_eof(s->port);
}

/* Without asking driver_select. */
static void close_pipe(struct self *s)
{
    if (s->pipe[0] < 0)
        return;
    close(s->pipe[0]);
    close(s->pipe[1]);
    s->pipe[0] = -1;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    atomic_fetch_add(&stops, 1);
    fail_if_armed(s, "stop");
    s->stopped = 1;
    close_pipe(s);
    s->next = atomic_load(&ended);
    while (!atomic_compare_exchange_weak(&ended, &s->next, s))
        ;
}

static void flush(ErlDrvData d)
{
    fail_if_armed((struct self *)d, "flush");
}

static void process_exit(ErlDrvData d, ErlDrvMonitor *m)
{
    struct self *s = (struct self *)d;
    (void)m;
    if (s->stopped)
        atomic_fetch_add(&late, 1);
    else
        driver_output(s->port, "process_exit", 12);
}

static void ready_input(ErlDrvData d, ErlDrvEvent e)
{
    struct self *s = (struct self *)d;
    char data[64];
    ssize_t n = read((int)(intptr_t)e, data, sizeof data);
    if (n > 0)
        driver_output(s->port, data, (ErlDrvSizeT)n);
}

/* "stop" or "flush": that callback calls failure functions. */
ACTION(do_arm)
{
    struct self *s = self;
    snprintf(s->where, sizeof s->where, "%s", arg);
    say(a, "armed");
}

ACTION(do_fail)
{
    say(a, "%d", driver_failure_atom(((struct self *)self)->port, "told_to"));
}

ACTION(do_enq)
{
    say(a, "%d", driver_enq(((struct self *)self)->port, arg, len));
}

ACTION(do_deq)
{
    say(a, "%zu", (size_t)driver_deq(((struct self *)self)->port, strtoul(arg, NULL, 10)));
}

ACTION(do_monitor)
{
    struct self *s = self;
    say(a, "%d", driver_monitor_process(s->port, driver_caller(s->port), &s->monitor));
}

/* A pipe whose end to read is selected; the text is the number of that descriptor. */
ACTION(do_select)
{
    struct self *s = self;
    if (pipe(s->pipe) || driver_select(s->port, (ErlDrvEvent)(intptr_t)s->pipe[0], ERL_DRV_READ | ERL_DRV_USE, 1))
        return say(a, "failed");
    say(a, "%d", s->pipe[0]);
}

ACTION(do_close)
{
    close_pipe(self);
    say(a, "ok");
}

ACTION(do_write)
{
    say(a, "%zd", write(((struct self *)self)->pipe[1], arg, len));
}

/* "SECONDS", told on stderr. */
ACTION(do_sleep)
{
    fprintf(stderr, "%s sleeps\n", PROBE_NAME);
    sleep((unsigned)strtoul(arg, NULL, 10));
}

ACTION(do_counts)
{
    say(a, "stops %d late %d", atomic_load(&stops), atomic_load(&late));
}

static const struct action actions[] = {
    {"arm", do_arm},         {"fail", do_fail},     {"enq", do_enq},     {"deq", do_deq},
    {"monitor", do_monitor}, {"select", do_select}, {"write", do_write}, {"close", do_close},
    {"sleep", do_sleep},     {"counts", do_counts}, {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .init = init,
    .finish = finish,
    .start = start,
    .stop = stop,
    .flush = flush,
    .process_exit = process_exit,
    .ready_input = ready_input,
    .control = control,
    .driver_name = PROBE_NAME,
    PROBE_VERSION,
};

DRIVER_INIT(ending_probe_drv)
{
    return &entry;
}
