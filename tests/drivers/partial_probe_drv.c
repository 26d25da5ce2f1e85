/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a driver that uses timers, monitors, jobs, the queue and select without having the callbacks for them. Called by the
 * run-time system only. */
#include "probe.h"

struct self {
    ErlDrvPort port;
    ErlDrvMonitor monitor;
    int pipe[2];
};

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port, .pipe = {-1, -1}};
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("stop sizeq %zd", (ssize_t)driver_sizeq(s->port));
    if (s->pipe[0] >= 0) {
        driver_select(s->port, (ErlDrvEvent)(intptr_t)s->pipe[0], ERL_DRV_READ, 0);
        close(s->pipe[0]);
        close(s->pipe[1]);
    }
    driver_free(s);
}

ACTION(do_timer)
{
    struct self *s = self;
    say(a, "%d", driver_set_timer(s->port, 1));
    say(a, "%d", driver_cancel_timer(s->port));
    say(a, "%d", driver_set_timer(s->port, 1));
}

ACTION(do_monitor)
{
    struct self *s = self;
    say(a, "%d", driver_monitor_process(s->port, driver_caller(s->port), &s->monitor));
}

ACTION(do_enq)
{
    struct self *s = self;
    say(a, "%d", driver_enq(s->port, arg, len));
}

ACTION(do_sizeq)
{
    struct self *s = self;
    say(a, "%zd", (ssize_t)driver_sizeq(s->port));
}

/* Readable at once. */
ACTION(do_select)
{
    struct self *s = self;
    if (pipe(s->pipe) < 0 || write(s->pipe[1], "x", 1) != 1)
        return say(a, "pipe failed");
    say(a, "%d", driver_select(s->port, (ErlDrvEvent)(intptr_t)s->pipe[0], ERL_DRV_READ, 1));
}

ACTION(do_timeslice)
{
    struct self *s = self;
    int used = 0, calls = 0;
    while (!used && calls++ < 200)
        used = erl_drv_consume_timeslice(s->port, 1);
    say(a, used ? "used up" : "never used up");
    say(a, "%d", erl_drv_consume_timeslice(s->port, 100));
}

ACTION(do_os_pid)
{
    struct self *s = self;
    erl_drv_set_os_pid(s->port, atoi(arg));
    say(a, "ok");
}

static const struct action actions[] = {
    {"timer", do_timer},   {"monitor", do_monitor},     {"enq", do_enq},       {"sizeq", do_sizeq},
    {"select", do_select}, {"timeslice", do_timeslice}, {"os_pid", do_os_pid}, {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .control = control,
    .driver_name = "partial_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(partial_probe_drv)
{
    return &entry;
}
