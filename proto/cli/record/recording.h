/* SPDX-License-Identifier: Apache-2.0 */
/* A recording as RECORDINGS.md describes it, read from a file. One thread. */
#ifndef PH_CLI_RECORDING_H
#define PH_CLI_RECORDING_H

#include <stdbool.h>
#include <stddef.h>

#include "wbuf.h"

#define PH_RECORDING_HEAD "porthost recording 1"
#define PH_RECORDING_MAX_FRAME (1u << 30) /* bytes: a longer frame is recorded as rest */

enum ph_line_kind {
    PH_LINE_TERM,  /* bytes: the term without the leading 131, with variables as ph_term_read_pattern has them */
    PH_LINE_FRAME, /* bytes: what is in the frame */
    PH_LINE_REST,  /* bytes: as they are on the stream */
    PH_LINE_ENDED,
    PH_LINE_CUT
};

struct ph_line {
    unsigned number; /* in the file, from 1 */
    bool by_host;
    enum ph_line_kind kind;
    char *text; /* of PH_LINE_TERM, as written */
    struct ph_wbuf bytes;
};

struct ph_recording {
    const char *file; /* borrowed */
    struct ph_line *lines;
    size_t n;
};

/* False with a message "FILE:LINE:COLUMN: ..." on stderr; then there is nothing to free. */
bool ph_recording_read(struct ph_recording *r, const char *file);
void ph_recording_free(struct ph_recording *r);

#endif
