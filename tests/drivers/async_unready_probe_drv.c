/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: async jobs of a driver that has no ready_async. */
#define PROBE_NAME "async_unready_probe_drv"
#define NO_READY_ASYNC
#include "async_probe_drv.c"
