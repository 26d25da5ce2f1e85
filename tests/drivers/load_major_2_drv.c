/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: major version 2, any minor: accepted. */
#define LOAD_NAME "load_major_2_drv"
#define LOAD_MAJOR 2
#define LOAD_MINOR 0
#include "load_probe.h"
