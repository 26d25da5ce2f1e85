/* SPDX-License-Identifier: Apache-2.0 */
/* A script as it was read: files, and statements in the order of their text, those of included files in place of `include`. SCRIPTS.md is the
 * language's reference. Read-only once it has been read, so a child process may run what its parent has read. */
#ifndef PH_SCRIPT_H
#define PH_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "args.h"
#include "etf.h"

#define PH_SCRIPT_NAME_MAX 63
#define PH_SCRIPT_TITLE_MAX 200 /* bytes of the name of a test */
#define PH_SCRIPT_BLOCKS 16     /* repeats in each other */

struct ph_script_source {
    char *name, *text;
    size_t len;
    size_t counted; /* bytes, in which there are so many */
    unsigned lines;
    struct ph_script_source *next; /* read after this one */
};

struct ph_script_term {
    struct ph_wbuf term;  /* a pattern: variables may be in it */
    struct ph_text text;  /* as written, borrowed from the source */
};

enum ph_script_outcome { PH_OUTCOME_NONE, PH_OUTCOME_OK, PH_OUTCOME_ERROR }; /* what follows "->" */

struct ph_statement {
    const struct ph_statement_kind *kind;
    const struct ph_script_source *source;
    unsigned line;
    struct ph_text text;                 /* all of the statement */
    char as[PH_SCRIPT_NAME_MAX + 1];     /* the caller's name */
    char name[PH_SCRIPT_NAME_MAX + 1];   /* of a port, a variable, a driver, whatever the statement is about */
    char item[PH_SCRIPT_TITLE_MAX + 1];  /* a second one, or the name of a test */
    unsigned variant;                    /* of the statement */
    uint64_t number;                     /* operation, count, milliseconds */
    int64_t within_ms;                   /* -1: not given */
    struct ph_script_term *terms;        /* the result's pattern is the last */
    size_t n;
    enum ph_script_outcome outcome;
    size_t partner;                      /* of repeat: its end; of end: its repeat */
};

struct ph_script {
    const char *name; /* the file's, borrowed */
    struct ph_script_source *sources;
    struct ph_statement *at;
    size_t n;
    unsigned tests;     /* statements `test` */
};

/* Reads and checks a file and what it includes. NULL with a message on stderr that has the place of the mistake. */
struct ph_script *ph_script_read(const char *file);
void ph_script_free(struct ph_script *script);

#endif
