/* SPDX-License-Identifier: Apache-2.0 */
/* Terms as values of jansson, for what makes JSON of its own around them. One thread. */
#ifndef PH_CLI_TERM_JSON_H
#define PH_CLI_TERM_JSON_H

#include <jansson.h>

#include "etf.h"

/* New, as ph_term_print_json would print it; NULL if the bytes are not exactly one well-formed term, or without memory. */
json_t *ph_term_json(struct ph_slice term);

#endif
