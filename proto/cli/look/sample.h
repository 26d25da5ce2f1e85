/* SPDX-License-Identifier: Apache-2.0 */
/* What a host does at a time, and what changed since an earlier one, as JSON:
 *
 *   {"time": nanoseconds since 1970, "interval": seconds since the one before, "stats": {what stats says},
 *    "ports": [{what port_stats says, "rates": {"input", "output", "messages", "runs": per second,
 *                "run_time": part of the time, 0..1, also that of a run that goes on}}]}
 *
 * Ports with most run time come first. One thread. */
#ifndef PH_CLI_SAMPLE_H
#define PH_CLI_SAMPLE_H

#include <jansson.h>

#include "host/session.h"

/* Asks the host. *sample: new, if the result is OK. before: of the same session, or NULL; then there is no interval and no rates.
 * What went wrong has been said. */
enum ph_result ph_sample_take(struct ph_session *s, json_t *before, json_t **sample);

/* A number of an object; 0 if it has none of that name. */
double ph_sample_number(const json_t *object, const char *key);

#endif
