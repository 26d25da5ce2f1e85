/* SPDX-License-Identifier: Apache-2.0 */
/* Lines from a terminal, with editing, history and completion, by libedit. What the host sends meanwhile is printed above the line. One thread,
 * at most one at a time. The history is kept in ~/.porthostctl_history, which only its owner can read. */
#ifndef PH_CLI_EDIT_H
#define PH_CLI_EDIT_H

#include "args.h"
#include "host/session.h"

struct ph_edit;

/* NULL if stdin and stdout are no terminal that can do that. */
struct ph_edit *ph_edit_open(struct ph_session *s);
void ph_edit_close(struct ph_edit *e);

enum ph_edit_end {
    PH_EDIT_LINE,      /* without its newline; borrowed until the next call */
    PH_EDIT_ABANDONED, /* by Ctrl-C */
    PH_EDIT_EOF,
    PH_EDIT_LOST       /* the host is gone, or we are to end; why tells ph_edit_result */
};
enum ph_edit_end ph_edit_line(struct ph_edit *e, struct ph_text *line);
enum ph_result ph_edit_result(const struct ph_edit *e);

#endif
