/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a major version that does not exist yet. */
#define LOAD_NAME "load_major_4_drv"
#define LOAD_MAJOR 4
#define LOAD_MINOR 0
#include "load_probe.h"
