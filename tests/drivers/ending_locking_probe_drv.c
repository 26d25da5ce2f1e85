/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: the same driver with one lock per port. */
#define PROBE_NAME "ending_locking_probe_drv"
#define PROBE_FLAGS ERL_DRV_FLAG_USE_PORT_LOCKING
#include "ending_probe_drv.c"
