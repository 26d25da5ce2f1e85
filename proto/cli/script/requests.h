/* SPDX-License-Identifier: Apache-2.0 */
/* The statements that ask something of the host, for the table in statements.c. Contracts as in struct ph_statement_kind. */
#ifndef PH_SCRIPT_REQUESTS_H
#define PH_SCRIPT_REQUESTS_H

#include "script/reader.h"
#include "script/run.h"

bool ph_take_load(struct ph_script_reader *r, struct ph_statement *s);
bool ph_take_unload(struct ph_script_reader *r, struct ph_statement *s);
bool ph_take_open(struct ph_script_reader *r, struct ph_statement *s);
bool ph_take_command(struct ph_script_reader *r, struct ph_statement *s);
bool ph_take_request(struct ph_script_reader *r, struct ph_statement *s); /* control, call */
bool ph_take_connect(struct ph_script_reader *r, struct ph_statement *s);
bool ph_take_close(struct ph_script_reader *r, struct ph_statement *s);

bool ph_run_load(struct ph_run *run, const struct ph_statement *s);
bool ph_run_unload(struct ph_run *run, const struct ph_statement *s);
bool ph_run_open(struct ph_run *run, const struct ph_statement *s);
bool ph_run_command(struct ph_run *run, const struct ph_statement *s);
bool ph_run_request(struct ph_run *run, const struct ph_statement *s);
bool ph_run_connect(struct ph_run *run, const struct ph_statement *s);
bool ph_run_close(struct ph_run *run, const struct ph_statement *s);

/* A port that has been opened before. */
bool ph_take_port(struct ph_script_reader *r, struct ph_statement *s);

/* Appends the statement's term of that number, with its variables filled in. False with the failure told: too deep or too long. */
bool ph_run_put(struct ph_run *run, const struct ph_statement *s, size_t i, struct ph_wbuf *w);

/* The same for a text: iodata, as strings that are joined are, becomes a binary. */
bool ph_run_put_text(struct ph_run *run, const struct ph_statement *s, size_t i, struct ph_wbuf *w);

#endif
