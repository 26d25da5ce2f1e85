/* SPDX-License-Identifier: Apache-2.0 */
/* How often the log speaks of what anybody may cause: connections that nobody has admitted yet, requests that are wrong. Any thread. */
#ifndef PH_REFUSAL_H
#define PH_REFUSAL_H

#include <stdbool.h>

#define PH_REFUSAL_LINES 20u    /* are written in */
#define PH_REFUSAL_SECONDS 10u  /* of which the first line is the beginning; then a line says how many more there were */
#define PH_CLIENT_LINES 200u    /* the same, of clients that were admitted: all together */

enum ph_refused { PH_REFUSED_CONNECTION, PH_REFUSED_CLIENT };

/* May this line be written? If not, it is counted for that one. */
bool ph_refusal_told(enum ph_refused what);

#endif
