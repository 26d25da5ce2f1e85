/* SPDX-License-Identifier: Apache-2.0 */
/* What a line of the shell may go on with: commands, ports, steps, and what the host knows. One thread. */
#ifndef PH_CLI_COMPLETE_H
#define PH_CLI_COMPLETE_H

#include "host/session.h"
#include "ports.h"

/* Calls `add` for each word that may stand where `line` ends (a word begun there included, which is then a prefix of each): borrowed for
 * the call. The host is asked for drivers and ports, if such a word is due. The length of the word begun. */
size_t ph_complete(struct ph_session *s, struct ph_text line, void (*add)(void *arg, struct ph_text word), void *arg);

#endif
