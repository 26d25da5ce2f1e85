/* SPDX-License-Identifier: Apache-2.0 */
/* Terms that a driver hands over already encoded (ERL_DRV_EXT2TERM): version byte, term, perhaps compressed, perhaps followed by
 * other bytes. Any thread, no lock. */
#ifndef PH_EXT_H
#define PH_EXT_H

#include "wbuf.h"

/* 0: a term is there that ph_ext_append can append. Equal map keys are not looked for. */
int ph_ext_check(const void *p, size_t len);

/* Appends the term, uncompressed and without version byte. -1: there is none, or out of memory; w may hold part of it. */
int ph_ext_append(struct ph_wbuf *w, const void *p, size_t len);

#endif
