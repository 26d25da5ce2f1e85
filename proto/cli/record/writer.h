/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a recording, in a thread of its own: who hears something hands over a copy and goes on. */
#ifndef PH_CLI_RECORD_WRITER_H
#define PH_CLI_RECORD_WRITER_H

#include "record/relay.h"

struct ph_writer;

/* Opens (and empties) the file and starts the thread. NULL with a message on stderr. */
struct ph_writer *ph_writer_start(const char *file);

/* Bytes of a side's stream, copied; len 0: it has ended. Never waits for the file. */
void ph_writer_heard(struct ph_writer *w, enum ph_side side, const void *bytes, size_t len);

/* Waits until everything is in the file. how: what went wrong with the host, for its `host ended` line; empty: nothing. False, with a message on
 * stderr, if something is missing in the file. */
bool ph_writer_finish(struct ph_writer *w, const char *how);

#endif
