/* SPDX-License-Identifier: Apache-2.0 */
/* The statements of the language: how each is read, and what it does. */
#ifndef PH_SCRIPT_STATEMENTS_H
#define PH_SCRIPT_STATEMENTS_H

#include "script/reader.h"
#include "script/run.h"

struct ph_statement_kind {
    const char *name;
    bool offline;   /* needs no host */
    bool by_caller; /* may have `as CALLER` before it */
    bool (*read)(struct ph_script_reader *r, struct ph_statement *s); /* what follows the name; as the functions of reader.h */
    /* True, or false with the failure told by ph_run_fail or the run lost. */
    bool (*run)(struct ph_run *run, const struct ph_statement *s);
};

/* NULL: there is none of that name. */
const struct ph_statement_kind *ph_statement_find(const char *name);

#endif
