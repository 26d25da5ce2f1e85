/* SPDX-License-Identifier: Apache-2.0 */
/* Which message is which of the patterns, so that all fit at once. One thread. */
#ifndef PH_SCRIPT_ASSIGN_H
#define PH_SCRIPT_ASSIGN_H

#include "script/pattern.h"

#define PH_ASSIGN_MAX 64 /* patterns, messages */

struct ph_assignment {
    struct ph_vars *vars;
    struct ph_slice patterns[PH_ASSIGN_MAX], messages[PH_ASSIGN_MAX]; /* borrowed; messages may be added from one search to the next */
    size_t npatterns, n;                                              /* n messages, at most as many as patterns */
    uint64_t used;             /* after a search that found it: the patterns that have a message; else none */
    bool (*must_stop)(void *arg); /* asked again and again while a search goes on */
    void *arg;
    bool stopped;              /* it was: the search has found nothing because of that */

    /* the search's own */
    uint64_t steady;           /* patterns all whose variables had values at the first search, and what they fit of the first `known` messages */
    uint64_t fits[PH_ASSIGN_MAX];
    size_t known;
    bool careful; /* something has failed */
};

/* Finds a pattern for each message; variables are bound, the first messages to the first patterns that they fit. False: there are none, and nothing is
 * bound. The caller leaves variables as they were at the first search. It takes polynomial time, unless variables without a value make what fits depend
 * on what was chosen before. */
bool ph_assign(struct ph_assignment *a);

#endif
