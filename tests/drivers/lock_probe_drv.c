/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a driver that makes itself permanent. It cannot be unloaded again, so it is used once per run-time system. */
#include "probe.h"

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)op;
    (void)buf;
    (void)len;
    int first = driver_lock_driver((ErlDrvPort)d);
    int second = driver_lock_driver((ErlDrvPort)d);
    return snprintf(*rbuf, rlen, "%d %d", first, second);
}

static ErlDrvEntry entry = {
    .start = start,
    .control = control,
    .driver_name = "lock_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(lock_probe_drv)
{
    return &entry;
}
