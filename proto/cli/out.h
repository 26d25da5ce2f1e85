/* SPDX-License-Identifier: Apache-2.0 */
/* Standard output: one term to a line, written out at once. One thread. */
#ifndef PH_CLI_OUT_H
#define PH_CLI_OUT_H

#include <stdbool.h>

#include "cli.h"
#include "etf.h"
#include "host/session.h"

/* The encoded term (no leading 131), in Erlang syntax or as JSON. */
void ph_out_term(const struct ph_cli *cli, struct ph_slice term);

/* The value of a reply, or why it is an error; what else went wrong has been said. The status that follows from it. */
enum ph_exit ph_out_reply(const struct ph_cli *cli, const char *request, enum ph_result r, struct ph_slice value);

/* What a request failed with, on stderr: "WHAT: REASON". */
void ph_out_failure(const char *what, struct ph_slice reason);

/* Whether something could not be written, which happens when nobody reads any more. */
bool ph_out_failed(void);

/* Whether a term could not be shown. */
bool ph_out_incomplete(void);

#endif
