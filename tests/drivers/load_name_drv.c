/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a name that is not the file's. */
#define LOAD_NAME "load_other_drv"
#include "load_probe.h"
