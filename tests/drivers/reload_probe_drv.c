/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: says which loading of the driver a port runs in, by the time of init. With one lock per port, as is usual for drivers
 * under load. */
#define PROBE_FLAGS ERL_DRV_FLAG_USE_PORT_LOCKING
#include "probe.h"
#include <time.h>

static long long loaded_at;

static int init(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    loaded_at = ts.tv_sec * 1000000000LL + ts.tv_nsec;
    return 0;
}

/* The old instance must not say anything any more. */
static void finish(void)
{
    loaded_at = -1;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)d;
    (void)op;
    (void)buf;
    (void)len;
    return snprintf(*rbuf, rlen, "%lld", loaded_at);
}

static ErlDrvEntry entry = {
    .init = init,
    .finish = finish,
    .start = start,
    .control = control,
    .driver_name = "reload_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(reload_probe_drv)
{
    return &entry;
}
