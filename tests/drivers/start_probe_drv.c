/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: what start gets and what its results do; init, finish and stop around it. "start_probe_drv result N" makes start
 * return N as a word; "errno N" sets errno and returns ERL_DRV_ERROR_ERRNO; "cut" ends the command after its first word. Called by the run-time system only. */
#include "probe.h"
#include <errno.h>

#ifndef PROBE_NAME
#define PROBE_NAME "start_probe_drv"
#endif

static ErlDrvPort last; /* of the port that start saw last; under the driver's lock */

static int init(void)
{
    trace("init");
    return 0;
}

static void finish(void)
{
    trace("finish");
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    char *arg = strchr(command, ' ');
    long n;
    trace("start \"%s\"", command);
    last = port;
    if (arg && sscanf(arg, " result %ld", &n) == 1)
        return (ErlDrvData)n;
    if (arg && sscanf(arg, " errno %ld", &n) == 1) {
        errno = (int)n;
        return ERL_DRV_ERROR_ERRNO;
    }
    if (arg && strcmp(arg, " hello") == 0)
        trace("output %d", driver_output(port, "hello from start", 16));
    if (arg && strncmp(arg, " cut", 4) == 0)
        *arg = 0;
    return (ErlDrvData)port;
}

static void stop(ErlDrvData d)
{
    trace("stop %s", d == (ErlDrvData)last ? "port" : d ? "other" : "NULL");
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)op;
    (void)buf;
    (void)len;
    return snprintf(*rbuf, rlen, "%s", d == (ErlDrvData)last ? "port" : d ? "other" : "NULL");
}

static ErlDrvEntry entry = {
    .init = init,
    .finish = finish,
    .start = start,
    .stop = stop,
    .control = control,
    .driver_name = PROBE_NAME,
    PROBE_VERSION,
};

DRIVER_INIT(start_probe_drv)
{
    return &entry;
}
