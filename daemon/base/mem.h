/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the host's own, in two forms:
 *
 * - ph_alloc_try, ph_realloc_try: for all whose size or number a client or a driver decides. NULL: no memory, and the caller refuses what was asked for.
 * - ph_alloc and the others: for small things of a fixed size that bring to its end what was accepted (jobs, events, timers, what a thread counts in), which have
 *   nobody to refuse to. When malloc has nothing they come from a reserve of PH_RESERVE_BLOCKS blocks, to which ph_free gives them back. What is larger than a block,
 *   or finds the reserve used up, is fatal with a message.
 *
 * Any thread. */
#ifndef PH_MEM_H
#define PH_MEM_H

#include <stdbool.h>
#include <stddef.h>

#define PH_RESERVE_BLOCK 4096u /* bytes */
#define PH_RESERVE_BLOCKS 512u
#define PH_MEM_SPARE ((size_t)4 << 20)

void *ph_alloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *ph_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *ph_realloc(void *p, size_t size) __attribute__((returns_nonnull));
char *ph_strdup(const char *s) __attribute__((malloc, returns_nonnull));
void *ph_alloc_try(size_t size) __attribute__((malloc, alloc_size(1)));
void *ph_calloc_try(size_t n, size_t size) __attribute__((malloc));
void *ph_realloc_try(void *p, size_t size); /* NULL: no memory, p stays */
char *ph_strdup_try(const char *s) __attribute__((malloc));
void ph_free(void *p); /* also of what malloc gave; p may be NULL */
size_t ph_reserve_used(void); /* blocks, about now */
/* These two: about what malloc keeps for later. Is there much of it (PH_MEM_SPARE bytes of resident memory more than is in use)? Gives it back to the system. Both take
 * milliseconds, under malloc's locks: for a thread that may wait, while the others have nothing to do. */
bool ph_mem_keeps_much(void);
void ph_mem_give_back(void);
/* Does a sanitizer or memcheck look at what drivers and the host do with memory? Then nothing may hide it. */
bool ph_mem_is_watched(void);

#endif
