/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a driver whose init takes a second, and then, at most half a minute, as long as there is the file that SLOW_INIT_WHILE names, if it is set. Called by the run-time
 * system only. */
#include "probe.h"
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int init(void)
{
    struct timespec second = {.tv_sec = 1};
    const char *file = getenv("SLOW_INIT_WHILE");
    int err = nanosleep(&second, NULL);
    for (int i = 0; file && i < 3000 && access(file, F_OK) == 0; i++)
        usleep(10000);
    return err;
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
