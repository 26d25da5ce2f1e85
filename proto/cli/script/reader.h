/* SPDX-License-Identifier: Apache-2.0 */
/* What the reading of statements is made of: words, names, terms and durations on the line that is read, and the names known so far. Unless said otherwise
 * a function returns false with the mistake recorded, or true. One thread. */
#ifndef PH_SCRIPT_READER_H
#define PH_SCRIPT_READER_H

#include "script/script.h"
#include "term/term.h"

enum ph_known { PH_KNOWN_PORT, PH_KNOWN_CALLER, PH_KNOWN_VARIABLE }; /* a caller is a variable too */

struct ph_script_reader {
    struct ph_script *script;
    struct ph_script_source *source;
    struct ph_lex lex; /* between statements' parts at the last token taken */
    struct ph_term_error err;
    struct ph_statement *statement; /* the one that is read */
    struct { enum ph_known kind; char *name; } *known;
    size_t nknown;
    size_t blocks[PH_SCRIPT_BLOCKS]; /* repeats that are open, by their index */
    size_t known_at[PH_SCRIPT_BLOCKS];
    unsigned depth;
    unsigned base;        /* depth at the beginning of this file */
    unsigned includes;    /* files that are open, one in the other */
    size_t common;        /* nknown at the first test */
    bool host;            /* a statement that needs the host has been read */
};

/* Whether there is more on this line; a comment is nothing. */
bool ph_take_more(struct ph_script_reader *r);

/* Passes the ends of lines, where something must follow that may stand on the next line. */
void ph_take_line_end(struct ph_script_reader *r);

bool ph_take_mistake(struct ph_script_reader *r, const char *text);       /* at the current token; returns false */
bool ph_take_wanted(struct ph_script_reader *r, const char *what);        /* "expected WHAT, found ..." at what comes next; returns false */

/* Whether the word is next on the line. */
bool ph_take_next_is(const struct ph_script_reader *r, const char *word);

bool ph_take_next_is_variable(struct ph_script_reader *r);

/* Takes the word if it is next on the line; false without a mistake if it is not. */
bool ph_take_word_if(struct ph_script_reader *r, const char *word);
bool ph_take_word(struct ph_script_reader *r, const char *word);

bool ph_take_name(struct ph_script_reader *r, const char *what, char *name); /* an atom of at most PH_SCRIPT_NAME_MAX bytes */
bool ph_take_variable(struct ph_script_reader *r, const char *what, char *name);
bool ph_take_number(struct ph_script_reader *r, const char *what, uint64_t max, uint64_t *v);
bool ph_take_duration(struct ph_script_reader *r, int64_t *ms); /* 20ms, 1.5s, 2m */

/* The text of a string that is not empty and has no NUL bytes, as a new one; NULL after a mistake. */
bool ph_take_string(struct ph_script_reader *r, const char *what, char **text);

/* Appends a term to the statement's: all of its variables are known. */
bool ph_take_term(struct ph_script_reader *r);
/* The same for a pattern: its variables are known from now on. */
bool ph_take_pattern(struct ph_script_reader *r);
/* "-> PATTERN" or "-> error PATTERN", if there. */
bool ph_take_result(struct ph_script_reader *r);

bool ph_knows(const struct ph_script_reader *r, enum ph_known kind, struct ph_text name);
void ph_know(struct ph_script_reader *r, enum ph_known kind, struct ph_text name);
void ph_forget(struct ph_script_reader *r, size_t n); /* all but the first n */

#endif
