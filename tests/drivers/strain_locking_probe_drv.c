/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: strain_probe_drv with a lock for each port. */
#define PROBE_NAME "strain_locking_probe_drv"
#define PROBE_FLAGS ERL_DRV_FLAG_USE_PORT_LOCKING
#include "strain_probe_drv.c"
