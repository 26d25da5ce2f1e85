/* SPDX-License-Identifier: Apache-2.0 */
/* Standard output: one term to a line, written out at once. One thread. */
#ifndef PH_CLI_OUT_H
#define PH_CLI_OUT_H

#include <stdbool.h>

#include "cli.h"
#include "etf.h"

/* The encoded term (no leading 131), in Erlang syntax or as JSON. */
void ph_out_term(const struct ph_cli *cli, struct ph_slice term);

/* What a request failed with, on stderr: "WHAT: REASON". */
void ph_out_failure(const char *what, struct ph_slice reason);

/* Whether something could not be written, which happens when nobody reads any more. */
bool ph_out_failed(void);

#endif
