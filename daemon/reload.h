/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration in force, and reading it again. */
#ifndef PH_RELOAD_H
#define PH_RELOAD_H

#include <stdbool.h>

#include "options.h"

/* c (taken) is in force; what asked for a reload before this gets it now. o is borrowed for as long as the process lives. */
void ph_reload_init(const struct ph_options *o, struct ph_config *c);
/* Reads the configuration again, in a thread of its own; if one is at it already, it does so once more when it is done. Any thread. */
void ph_reload(void);
/* The daemon ends: from now on nothing is put in force. How many seconds the end may take, as what is in force says. Any thread. */
unsigned ph_reload_bar(void);
/* After ph_reload_bar, when no reactor runs any more: frees what is in force; false if a thread still reads, then nothing may be taken down under it. */
bool ph_reload_end(void);

#endif
