/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the host's own: malloc family with one rule, "out of memory is fatal with a message" for small things that
 * have no one to refuse to. What a frame or a driver asks for goes through the _try forms, which return NULL. */
#ifndef PH_MEM_H
#define PH_MEM_H

#include <stdbool.h>
#include <stddef.h>

void *ph_alloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *ph_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *ph_realloc(void *p, size_t size) __attribute__((returns_nonnull));
char *ph_strdup(const char *s) __attribute__((malloc, returns_nonnull));
void *ph_alloc_try(size_t size) __attribute__((malloc, alloc_size(1)));
void *ph_realloc_try(void *p, size_t size);
void ph_free(void *p);
/* Does a sanitizer or memcheck look at what drivers and the host do with memory? Then nothing may hide it. */
bool ph_mem_is_watched(void);

#endif
