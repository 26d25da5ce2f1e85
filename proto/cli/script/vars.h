/* SPDX-License-Identifier: Apache-2.0 */
/* The variables of a script: a name and an encoded term each, in the order in which they were bound, so that a block's are dropped with it. One thread. */
#ifndef PH_SCRIPT_VARS_H
#define PH_SCRIPT_VARS_H

#include "args.h"
#include "etf.h"

struct ph_var {
    char *name;
    struct ph_wbuf value;
};

struct ph_vars {
    struct ph_var *at;
    size_t n;
};

void ph_vars_free(struct ph_vars *vars);

/* The value, borrowed until the variable is set or dropped; without bytes if it has none. */
struct ph_slice ph_vars_get(const struct ph_vars *vars, struct ph_text name);

/* Binds or rebinds; the value is copied. Without memory the process ends. */
void ph_vars_set(struct ph_vars *vars, struct ph_text name, struct ph_slice value);

/* Drops all but the first n. */
void ph_vars_truncate(struct ph_vars *vars, size_t n);

#endif
