/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: busy ports of a driver that lets `force` through. */
#define PROBE_NAME "busy_soft_probe_drv"
#define PROBE_FLAGS ERL_DRV_FLAG_SOFT_BUSY
#include "busy_probe_drv.c"
