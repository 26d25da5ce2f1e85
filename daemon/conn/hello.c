/* SPDX-License-Identifier: Apache-2.0 */
/* What comes before the host has said hello: the client's hello, and where its listener has a cookie the challenge and the proof. Called by request.c. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/flood.h"
#include "conn/newcomer.h"
#include "conn/request.h"
#include "term/words.h"

struct hello {
    char name[65];
    struct ph_slice self, nonce; /* len 0: not given */
};

static bool read_name(struct ph_cur *cur, char *name, size_t cap)
{
    struct ph_slice value;
    if (ph_etf_binary(cur, &value) || value.len >= cap)
        return false;
    for (size_t i = 0; i < value.len; i++)
        name[i] = (char)(value.p[i] < ' ' || value.p[i] == 127 ? '?' : value.p[i]);
    name[value.len] = '\0';
    return true;
}

static bool read_options(struct ph_cur *cur, struct hello *h)
{
    struct ph_slice key, value;
    uint32_t pairs;
    if (ph_etf_map(cur, &pairs))
        return false;
    for (; pairs > 0; pairs--) {
        if (ph_etf_is_atom(cur, "self") == 0) {
            if (ph_etf_pid(cur, &h->self))
                return false;
        } else if (ph_etf_is_atom(cur, "name") == 0) {
            if (!read_name(cur, h->name, sizeof h->name))
                return false;
        } else if (ph_etf_is_atom(cur, "auth") == 0) {
            if (ph_etf_binary(cur, &h->nonce) || h->nonce.len != PH_NONCE)
                return false;
        } else if (ph_etf_raw(cur, &key) || ph_etf_raw(cur, &value)) {
            return false;
        }
    }
    return true;
}

/* The elements behind the name. */
static enum ph_fault read_hello(struct ph_cur cur, struct hello *h)
{
    int64_t version;
    *h = (struct hello){0};
    if (ph_etf_int64(&cur, &version))
        return PH_FAULT_BAD_HELLO;
    if (version != PH_PROTO_VERSION)
        return PH_FAULT_BAD_VERSION;
    return read_options(&cur, h) ? PH_FAULT_NONE : PH_FAULT_BAD_HELLO;
}

/* proof: PH_PROOF bytes, or NULL. */
static void answer(struct ph_req *r, const uint8_t *proof)
{
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 3);
    ph_w_atom(w, "hello");
    ph_w_uint(w, PH_PROTO_VERSION);
    ph_w_map(w, proof ? 7 : 6);
    ph_w_atom(w, "version");
    ph_w_binary(w, PH_VERSION, strlen(PH_VERSION));
    ph_w_atom(w, "max_frame");
    ph_w_uint(w, ph_limit(PH_LIMIT_FRAME_BYTES));
    ph_w_atom(w, "max_depth");
    ph_w_uint(w, ph_limit(PH_LIMIT_TERM_DEPTH));
    ph_w_atom(w, "max_ports");
    ph_w_uint(w, ph_limit(PH_LIMIT_PORTS));
    ph_w_atom(w, "driver_api");
    ph_w_tuple(w, 2);
    ph_w_uint(w, ERL_DRV_EXTENDED_MAJOR_VERSION);
    ph_w_uint(w, ERL_DRV_EXTENDED_MINOR_VERSION);
    ph_w_atom(w, "connection");
    ph_w_uint(w, ph_peer_id(r->peer));
    if (proof) {
        ph_w_atom(w, "auth");
        ph_w_binary(w, proof, PH_PROOF);
    }
    ph_peer_commit(r->peer, w);
}

static enum ph_fault welcome(struct ph_req *r, const struct hello *h, const uint8_t *proof)
{
    static const char nobody[] = "nonode@nohost";
    ErlDrvTermData pid;
    if (h->self.len && ph_pid_word(h->self, ph_peer_names(r->peer), &pid))
        return PH_FAULT_BAD_HELLO;
    bool has_self = h->self.len > 0, named = has_self && !memmem(h->self.p, h->self.len, nobody, sizeof nobody - 1);
    ph_conn_set_hello(r->conn, h->name[0] ? h->name : NULL); /* frees what h's slices point to, if they came before the proof */
    answer(r, proof); /* first: once it speaks for a node, ports of other connections send to it */
    if (has_self)
        ph_peer_set_origin(r->peer, pid, named);
    return PH_FAULT_NONE;
}

static enum ph_fault challenge(struct ph_req *r, struct ph_newcomer *n, const struct hello *h, struct ph_slice said)
{
    const uint8_t *nonce = ph_newcomer_challenge(n, h->nonce.p, said);
    if (!nonce) {
        ph_log_flood(PH_FLOOD_NEWCOMERS, PH_LOG_ERROR, ph_conn_where(r->conn), "the system gives no random bytes, or no memory");
        return PH_FAULT_NO_MEMORY;
    }
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 2);
    ph_w_atom(w, "challenge");
    ph_w_binary(w, nonce, PH_NONCE);
    ph_peer_commit(r->peer, w);
    return PH_FAULT_NONE;
}

enum ph_fault ph_hello(struct ph_req *r)
{
    struct ph_slice said = {r->cur.p, (size_t)(r->cur.end - r->cur.p)};
    struct ph_newcomer *n = ph_conn_newcomer(r->conn);
    struct hello h;
    if (ph_conn_said_hello(r->conn))
        return ph_req_fault(r, "unexpected_hello", "a second hello");
    enum ph_fault fault = read_hello(r->cur, &h);
    if (fault)
        return fault;
    if (!n || !ph_newcomer_must_prove(n))
        return welcome(r, &h, NULL);
    return h.nonce.len ? challenge(r, n, &h, said) : PH_FAULT_AUTH_REQUIRED;
}

enum ph_fault ph_hello_auth(struct ph_req *r)
{
    uint8_t ours[PH_PROOF];
    struct ph_slice shown, said;
    struct hello h;
    if (ph_conn_said_hello(r->conn))
        return ph_req_fault(r, "unexpected_auth", "an auth that was not asked for");
    if (ph_etf_binary(&r->cur, &shown) || shown.len != PH_PROOF || !ph_newcomer_proves(ph_conn_newcomer(r->conn), shown.p, ours, &said))
        return PH_FAULT_BAD_AUTH;
    enum ph_fault fault = read_hello((struct ph_cur){said.p, said.p + said.len}, &h);
    return fault ? fault : welcome(r, &h, ours);
}

enum ph_fault ph_hello_due(const struct ph_req *r, enum ph_request what)
{
    const struct ph_newcomer *n = ph_conn_newcomer(r->conn);
    bool challenged = n && ph_newcomer_is_challenged(n);
    if (what == (challenged ? PH_REQ_AUTH : PH_REQ_HELLO))
        return PH_FAULT_NONE;
    return challenged ? PH_FAULT_AUTH_REQUIRED : PH_FAULT_BAD_HELLO;
}
