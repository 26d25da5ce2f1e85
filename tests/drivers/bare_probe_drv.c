/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a driver without a single callback. */
#include "probe.h"

static ErlDrvEntry entry = {.driver_name = "bare_probe_drv", PROBE_VERSION};

DRIVER_INIT(bare_probe_drv)
{
    return &entry;
}
