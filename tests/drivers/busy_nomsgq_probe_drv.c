/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: busy ports of a driver without limits on the command queue. */
#define PROBE_NAME "busy_nomsgq_probe_drv"
#define PROBE_FLAGS ERL_DRV_FLAG_NO_BUSY_MSGQ
#include "busy_probe_drv.c"
