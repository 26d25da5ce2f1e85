/* SPDX-License-Identifier: Apache-2.0 */
/* What was expected and what came, for people. */
#ifndef PH_SCRIPT_DIFF_H
#define PH_SCRIPT_DIFF_H

#include <stdio.h>

#include "script/pattern.h"
#include "script/script.h"

/* Prints the pattern as it is written, the term, and where they differ, in lines that begin with two blanks. */
void ph_diff_print(FILE *f, const struct ph_script_term *pattern, struct ph_slice term, const struct ph_vars *vars, const struct ph_mismatch *m);

/* The pattern as it is written, on one line, no longer than a few hundred bytes. */
void ph_diff_pattern(FILE *f, const struct ph_script_term *pattern);

#endif
