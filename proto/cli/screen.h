/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the terminal behind a stream. Any thread. */
#ifndef PH_CLI_SCREEN_H
#define PH_CLI_SCREEN_H

#include <stdbool.h>
#include <stdio.h>

enum ph_look { PH_LOOK_PLAIN, PH_LOOK_BOLD, PH_LOOK_RED, PH_LOOK_YELLOW, PH_LOOK_CYAN };

bool ph_screen_is(FILE *f);                            /* a terminal that knows escape sequences */
void ph_screen_size(FILE *f, int *rows, int *columns); /* 24 and 80 if it does not tell */

/* What begins and ends text of that look: empty unless f is such a terminal and NO_COLOR is not set, or is empty. */
const char *ph_screen_on(FILE *f, enum ph_look look);
const char *ph_screen_off(FILE *f, enum ph_look look);

#endif
