/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a driver whose ports are open only when it says so. "ack_probe_drv N" acknowledges with N as a word, from a timer;
 * "fail" ends the port instead; "late" acknowledges twice, "early" in start, too, with other data. Called by the run-time system only. */
#define PROBE_FLAGS ERL_DRV_FLAG_USE_INIT_ACK
#include "probe.h"

struct self {
    ErlDrvPort port;
    char arg[16];
};

static int acknowledged, another; /* what the acknowledged data points to */

static const char *name_of(ErlDrvData d)
{
    return d == (ErlDrvData)&acknowledged ? "acknowledged" : d == (ErlDrvData)&another ? "another" : "first data";
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    const char *arg = strchr(command, ' ');
    *s = (struct self){.port = port};
    snprintf(s->arg, sizeof s->arg, "%s", arg ? arg + 1 : "");
    trace("start");
    if (strcmp(s->arg, "early") == 0)
        erl_drv_init_ack(port, (ErlDrvData)&another);
    driver_set_timer(port, 20);
    return (ErlDrvData)s;
}

/* After a successful acknowledgement the data is ours no more, but what was acknowledged. */
static void stop(ErlDrvData d)
{
    trace("stop %s", name_of(d));
    if (d != (ErlDrvData)&acknowledged && d != (ErlDrvData)&another)
        driver_free(d);
}

static void timeout(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    ErlDrvPort port = s->port;
    if (d == (ErlDrvData)&acknowledged)
        return;
    trace("timeout");
    if (strcmp(s->arg, "fail") == 0) {
        driver_failure_atom(port, "before_ack");
    } else if (s->arg[0] == '-') {
        erl_drv_init_ack(port, (ErlDrvData)(intptr_t)atoi(s->arg));
    } else {
        int late = strcmp(s->arg, "late") == 0;
        driver_free(s);
        erl_drv_init_ack(port, (ErlDrvData)&acknowledged);
        if (late)
            erl_drv_init_ack(port, ERL_DRV_ERROR_GENERAL);
    }
    trace("timeout done");
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)op;
    (void)buf;
    (void)len;
    return snprintf(*rbuf, rlen, "%s", name_of(d));
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .timeout = timeout,
    .control = control,
    .driver_name = "ack_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(ack_probe_drv)
{
    return &entry;
}
