/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of RECORDINGS.md: which frames keep their order, and what may differ from the recording. One thread. */
#ifndef PH_CLI_RECORD_RULES_H
#define PH_CLI_RECORD_RULES_H

#include "record/recording.h"
#include "record/streams.h"

struct ph_request_made;

struct ph_rules {
    struct ph_streams streams;
    struct ph_request_made *requests; /* not answered yet, the oldest first */
};

/* Takes in the lines of a recording, all of them once in their order: replaces what may differ by variables. */
void ph_rules_take(struct ph_rules *r, struct ph_line *l);
void ph_rules_free(struct ph_rules *r);

/* Whether what the host says is compared at all. */
bool ph_rules_compare(struct ph_slice term);

/* The stream of a term from the host (without the leading 131), after all lines have been taken; NULL if nothing of it was recorded. live: it is
 * not from the recording. */
struct ph_stream *ph_rules_stream(struct ph_rules *r, struct ph_slice term, bool live);

#endif
