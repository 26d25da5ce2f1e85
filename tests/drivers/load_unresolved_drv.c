/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a driver that needs a symbol nobody has. */
#include "probe.h"

int load_symbol_that_nobody_has(void);

static int init(void)
{
    return load_symbol_that_nobody_has();
}

static ErlDrvEntry entry = {.init = init, .driver_name = "load_unresolved_drv", PROBE_VERSION};

DRIVER_INIT(load_unresolved_drv)
{
    return &entry;
}
