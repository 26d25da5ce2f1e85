/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: as failure_probe_drv, with outputv instead of output. */
#define PROBE_NAME "failure_vector_probe_drv"
#define PROBE_OUTPUTV
#include "failure_probe_drv.c"
