/* SPDX-License-Identifier: Apache-2.0 */
/* The reserve behind mem.c, which alone calls it: blocks of one size in static memory. Any thread. */
#ifndef PH_RESERVE_H
#define PH_RESERVE_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

union ph_reserve_block {
    union ph_reserve_block *next; /* while it is free */
    alignas(16) char bytes[PH_RESERVE_BLOCK];
};
extern union ph_reserve_block ph_reserve[PH_RESERVE_BLOCKS]; /* for ph_reserve_has */

/* NULL: larger than a block, or none is left. */
void *ph_reserve_take(size_t size);
void ph_reserve_give(void *p);

static inline bool ph_reserve_has(const void *p)
{
    return (uintptr_t)p - (uintptr_t)ph_reserve < sizeof ph_reserve;
}

#endif
