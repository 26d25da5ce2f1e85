/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: its function is _driver_init, which is looked for when there is no driver_init. */
#include "probe.h"

static ErlDrvEntry entry = {.driver_name = "load_underscore_drv", PROBE_VERSION};

ErlDrvEntry *_driver_init(void);

ErlDrvEntry *_driver_init(void)
{
    trace("_driver_init");
    return &entry;
}
