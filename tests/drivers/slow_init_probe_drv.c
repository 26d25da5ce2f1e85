/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a driver whose init takes a second. Called by the run-time system only. */
#include "probe.h"
#include <time.h>

static int init(void)
{
    struct timespec second = {.tv_sec = 1};
    return nanosleep(&second, NULL);
}

static ErlDrvEntry entry = {
    .init = init,
    .driver_name = "slow_init_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(slow_init_probe_drv)
{
    return &entry;
}
