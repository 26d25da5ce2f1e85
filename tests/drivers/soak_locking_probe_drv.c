/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: soak_probe_drv with a lock for each port. */
#define PROBE_NAME "soak_locking_probe_drv"
#define PROBE_FLAGS ERL_DRV_FLAG_USE_PORT_LOCKING
#include "soak_probe_drv.c"
