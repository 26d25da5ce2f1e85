/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: the wrong extended_marker. */
#define LOAD_NAME "load_marker_drv"
#define LOAD_MARKER 0
#include "load_probe.h"
