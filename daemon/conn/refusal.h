/* SPDX-License-Identifier: Apache-2.0 */
/* How often the log speaks of connections that nobody has admitted yet: anybody may cause those lines. Any thread. */
#ifndef PH_REFUSAL_H
#define PH_REFUSAL_H

#include <stdbool.h>

#define PH_REFUSAL_LINES 20u    /* are written in */
#define PH_REFUSAL_SECONDS 10u  /* of which the first line is the beginning; then a line says how many more there were */

/* May this line be written? If not, it is counted for that one. */
bool ph_refusal_told(void);

#endif
