/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of Erlang term syntax from UTF-8 text, and errors with their place in it. One lexer is used by one thread;
 * it borrows the text and owns the decoded text of the current token. */
#ifndef PH_CLI_TERM_LEX_H
#define PH_CLI_TERM_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The first error wins; later ones are not recorded. */
struct ph_term_error {
    size_t offset;         /* bytes from the start of the text */
    unsigned line, column; /* from 1; a column is a code point (or a byte that is none) */
    char text[160];        /* what was expected and what was found; empty: no error */
};

enum ph_tok {
    PH_TOK_END,
    PH_TOK_BAD, /* an error was recorded */
    PH_TOK_ATOM,
    PH_TOK_VAR,
    PH_TOK_INT,  /* base and digits; of a character: base 0 and code */
    PH_TOK_FLOAT,
    PH_TOK_STRING,
    PH_TOK_BIN_OPEN,
    PH_TOK_BIN_CLOSE,
    PH_TOK_ARROW,
    PH_TOK_PUNCT /* one character: code */
};

struct ph_lex {
    const char *text, *end, *pos; /* pos: behind the current token */
    const char *start;            /* of the current token */
    enum ph_tok tok;
    uint32_t code;
    bool quoted;        /* an atom in quotes */
    unsigned base;
    const char *digits; /* of an integer, `digits_len` characters with '_' in between */
    size_t digits_len;
    double number;
    char *buf;          /* decoded UTF-8 of an atom, variable or string; may hold NUL bytes, has one behind */
    size_t len, cap;
    struct ph_term_error *err;
};

void ph_lex_init(struct ph_lex *x, const char *text, size_t len, struct ph_term_error *err);
void ph_lex_free(struct ph_lex *x);

/* Reads the next token; white space and % comments are passed over. */
enum ph_tok ph_lex_next(struct ph_lex *x);

/* The first character of the next token, or 0 at the end; reads nothing. */
char ph_lex_peek(struct ph_lex *x);

bool ph_lex_is(const struct ph_lex *x, char punct);

/* What <0.1.2>, #Port<..> and #Ref<..> hold behind the '<', up to and with the '>': a node, 0 for the local one (empty in
 * buf) or an atom (in buf, with *creation if "/NUMBER" follows), then ".NUMBER" up to max times. The count, or -1. */
int ph_lex_identifier(struct ph_lex *x, uint64_t *numbers, int max, uint32_t *creation);

/* Whether an atom needs no quotes. */
bool ph_atom_plain(const char *text, size_t len);

/* Records an error at p: "expected WHAT, found ...". */
void ph_lex_expected(struct ph_lex *x, const char *p, const char *what);

/* Records an error at p in these words. */
void ph_lex_error(struct ph_lex *x, const char *p, const char *text);

/* Writes "NAME:LINE:COLUMN: TEXT", the line of the text and a caret below the place. line_base is added to the line. */
void ph_term_error_print(FILE *f, const char *name, unsigned line_base, const char *text, size_t len,
                         const struct ph_term_error *err);

#endif
