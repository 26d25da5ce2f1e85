/* SPDX-License-Identifier: Apache-2.0 */
/* bench_drv with one lock for all its ports. */
#define DRIVER_FLAGS 0
#define DRIVER_NAME "bench_locked_drv"
#define DRIVER_INIT_NAME bench_locked_drv
#include "bench_drv.c"
