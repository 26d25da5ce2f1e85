/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a major version that is too old. */
#define LOAD_NAME "load_major_1_drv"
#define LOAD_MAJOR 1
#include "load_probe.h"
