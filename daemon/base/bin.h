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

#endif
