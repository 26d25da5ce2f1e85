/* SPDX-License-Identifier: Apache-2.0 */
/* What the VM aborts on, the host aborts on: a driver that misuses a lock or a key cannot be answered. In the checking mode it is reported and not done. */
#ifndef PH_MISUSE_H
#define PH_MISUSE_H

#include <string.h>

#include "base/log.h"

/* function: the driver API function that was called so; err: an errno that says what is wrong. */
_Noreturn static inline void ph_misuse(const char *function, int err)
{
    ph_fatal("a driver misused %s(): %s", function, strerror(err));
}

#endif
