/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of any size and depth: whether a VM can decode them, which takes more than being well-formed, and whether the keys of their maps differ.
 * Keys are compared as the VM compares them in maps (=:= of OTP 25: 1 and 1.0 differ,
 * 0.0 and -0.0 do not, and the encoding does not matter). Any thread, no lock. */
#ifndef PH_CANON_H
#define PH_CANON_H

#include "etf.h"
#include "wbuf.h"

/* Like ph_etf_skip, for terms that do not come in a frame: a list may be encoded cell by cell, each the tail of the one before, and
 * terms may be nested a million deep. */
int ph_canon_skip(struct ph_cur *c);

/* Same, the keys of each map differ, and the slice gets the encoded bytes: binary_to_term takes them. */
int ph_canon_raw(struct ph_cur *c, struct ph_slice *out);

/* Is all of it one such term? */
bool ph_canon_is_term(struct ph_slice etf);

/* Looks at the one term that begins at the len-th byte and the nrefs-th ref of w and ends with w.
 * 0: no map in it has equal keys; -1: one has, or the term is not well-formed, or out of memory. */
int ph_canon_check_keys(const struct ph_wbuf *w, size_t len, size_t nrefs);

#endif
