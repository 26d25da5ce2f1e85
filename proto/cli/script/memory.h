/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for scripts and their results. Who has none can report nothing either: the process ends with a message, and its daemon with it. Any thread. */
#ifndef PH_SCRIPT_MEMORY_H
#define PH_SCRIPT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "args.h"

/* Ends the process if there was no memory. */
void ph_script_need(bool there_was_memory);

void *ph_script_alloc(size_t size); /* zeroed, to be freed with free */

/* Room for one more element behind n of them; the array moves. It grows at powers of two. */
void *ph_script_grow(void *array, size_t n, size_t size);

char *ph_script_copy(struct ph_text t); /* NUL-terminated, to be freed with free */

/* A stream whose text is in *text once it is closed. */
FILE *ph_script_stream(char **text, size_t *len);

#endif
