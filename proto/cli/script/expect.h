/* SPDX-License-Identifier: Apache-2.0 */
/* The statement `expect` in all its forms, for the table in statements.c. Contracts as in struct ph_statement_kind. */
#ifndef PH_SCRIPT_EXPECT_H
#define PH_SCRIPT_EXPECT_H

#include "script/reader.h"
#include "script/run.h"

bool ph_take_expect(struct ph_script_reader *r, struct ph_statement *s);
bool ph_run_expect(struct ph_run *run, const struct ph_statement *s);

#endif
