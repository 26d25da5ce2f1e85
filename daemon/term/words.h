/* SPDX-License-Identifier: Apache-2.0 */
/* Terms that fit one word (ErlDrvTermData): nil, atoms, pids, ports. Words are stable for the life of the process, comparable with ==,
 * and cost nothing to hold; atoms and node names are interned and never recycled. Any thread.
 *
 * Layout (64 bit): the low 4 bits are a tag. A pid carries origin (16 bits, an interned node name and creation), serial (16) and id (28);
 * one that does not fit is interned whole, in a bounded table. A port carries its handle (60 bits). */
#ifndef PH_WORDS_H
#define PH_WORDS_H

#include <erl_driver.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "etf.h"
#include "wbuf.h"

#define PH_NIL ((ErlDrvTermData)0x3b) /* also the value of the datum driver_term_nil */
#define PH_ORIGIN_NONE 0xffffffffu

enum ph_word_kind { PH_WORD_BAD, PH_WORD_NIL, PH_WORD_ATOM, PH_WORD_PID, PH_WORD_PORT };
enum ph_word_kind ph_word_kind(ErlDrvTermData w); /* BAD also for an atom or pid index that was never given out */

/* Latin-1 text (at most 255 characters are kept) or UTF-8 text; equal names give equal words. At the limit (1,000,000
 * atoms): the word of atom system_limit, and one line in the log. */
ErlDrvTermData ph_atom_latin1(const char *s, size_t len);
ErlDrvTermData ph_atom_utf8(const char *s, size_t len);
void ph_atom_text(ErlDrvTermData atom, const char **utf8, size_t *len); /* borrowed, immortal */

/* From an encoded pid (as ph_etf_pid gives it). allowance: how many new names (nodes, and pids too wide for a word) whoever sends it may still
 * make known, since they stay for ever; NULL for no end. 0, or -1 if that is used up or a table is full. */
int ph_pid_word(struct ph_slice etf, atomic_uint *allowance, ErlDrvTermData *out);
/* The same for the pid at the cursor, which moves behind it. -1 also if there is none. */
int ph_pid_read(struct ph_cur *c, atomic_uint *allowance, ErlDrvTermData *out);
/* Which node and creation: small integer, equal for pids of one node instance. */
uint32_t ph_pid_origin(ErlDrvTermData pid);

ErlDrvTermData ph_port_word(uint64_t handle); /* handle < 2^60 */
uint64_t ph_port_handle(ErlDrvTermData port);

/* Appends nil, an atom or a pid in external format. */
void ph_w_word(struct ph_wbuf *w, ErlDrvTermData word);

#endif
