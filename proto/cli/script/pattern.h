/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns: encoded terms with variables in them, as ph_term_read_pattern gives them. They match as in Erlang: _ is any term, a variable
 * without a value gets one, a variable with a value is that value; a map matches one that has these keys, and perhaps others. One thread. */
#ifndef PH_SCRIPT_PATTERN_H
#define PH_SCRIPT_PATTERN_H

#include "etf.h"
#include "script/vars.h"

/* Where a term differs from a pattern. */
struct ph_mismatch {
    char where[256];       /* "element 2 of the tuple, ..."; empty: as a whole */
    char *expected, *came; /* texts of the parts that differ, owned */
};

/* The bytes at the cursor, which is at a term, before the term's first part; of a term without parts all of it. */
size_t ph_pattern_head(struct ph_cur c);

/* Calls f for each variable of the pattern: _ too, and << for a binary with a variable for its rest. */
void ph_pattern_each_var(struct ph_slice pattern, void (*f)(void *arg, struct ph_text name), void *arg);

/* Appends the term with variables replaced by their values; those without a value stay as they are. It ends early, behind PH_TERM_LIMITS, with what is
 * no term. */
void ph_pattern_fill(struct ph_slice pattern, const struct ph_vars *vars, struct ph_wbuf *w);

/* True: variables of the pattern are bound. False: none is, and *m (may be NULL) says why; to be freed by ph_mismatch_free. */
bool ph_pattern_match(struct ph_slice pattern, struct ph_slice term, struct ph_vars *vars, struct ph_mismatch *m);
void ph_mismatch_free(struct ph_mismatch *m);

/* A new text: the pattern, or term, in Erlang syntax. */
char *ph_pattern_text(struct ph_slice pattern);

#endif
