/* SPDX-License-Identifier: Apache-2.0 */
/* Owns pids, ports and references in text: <0.1.2>, #Port<0.3>, #Ref<a@b/1.2.3>. Called by the term reader, with the lexer at the '<'. */
#include <ei.h>
#include <string.h>

#include "term/term_read.h"

static bool all_fit_32(struct ph_reader *r, const uint64_t *numbers, int n)
{
    for (int i = 0; i < n; i++) {
        if (numbers[i] > UINT32_MAX) {
            ph_lex_error(&r->lex, r->lex.start, "a number in this identifier does not fit 32 bits");
            return false;
        }
    }
    return true;
}

/* The node of the identifier just read; returns its creation. */
static uint32_t write_node(struct ph_reader *r, uint32_t creation)
{
    bool own = *r->lex.start == '0';
    ph_w_atom_len(r->w, own ? PH_CTL_NODE : r->lex.buf, own ? strlen(PH_CTL_NODE) : r->lex.len);
    return own ? PH_CTL_CREATION : creation;
}

static bool wrong_count(struct ph_reader *r, const char *what)
{
    ph_lex_expected(&r->lex, r->lex.pos - 1, what);
    return false;
}

bool ph_read_pid(struct ph_reader *r)
{
    uint64_t id[2];
    uint32_t creation;
    int n = ph_lex_identifier(&r->lex, id, 2, &creation);
    if (n < 0 || !all_fit_32(r, id, n))
        return false;
    if (n < 2)
        return wrong_count(r, "'.' and a number");
    ph_put_raw8(r->w, ERL_NEW_PID_EXT);
    creation = write_node(r, creation);
    ph_put_raw32(r->w, (uint32_t)id[0]);
    ph_put_raw32(r->w, (uint32_t)id[1]);
    ph_put_raw32(r->w, creation);
    return true;
}

bool ph_read_port(struct ph_reader *r)
{
    uint64_t id;
    uint32_t creation;
    int n = ph_lex_identifier(&r->lex, &id, 1, &creation);
    if (n < 0)
        return false;
    if (n < 1)
        return wrong_count(r, "'.' and a number");
    bool small = id < 1u << 28;
    ph_put_raw8(r->w, small ? ERL_NEW_PORT_EXT : ERL_V4_PORT_EXT);
    creation = write_node(r, creation);
    if (!small)
        ph_put_raw32(r->w, (uint32_t)(id >> 32));
    ph_put_raw32(r->w, (uint32_t)id);
    ph_put_raw32(r->w, creation);
    return true;
}

bool ph_read_ref(struct ph_reader *r)
{
    uint64_t id[5];
    uint32_t creation;
    int n = ph_lex_identifier(&r->lex, id, 5, &creation);
    if (n < 0 || !all_fit_32(r, id, n))
        return false;
    if (n < 1)
        return wrong_count(r, "'.' and a number");
    ph_put_raw8(r->w, ERL_NEWER_REFERENCE_EXT);
    ph_put_raw8(r->w, 0);
    ph_put_raw8(r->w, (unsigned)n);
    creation = write_node(r, creation);
    ph_put_raw32(r->w, creation);
    for (int i = n; i > 0; i--) /* the text has the last word first */
        ph_put_raw32(r->w, (uint32_t)id[i - 1]);
    return true;
}
