/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/reply.h"

#include "term/words.h"

static struct ph_wbuf *reply(const char *kind, struct ph_slice tag)
{
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 3);
    ph_w_atom(w, kind);
    ph_w_raw(w, tag.p, tag.len);
    return w;
}

struct ph_wbuf *ph_reply_ok(struct ph_slice tag)
{
    return reply("ok", tag);
}

struct ph_wbuf *ph_reply_error(struct ph_slice tag)
{
    return reply("error", tag);
}

void ph_reply_ok_atom(struct ph_peer *p, struct ph_slice tag, const char *value)
{
    struct ph_wbuf *w = ph_reply_ok(tag);
    ph_w_atom(w, value);
    ph_peer_commit(p, w);
}

void ph_reply_error_atom(struct ph_peer *p, struct ph_slice tag, const char *reason)
{
    struct ph_wbuf *w = ph_reply_error(tag);
    ph_w_atom(w, reason);
    ph_peer_commit(p, w);
}

struct ph_wbuf *ph_send_begin(ErlDrvTermData to)
{
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 3);
    ph_w_atom(w, "send");
    ph_w_word(w, to);
    return w;
}
