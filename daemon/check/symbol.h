/* SPDX-License-Identifier: Apache-2.0 */
/* The function that an address of a shared object is in: drivers' functions are mostly static, which dladdr(3) does not know. For stack.c; may block on the file. */
#ifndef PH_SYMBOL_H
#define PH_SYMBOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* at: from the beginning of the object as it is loaded. The name goes to buf, *offset is from its beginning. False: the file has no symbols any more, or cannot be read. */
bool ph_symbol_find(const char *file, uint64_t at, char *buf, size_t size, uint64_t *offset);

#endif
