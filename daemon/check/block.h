/* SPDX-License-Identifier: Apache-2.0 */
/* How a block or binary comes to its end: for the files of check/ that count who has it. */
#ifndef PH_CHECK_BLOCK_H
#define PH_CHECK_BLOCK_H

#include "check/thing.h"

/* With ph_things_mu, by who has found that it is not gone without giving the mutex back since. It goes to quarantine; true: it was damaged, and r is to be told. */
bool ph_block_end_locked(struct ph_thing *t, struct ph_report *r, const struct ph_act *act);
void ph_quarantine_drain(const struct ph_act *act); /* until it is not too full; without any mutex, after each end */
void ph_block_remember(const void *at); /* this thread looks at it after the callback */

#endif
