/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said of an ErlDrvEntry by looking at it. Pure functions, also for porthostctl, which looks into files. */
#ifndef PH_DRIVER_ENTRY_H
#define PH_DRIVER_ENTRY_H

#include <erl_driver.h>
#include <stdbool.h>
#include <stddef.h>

#include "wbuf.h"

/* Whether a driver of this marker and version is loaded. */
bool ph_entry_spoken(const ErlDrvEntry *e);

/* The bytes that an entry of its version has: those of before 3.2 end in front of emergency_close. */
size_t ph_entry_size(const ErlDrvEntry *e);

/* What differs in an entry of the same version: a callback's name, or another text. NULL: nothing. */
const char *ph_entry_difference(const ErlDrvEntry *a, const ErlDrvEntry *b);

/* Appends the map that PROTOCOL.md describes at driver_info, item entry. */
void ph_w_entry(struct ph_wbuf *w, const ErlDrvEntry *e);

#endif
