/* SPDX-License-Identifier: Apache-2.0 */
/* Error numbers as the atoms Erlang knows them by. */
#ifndef PH_ERRNO_ID_H
#define PH_ERRNO_ID_H

/* The lower-case name ("enoent"), immortal; "unknown" for a number without one, 0 and negative ones too. Any thread. */
const char *ph_errno_id(int error);

#endif
