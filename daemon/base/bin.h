/* SPDX-License-Identifier: Apache-2.0 */
/* Driver binaries: an ErlDrvBinary with its reference count in hidden memory before it. Any thread. */
#ifndef PH_BIN_H
#define PH_BIN_H

#include <erl_driver.h>
#include <stdbool.h>

ErlDrvBinary *ph_bin_new(size_t size);                        /* new, refc 1, data 8-aligned; NULL if out of memory or size too large */
ErlDrvBinary *ph_bin_realloc(ErlDrvBinary *b, size_t size);   /* b NULL: new. NULL: no memory, b stays. Sets orig_size */
ErlDrvBinary *ph_bin_ref(ErlDrvBinary *b);                    /* takes a reference, returns b */
void ph_bin_unref(void *b);                                   /* drops one, frees at 0; NULL ok (void * so that it can be a callback) */
ErlDrvSInt ph_bin_refc(const ErlDrvBinary *b);
ErlDrvSInt ph_bin_inc(ErlDrvBinary *b);                       /* count after */
ErlDrvSInt ph_bin_dec(ErlDrvBinary *b);                       /* count after; reaching 0 does not free */

/* Where binaries get their memory from, instead of the pool and malloc. total: bytes of the block, of which used are the hidden head, the head and the data; the rest is
 * there for no one. The ErlDrvBinary begins PH_BIN_HEAD bytes into the block. NULL: out of memory, and realloc leaves the block. Once, before there are threads. */
#define PH_BIN_HEAD 8
struct ph_bin_memory {
    void *(*alloc)(size_t total, size_t used);
    void *(*realloc)(void *block, size_t total, size_t used);
    void (*free)(void *block);
};
void ph_bin_set_memory(const struct ph_bin_memory *m);

#endif
