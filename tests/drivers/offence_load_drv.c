/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves a block behind in an init that fails, for the test of the checking mode. */
#include "probe.h"

static int init(void)
{
    char *left = driver_alloc(55);
    left[0] = 1;
    return -1;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static ErlDrvEntry entry = {
    PROBE_VERSION,
    .driver_name = "offence_load_drv",
    .init = init,
    .start = start,
};

DRIVER_INIT(offence_load_drv)
{
    return &entry;
}
