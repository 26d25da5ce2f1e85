/* SPDX-License-Identifier: Apache-2.0 */
/* The computing that is done in a driver, and in threads of the load generator to compare it with: one function, one object code. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stdint.h>

static inline uint32_t bench_work(uint32_t x, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++)
        x = x * 1664525U + 1013904223U + (x >> 16);
    return x;
}

#endif
