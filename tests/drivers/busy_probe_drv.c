/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: busy ports and the limits of the command queue. The flags and the name may be set by a file that includes this one.
 * Called by the run-time system only. */
#include "probe.h"

#ifndef PROBE_NAME
#define PROBE_NAME "busy_probe_drv"
#endif

struct self {
    ErlDrvPort port;
    int busy_on_output; /* the next command makes the port busy */
    unsigned nap;       /* the next command takes so many milliseconds */
};

static void set_busy(struct self *s, int on)
{
    set_busy_port(s->port, on);
    trace("busy %d", on);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    if (!s)
        return ERL_DRV_ERROR_GENERAL;
    *s = (struct self){.port = port};
    if (strstr(command, " busy"))
        set_busy(s, 1);
    if (strstr(command, " fail")) {
        driver_free(s);
        return ERL_DRV_ERROR_GENERAL;
    }
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    trace("stop");
    driver_free(d);
}

static void output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    struct self *s = (struct self *)d;
    trace("output %.*s", (int)(len < 40 ? len : 40), buf);
    usleep(s->nap * 1000);
    s->nap = 0;
    if (s->busy_on_output) {
        s->busy_on_output = 0;
        set_busy(s, 1);
    }
}

static ErlDrvSSizeT call(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen,
                         unsigned int *flags)
{
    (void)d;
    (void)op;
    (void)flags;
    if (len > rlen)
        return -1;
    memcpy(*rbuf, buf, len);
    return (ErlDrvSSizeT)len;
}

static void timeout(ErlDrvData d)
{
    set_busy((struct self *)d, 0);
}

ACTION(do_busy)
{
    set_busy(self, atoi(arg));
    say(a, "ok");
}

ACTION(do_busy_on_output)
{
    struct self *s = self;
    s->busy_on_output = 1;
    say(a, "ok");
}

ACTION(do_nap)
{
    struct self *s = self;
    s->nap = (unsigned)atoi(arg);
    say(a, "ok");
}

ACTION(do_free_after)
{
    struct self *s = self;
    say(a, "%d", driver_set_timer(s->port, strtoul(arg, NULL, 10)));
}

static void say_limit(struct answer *a, ErlDrvSizeT n)
{
    if (n == ERL_DRV_BUSY_MSGQ_DISABLED)
        say(a, "disabled");
    else
        say(a, "%zu", n);
}

static ErlDrvSizeT limit(const char *word)
{
    return strncmp(word, "disabled", 8) == 0 ? ERL_DRV_BUSY_MSGQ_DISABLED : strtoul(word, NULL, 10);
}

/* "low high": a number each, 0 to read only, or "disabled". What the call leaves in its arguments, then what a reading says. */
ACTION(do_limits)
{
    struct self *s = self;
    const char *second = strchr(arg, ' ');
    ErlDrvSizeT low = limit(arg), high = limit(second ? second + 1 : "0");
    erl_drv_busy_msgq_limits(s->port, &low, &high);
    say_limit(a, low);
    say_limit(a, high);
    low = high = ERL_DRV_BUSY_MSGQ_READ_ONLY;
    erl_drv_busy_msgq_limits(s->port, &low, &high);
    say(a, "now");
    say_limit(a, low);
    say_limit(a, high);
}

ACTION(do_limits_null)
{
    struct self *s = self;
    ErlDrvSizeT low = 0, high = 0;
    erl_drv_busy_msgq_limits(s->port, NULL, NULL);
    erl_drv_busy_msgq_limits(s->port, &low, NULL);
    erl_drv_busy_msgq_limits(s->port, NULL, &high);
    say_limit(a, low);
    say_limit(a, high);
}

static const struct action actions[] = {
    {"busy", do_busy},     {"busy_on_output", do_busy_on_output}, {"free_after", do_free_after},
    {"limits", do_limits}, {"limits_null", do_limits_null},       {"nap", do_nap},
    {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .output = output,
    .timeout = timeout,
    .control = control,
    .call = call,
    .driver_name = PROBE_NAME,
    PROBE_VERSION,
};

DRIVER_INIT(busy_probe_drv)
{
    return &entry;
}
