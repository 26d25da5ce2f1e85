/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: init adds another driver, and stop removes it. The VM hangs in init. */
#include "probe.h"

static ErlDrvEntry sister = {.driver_name = "load_sister_drv", PROBE_VERSION};

static int init(void)
{
    add_driver_entry(&sister);
    return 0;
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
    return snprintf(*rbuf, rlen, "%d", remove_driver_entry(&sister));
}

static ErlDrvEntry entry = {.init = init, .start = start, .control = control, .driver_name = "load_adding_drv", PROBE_VERSION};

DRIVER_INIT(load_adding_drv)
{
    return &entry;
}
