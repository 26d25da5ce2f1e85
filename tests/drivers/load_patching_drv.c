/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: init changes the entry, which has been copied by then. */
#include "probe.h"

static ErlDrvEntry entry;

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    trace("start");
    return (ErlDrvData)port;
}

static ErlDrvData other_start(ErlDrvPort port, char *command)
{
    (void)command;
    trace("other start");
    return (ErlDrvData)port;
}

static void stop(ErlDrvData d)
{
    (void)d;
    trace("stop");
}

static int init(void)
{
    entry.start = other_start;
    entry.stop = NULL;
    return 0;
}

static ErlDrvEntry entry = {.init = init, .start = start, .stop = stop, .driver_name = "load_patching_drv", PROBE_VERSION};

DRIVER_INIT(load_patching_drv)
{
    return &entry;
}
