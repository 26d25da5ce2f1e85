/* SPDX-License-Identifier: Apache-2.0 */
/* What a run knows of processes and ports, kept in step with the host by its events. One thread. */
#ifndef PH_SCRIPT_WORLD_H
#define PH_SCRIPT_WORLD_H

#include "script/run.h"

/* Takes over the session's events. */
void ph_world_listen(struct ph_run *run);

/* A new process; its pid is the value of the variable of that name. */
struct ph_caller *ph_world_caller(struct ph_run *run, struct ph_text name);

/* The caller of a statement, by its variable. */
struct ph_caller *ph_world_find_caller(const struct ph_run *run, const char *name);

/* The port that has that name now; NULL: none had. */
struct ph_script_port *ph_world_find_port(const struct ph_run *run, const char *name);

/* Appends its term. */
void ph_world_put_port(struct ph_wbuf *w, const struct ph_script_port *port);

/* A new port of that name; the one that had it is out of reach. */
struct ph_script_port *ph_world_port(struct ph_run *run, const char *name, uint64_t id, const struct ph_caller *owner);

/* Ends a process: its links break, its monitors are told. PH_RESULT_OK or one that says why the host could not be told. */
enum ph_result ph_world_kill(struct ph_run *run, struct ph_caller *c, struct ph_slice reason);

/* What is behind the first so many is ended: callers die, ports are killed. */
enum ph_result ph_world_end(struct ph_run *run, size_t ncallers, size_t nports);

void ph_world_free(struct ph_run *run);

/* Takes a message out of a mailbox and frees it. */
void ph_message_drop(struct ph_mailbox *box, struct ph_message *m);

#endif
