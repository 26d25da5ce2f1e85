/* SPDX-License-Identifier: Apache-2.0 */
/* Has a block that its destructor frees, as a global object of C++ would, for the test of the checking mode. Opened with "leave" it leaves another behind, with
 * "twice" the destructor frees its own twice. */
#include "probe.h"

static void *kept;
static int twice;

static int init(void)
{
    kept = driver_alloc(33);
    return 0;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    char *left = strstr(command, " leave") ? driver_alloc(44) : NULL;
    if (left)
        left[0] = 1;
    twice = strstr(command, " twice") != NULL;
    return (ErlDrvData)port;
}

__attribute__((destructor)) static void end(void)
{
    driver_free(kept);
    if (twice)
        driver_free(kept);
    trace("end"); /* so that its frame is there */
}

static ErlDrvEntry entry = {
    PROBE_VERSION,
    .driver_name = "offence_end_drv",
    .init = init,
    .start = start,
};

DRIVER_INIT(offence_end_drv)
{
    return &entry;
}
