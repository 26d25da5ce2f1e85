/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: driver_init gives no entry. */
#define LOAD_NAME "load_null_drv"
#define LOAD_NULL
#include "load_probe.h"
