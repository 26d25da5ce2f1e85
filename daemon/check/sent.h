/* SPDX-License-Identifier: Apache-2.0 */
/* What drivers have sent of their binaries must not change as long as the host refers to them: for the files of check/, with ph_things_mu. */
#ifndef PH_CHECK_SENT_H
#define PH_CHECK_SENT_H

#include "check/thing.h"

/* What was sent is forgotten if nobody but the driver has the binary now: it may change what it likes. To be called before the host may get a reference again, and before the driver
 * gives one up. */
void ph_sent_settle_locked(struct ph_thing *t);
/* True once for what has changed since it was sent. */
bool ph_sent_is_changed_locked(struct ph_thing *t);

#endif
