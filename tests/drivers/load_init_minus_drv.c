/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: init gives -1. */
#define LOAD_NAME "load_init_minus_drv"
#define LOAD_INIT (-1)
#include "load_probe.h"
