/* SPDX-License-Identifier: Apache-2.0 */
/* Small blocks that come and go with every message: each thread keeps the ones it freed and uses them again, so that in the steady state nothing
 * is allocated. Any thread may free what another one took. Sanitizer builds and memcheck get malloc and free, so that they see each block's life. */
#ifndef PH_POOL_H
#define PH_POOL_H

#include <stddef.h>

#define PH_POOL_MAX 512u /* bytes: larger blocks are malloc's and free's */

void *ph_pool_alloc(size_t size) __attribute__((malloc, alloc_size(1))); /* 16-aligned; NULL if out of memory */
void ph_pool_free(void *p, size_t size);                                 /* size: as it was allocated */

#endif
