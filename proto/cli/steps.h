/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done with a port, one step after the other: command, control, call, close, wait. A step is read as a whole before it is
 * run, so that a mistake on the command line is found before anything is started. */
#ifndef PH_CLI_STEPS_H
#define PH_CLI_STEPS_H

#include "args.h"
#include "ports.h"

struct ph_step {
    const struct ph_step_kind *kind;
    uint64_t number;     /* operation, or milliseconds */
    struct ph_wbuf term; /* encoded */
};

/* Whether the word begins a step. */
bool ph_step_is(struct ph_text word);

const char *ph_step_name(size_t i); /* of the i-th, from 0; NULL behind the last */

/* Takes one step from the arguments. 0, or -1 with a message on stderr. To be freed with ph_step_free if 0. */
int ph_step_read(struct ph_args *a, struct ph_step *step);
void ph_step_free(struct ph_step *step);

/* The port may be NULL for wait, which is for all of them. */
enum ph_exit ph_step_run(const struct ph_step *step, struct ph_ports *ports, struct ph_cli_port *port);

/* open COMMAND [-o TERM]...: what there is to it but the name. On a line the options come first. */
struct ph_opening {
    struct ph_text command;
    struct ph_wbuf options; /* n encoded terms */
    uint32_t n;
};
int ph_opening_read(struct ph_args *a, struct ph_opening *o); /* as ph_step_read */
void ph_opening_free(struct ph_opening *o);

/* Prints what there is, for the help. */
void ph_steps_help(FILE *f);

#endif
