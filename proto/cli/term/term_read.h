/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the term reader (term_read.c, term_bits.c, term_ident.c) share. Its users include term.h. */
#ifndef PH_CLI_TERM_READ_H
#define PH_CLI_TERM_READ_H

#include "term/term.h"

struct ph_reader {
    struct ph_lex lex;
    struct ph_term_limits limits;
    struct ph_wbuf *w;
    size_t begin; /* length of w before the term */
    bool variables;  /* they may stand for terms */
    unsigned in_key; /* so many keys of maps, one in the other, are being read */
};

struct ph_integer {
    bool negative;
    uint8_t *mag; /* magnitude, least significant byte first; freed by whoever read it */
    size_t len;
};

/* All return false with the error recorded, or true with the lexer at the last token of what was read. */

/* Passes a sign, if there is one. */
bool ph_read_sign(struct ph_reader *r);
bool ph_read_integer(struct ph_reader *r, bool negative, struct ph_integer *n);
bool ph_read_binary(struct ph_reader *r);
bool ph_read_pid(struct ph_reader *r);
bool ph_read_port(struct ph_reader *r);
bool ph_read_ref(struct ph_reader *r);

bool ph_read_expected(struct ph_reader *r, const char *what); /* at the current token; returns false */
bool ph_read_no_memory(struct ph_reader *r);                  /* returns false */

/* Whether the variable that the lexer is at may stand here; and how it is written. */
bool ph_read_var_ok(struct ph_reader *r);
void ph_read_put_var(struct ph_reader *r, const char *name, size_t len);

/* Whether the term may grow by this many bytes; false with an error recorded if not, or if writing has failed. To be asked before
 * anything large is written, and after small things (a token more than the limit does no harm). */
bool ph_read_fits(struct ph_reader *r, size_t more);

/* Whether the integer fits 64 bits. */
bool ph_integer_small(const struct ph_integer *n, int64_t *v);

void ph_put32(uint8_t *p, uint32_t v);
void ph_put_raw8(struct ph_wbuf *w, unsigned v);
void ph_put_raw32(struct ph_wbuf *w, uint32_t v);

#endif
