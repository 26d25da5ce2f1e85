/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: the same driver with one lock for all its ports. Not for the VM, where driver_create_port would wait for itself. */
#define PROBE_NAME "child_one_lock_probe_drv"
#define PROBE_FLAGS 0
#include "child_probe_drv.c"
