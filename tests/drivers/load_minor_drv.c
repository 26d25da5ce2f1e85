/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a minor version that does not exist yet. */
#define LOAD_NAME "load_minor_drv"
#define LOAD_MINOR (ERL_DRV_EXTENDED_MINOR_VERSION + 1)
#include "load_probe.h"
