/* SPDX-License-Identifier: Apache-2.0 */
/* Line mode (open_port option {line,L}): cuts what a driver outputs into lines. SEMANTICS "Output to the owner", line mode.
 * Used under the port's lock. */
#ifndef PH_LINE_H
#define PH_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct ph_line; /* the unfinished line */

/* Called once for each message: its bytes (borrowed), and whether the line is complete (eol) or not (noeol). */
typedef void ph_line_emit(void *arg, const char *p, size_t len, bool eol);

struct ph_line *ph_line_new(size_t max); /* new; max >= 1 bytes in a line. NULL: out of memory */
void ph_line_free(struct ph_line *l);    /* NULL ok */
void ph_line_feed(struct ph_line *l, const char *p, size_t len, ph_line_emit *emit, void *arg);
void ph_line_flush(struct ph_line *l, ph_line_emit *emit, void *arg); /* eof: what is left as noeol, a pending CR too */

#endif
