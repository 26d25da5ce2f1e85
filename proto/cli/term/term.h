/* SPDX-License-Identifier: Apache-2.0 */
/* Terms as text in Erlang syntax, and as JSON. Pure functions but for the output file; any thread.
 *
 * Identifiers of this client's own node are written <0.ID.SERIAL>, #Port<0.ID>, #Ref<0.A.B.C>; those of other nodes have the
 * node's name, and its creation unless that is 0, where the 0 is: <'a@b.c'/17.1.2>. So they can be read again as they were. */
#ifndef PH_CLI_TERM_H
#define PH_CLI_TERM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "etf.h"
#include "proto.h"
#include "term/term_lex.h"
#include "wbuf.h"

#define PH_CTL_NODE "porthostctl@localhost"
#define PH_CTL_CREATION 1u

struct ph_term_limits {
    unsigned max_depth; /* an atom has depth 1 */
    size_t max_bytes;   /* encoded */
};

/* What fits a frame with a request around it. */
#define PH_TERM_LIMITS ((struct ph_term_limits){PH_MAX_DEPTH - 2, PH_MAX_FRAME_DEFAULT - 4096})

/* Drivers nest as they like: what a host says is shown and compared up to this depth. What does so is recursive: it has to fit the stack. */
#define PH_PRINT_DEPTH PH_ETF_DEPTH_MAX

/* Appends the one term that the text is (a '.' may follow it) to w, in external format without the leading 131.
 * 0, or -1 with *err set and w as it was. */
int ph_term_read(const char *text, size_t len, struct ph_term_limits limits, struct ph_wbuf *w, struct ph_term_error *err);

/* The same for a term at the beginning of the text; *used is set to the bytes up to its end. */
int ph_term_read_prefix(const char *text, size_t len, struct ph_term_limits limits, struct ph_wbuf *w,
                        struct ph_term_error *err, size_t *used);

/* The same where variables may stand for terms, but not in the keys of maps. In the encoding a variable is PH_TERM_VAR, a byte with the
 * length of what follows, a NUL byte, and the name in ASCII: an atom that neither the reader nor a host writes. "text" ++ Term is a list with that tail, and
 * <<..., Variable/binary>> is a tuple {<<, Binary, Variable}, whose first element is a variable of the name <<. */
#define PH_TERM_VAR 's' /* SMALL_ATOM_EXT */
#define PH_TERM_VAR_MAX 63
int ph_term_read_pattern(const char *text, size_t len, struct ph_term_limits limits, struct ph_wbuf *w,
                         struct ph_term_error *err, size_t *used);

/* Prints one encoded term (no leading 131) on one line, without a newline, as io_lib:format("~0tp") does in a shell that
 * prints Unicode. 0, or -1 if the bytes are not exactly one well-formed term: then nothing is printed. */
int ph_term_print(FILE *f, struct ph_slice term);

/* The same, but binaries that are no text are shown as text with escapes, <<"GIF\000\377">>, rather than as numbers. */
int ph_term_print_escaped(FILE *f, struct ph_slice term);

/* The same as JSON. Atoms become strings (true and false booleans), integers numbers, strings and binaries in UTF-8 strings,
 * lists arrays, maps objects (a key that is not text as its Erlang text, and all keys if two would be the same), tuples {"tuple": [...]}, everything
 * else {"term": "Erlang text"}. */
int ph_term_print_json(FILE *f, struct ph_slice term);

/* The parts that both printers need. */

/* Walks the cells of a proper or improper list, also one whose tails are lists of their own. */
struct ph_cells {
    struct ph_cur cur;
    uint32_t left; /* elements before the tail */
    bool bytes;    /* they are those of a STRING_EXT */
};

enum ph_cell {
    PH_CELL_BYTE,
    PH_CELL_TERM, /* cur is at the element, which the caller must pass before it asks for the next */
    PH_CELL_END,  /* cur is behind the list */
    PH_CELL_TAIL  /* cur is at the tail of an improper list */
};

/* -1 if the cursor is not at a list. */
int ph_cells_begin(struct ph_cells *l, struct ph_cur c);
enum ph_cell ph_cells_next(struct ph_cells *l, uint8_t *byte);

/* A list head without elements stands for its tail, as the VM reads it: passes such heads. */
void ph_term_pass_empty_heads(struct ph_cur *c);

/* If the term at the cursor is a list of printable characters (not empty): its UTF-8 text, new. NULL if it is not, or without memory. */
char *ph_term_string_text(struct ph_cur c, size_t *len);

/* True if the bytes are UTF-8 and all printable; *ascii if all are below 128. */
bool ph_utf8_printable(struct ph_slice bytes, bool *ascii);

#endif
