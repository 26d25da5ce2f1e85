/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: the port's timer. Called by the run-time system only. */
#include "probe.h"

struct self {
    ErlDrvPort port;
    int rearm;      /* so many times more, from inside timeout */
    int inside;     /* set while control runs: a timeout then would be a synchronous one */
    ErlDrvTime set; /* when the timer was set, to see that it is never early */
    unsigned long ms;
};

static void set(struct self *s, unsigned long ms, struct answer *a)
{
    s->set = erl_drv_monotonic_time(ERL_DRV_USEC);
    s->ms = ms;
    say(a, "%d", driver_set_timer(s->port, ms));
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    if (!s)
        return ERL_DRV_ERROR_GENERAL;
    *s = (struct self){.port = port};
    if (strstr(command, " in_start")) {
        trace("start set_timer %d", driver_set_timer(port, 1));
        if (strstr(command, "fail")) {
            driver_free(s);
            return ERL_DRV_ERROR_GENERAL;
        }
    }
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    trace("stop");
    driver_free(d);
}

static void timeout(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    unsigned long left = 77;
    int rc = driver_read_timer(s->port, &left);
    int early = s->ms && erl_drv_monotonic_time(ERL_DRV_USEC) - s->set < (ErlDrvTime)s->ms * 1000;
    trace("timeout%s%s read %d %lu", s->inside ? " inside control" : "", early ? " early" : "", rc, left);
    if (s->rearm > 0) {
        s->rearm--;
        trace("rearm %d", driver_set_timer(s->port, 1));
    } else {
        driver_output(s->port, "timeout", 7);
    }
}

ACTION(do_set)
{
    set(self, strtoul(arg, NULL, 10), a);
}

/* The second setting replaces the first. */
ACTION(do_set_twice)
{
    set(self, strtoul(arg, NULL, 10), a);
    set(self, 1, a);
}

ACTION(do_set_and_cancel)
{
    struct self *s = self;
    set(s, strtoul(arg, NULL, 10), a);
    usleep(3000);
    say(a, "%d", driver_cancel_timer(s->port));
}

ACTION(do_cancel)
{
    struct self *s = self;
    say(a, "%d", driver_cancel_timer(s->port));
}

/* Time left as "none", or whether it is within what was set. */
ACTION(do_read)
{
    struct self *s = self;
    unsigned long left = 77;
    say(a, "%d", driver_read_timer(s->port, &left));
    say(a, left == 0 ? "none" : left <= s->ms ? "some" : "more than set");
}

ACTION(do_rearm)
{
    struct self *s = self;
    s->rearm = atoi(arg);
    set(s, 1, a);
}

static const struct action actions[] = {
    {"set", do_set},       {"set_twice", do_set_twice}, {"set_and_cancel", do_set_and_cancel},
    {"cancel", do_cancel}, {"read", do_read},           {"rearm", do_rearm},
    {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    struct self *s = (struct self *)d;
    s->inside = 1;
    ErlDrvSSizeT n = op == 0 ? act(actions, s, buf, len, rbuf, rlen) : -1;
    s->inside = 0;
    return n;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .timeout = timeout,
    .control = control,
    .driver_name = "timer_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(timer_probe_drv)
{
    return &entry;
}
