/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments, of the command line or of a line read: the same functions take them from either. On a line, words are separated by
 * blanks and the last argument is what is left of the line. Everything given out is borrowed from the source. One thread. */
#ifndef PH_CLI_ARGS_H
#define PH_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "term/term.h"

struct ph_args {
    char **argv;       /* what is left of the command line, NULL-terminated; NULL: it is a line */
    const char *line, *at, *end; /* the line, what is left of it */
    unsigned line_number;
};

struct ph_text {
    const char *p; /* not NUL-terminated; NULL: none was left */
    size_t len;
};

struct ph_args ph_args_of_argv(char **argv);
struct ph_args ph_args_of_line(const char *line, size_t len, unsigned number);

bool ph_args_left(const struct ph_args *a);
struct ph_text ph_args_peek(const struct ph_args *a);  /* the next word, not taken */
struct ph_text ph_args_word(struct ph_args *a);
struct ph_text ph_args_rest(struct ph_args *a);        /* the next argument of a command line; all that is left of a line */

bool ph_text_is(struct ph_text t, const char *s);
bool ph_text_number(struct ph_text t, uint64_t max, uint64_t *v); /* decimal digits only */

/* These append an encoded term to w. False with a message on stderr, also if the argument is missing; `what` names it there. */
bool ph_args_term(struct ph_args *a, const char *what, struct ph_wbuf *w);
bool ph_args_term_word(struct ph_args *a, const char *what, struct ph_wbuf *w); /* only up to the end of the term */
/* DATA: text, @FILE, - for stdin (not on a line), term:TERM for iodata. */
bool ph_args_data(struct ph_args *a, const char *what, struct ph_wbuf *w);
bool ph_args_number(struct ph_args *a, const char *what, uint64_t max, uint64_t *v);

/* Complains about the use of a command: "[stdin:LINE: ]TEXT". */
void ph_args_complain(const struct ph_args *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
