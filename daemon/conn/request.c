/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: decoding one frame's term into an operation on a port, or answering it. PROTOCOL.md is the contract. On the connection's reactor. */
#include "conn/request.h"

#include <arpa/inet.h>
#include <ei.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/limits.h"
#include "base/flood.h"
#include "peer/reply.h"
#include "port/op.h"
#include "port/open.h"
#include "port/trace.h"
#include "term/canon.h"
#include "term/words.h"

static const struct known {
    const char *name;
    size_t len;
    uint32_t arity;
    bool tagged;
    enum ph_request what;
} known[] = {
#define X(name, atom, arity, tagged) {atom, sizeof atom - 1, arity, tagged, PH_REQ_##name},
    PH_REQUESTS(X)
#undef X
};

/* --- answers to what is wrong --- */

static void count_fault(const char *reason)
{
#define X(name, atom, ends, text)     \
    if (strcmp(reason, atom) == 0)    \
        ph_count_fault(PH_FAULT_##name);
    PH_FAULTS(X)
#undef X
}

enum ph_fault ph_req_fault(struct ph_req *r, const char *reason, const char *text)
{
    struct ph_wbuf *w = ph_peer_begin();
    ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_WARNING, ph_conn_where(r->conn), "%s: %s", reason, text);
    count_fault(reason);
    ph_w_tuple(w, 3);
    ph_w_atom(w, "fault");
    ph_w_atom(w, reason);
    ph_w_binary(w, text, strlen(text));
    ph_peer_commit(r->peer, w);
    return PH_FAULT_NONE;
}

static enum ph_fault bad_request(struct ph_req *r)
{
    char text[128];
    snprintf(text, sizeof text, "request %s: element %u is wrong", r->name, r->element);
    if (!r->tag.len)
        return ph_req_fault(r, "bad_request", text);
    ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_WARNING, ph_conn_where(r->conn), "bad_request: %s", text);
    ph_count_fault(PH_FAULT_BAD_REQUEST);
    struct ph_wbuf *w = ph_reply_error(r->tag);
    ph_w_tuple(w, 3);
    ph_w_atom(w, "bad_request");
    ph_w_atom(w, r->name);
    ph_w_uint(w, r->element);
    ph_peer_commit(r->peer, w);
    return PH_FAULT_NONE;
}

static enum ph_fault unknown_request(struct ph_req *r)
{
    if (r->arity < 2 || ph_etf_raw(&r->cur, &r->tag))
        return ph_req_fault(r, "unknown_request", r->name);
    if (r->tag.len > PH_MAX_TAG)
        return ph_req_fault(r, "bad_tag", r->name);
    ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_WARNING, ph_conn_where(r->conn), "unknown_request: %.64s", r->name);
    ph_count_fault(PH_FAULT_UNKNOWN_REQUEST);
    ph_reply_error_atom(r->peer, r->tag, "unknown_request");
    return PH_FAULT_NONE;
}

/* --- elements --- */

bool ph_req_raw(struct ph_req *r, struct ph_slice *out)
{
    r->element++;
    return ph_etf_raw(&r->cur, out) == 0;
}

bool ph_req_pid(struct ph_req *r, ErlDrvTermData *pid)
{
    r->element++;
    return ph_pid_read(&r->cur, ph_peer_names(r->peer), pid) == 0;
}

static bool port_id(struct ph_req *r, uint64_t *id)
{
    r->element++;
    return ph_etf_uint64(&r->cur, id) == 0 && *id <= PH_MAX_PORT_ID;
}

/* It goes to other connections too, whose clients must be able to decode it. */
static bool is_port_term(struct ph_slice term)
{
    return term.len <= PH_MAX_TAG && ph_canon_is_term(term);
}

static bool port_term(struct ph_req *r, struct ph_slice *term)
{
    return ph_req_raw(r, term) && is_port_term(*term);
}

/* Traces show it to other connections, if it is small; looking at a large one would take long. */
static bool exit_reason(struct ph_req *r, struct ph_slice *reason)
{
    return ph_req_raw(r, reason) && (reason->len > PH_TRACE_TERM || ph_canon_is_term(*reason));
}

/* --- ports --- */

bool ph_req_permitted(struct ph_req *r, bool permitted, const char *what)
{
    if (!permitted) {
        ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_WARNING, ph_conn_where(r->conn), "may not %s", what);
        ph_count(PH_COUNT_NOT_PERMITTED, 1);
    }
    return permitted;
}

static const char *open_refused(struct ph_req *r, const char *name, size_t len)
{
    const struct ph_access *access = ph_conn_access(r->conn);
    const char *space = memchr(name, ' ', len);
    bool may = !access || ph_access_may_open(access, name, space ? (size_t)(space - name) : len);
    if (!ph_req_permitted(r, may, "open ports of that driver"))
        return "eacces";
    return ph_peer_may_add_port(r->peer) ? NULL : "system_limit";
}

static enum ph_fault open_port(struct ph_req *r)
{
    struct ph_open_options options;
    struct ph_slice term;
    ErlDrvTermData owner;
    uint64_t id;
    char *name;
    size_t len;
    if (!port_id(r, &id) || !port_term(r, &term) || !ph_req_pid(r, &owner))
        return bad_request(r);
    r->element++;
    int text = ph_etf_text(&r->cur, true, &name, &len);
    if (text == -1)
        return bad_request(r);
    ph_count(PH_COUNT_OPENS, 1);
    const char *refused = text == PH_ETF_NO_MEMORY ? "enomem" : text || ph_open_parse(&r->cur, &options) ? "badarg" : open_refused(r, name, len);
    if (refused)
        ph_reply_error_atom(r->peer, r->tag, refused);
    else
        ph_port_open(r->peer, r->tag, id, term, owner, name, len, &options);
    if (!text)
        free(name);
    return PH_FAULT_NONE;
}

/* The elements of an operation behind tag and port id, by request. False: r->element is wrong. */
static bool op_elements(struct ph_req *r, struct ph_op_args *a)
{
    uint64_t n;
    switch (r->what) {
    case PH_REQ_COMMAND:
        return ph_req_pid(r, &a->caller) && ph_req_raw(r, &a->data);
    case PH_REQ_CONTROL:
    case PH_REQ_CALL:
        if (!ph_req_pid(r, &a->caller) || (r->element++, ph_etf_uint64(&r->cur, &n)) || n > UINT32_MAX)
            return false;
        a->number = (uint32_t)n;
        return ph_req_raw(r, &a->data);
    case PH_REQ_SEND:
        return ph_req_pid(r, &a->caller) && ph_req_raw(r, &a->data);
    case PH_REQ_CONNECT:
        return ph_req_pid(r, &a->caller) && ph_req_pid(r, &a->pid);
    case PH_REQ_CLOSE:
        return ph_req_pid(r, &a->caller);
    case PH_REQ_EXIT:
        return ph_req_pid(r, &a->caller) && exit_reason(r, &a->data);
    case PH_REQ_INFO:
    case PH_REQ_SET_DATA:
        return ph_req_raw(r, &a->data);
    default:
        return true;
    }
}

/* The list of options of a command: [force], or []. */
static bool command_options(struct ph_req *r, struct ph_op_args *a)
{
    uint32_t n;
    if (r->what != PH_REQ_COMMAND || r->arity < 5)
        return true;
    r->element++;
    if (ph_etf_list(&r->cur, &n))
        return false;
    a->force = n > 0;
    for (; n > 0; n--)
        if (ph_etf_is_atom(&r->cur, "force"))
            return false;
    return !a->force || ph_etf_nil(&r->cur) == 0;
}

static void count_op(enum ph_request what)
{
    if (what == PH_REQ_COMMAND || what == PH_REQ_SEND)
        ph_count(PH_COUNT_COMMANDS, 1);
    else if (what == PH_REQ_CONTROL)
        ph_count(PH_COUNT_CONTROLS, 1);
    else if (what == PH_REQ_CALL)
        ph_count(PH_COUNT_CALLS, 1);
}

/* Tagged requests are refused; what has no answer must not be lost in silence. */
static enum ph_fault no_memory(struct ph_req *r, size_t size)
{
    ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_ERROR, ph_conn_where(r->conn), "no memory for a request of %zu bytes", size);
    if (!r->tag.len)
        return PH_FAULT_NO_MEMORY;
    ph_reply_error_atom(r->peer, r->tag, "enomem");
    return PH_FAULT_NONE;
}

static enum ph_fault submit_op(struct ph_req *r, uint64_t id, const struct ph_op_args *a)
{
    count_op(r->what);
    struct ph_op_batch *batch = ph_conn_batch(r->conn);
    struct ph_port *p = ph_op_batch_port(batch, r->peer, id);
    if (!p) {
        ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_INFO, ph_conn_where(r->conn), "%s for port %llu, which is not open", r->name, (unsigned long long)id);
        if (r->tag.len)
            ph_reply_error_atom(r->peer, r->tag, r->what == PH_REQ_INFO ? "undefined" : "badarg");
        return PH_FAULT_NONE;
    }
    struct ph_op *op = ph_op_new(r->what, p, r->tag, a->data, r->frame);
    if (!op)
        return no_memory(r, a->data.len);
    op->caller = a->caller;
    op->pid = a->pid;
    op->number = a->number;
    op->force = a->force;
    ph_op_batch_add(batch, op);
    return PH_FAULT_NONE;
}

static enum ph_fault port_op(struct ph_req *r)
{
    struct ph_op_args a = {.caller = PH_NIL, .pid = PH_NIL};
    uint64_t id;
    if (!port_id(r, &id) || !op_elements(r, &a) || !command_options(r, &a))
        return bad_request(r);
    return submit_op(r, id, &a);
}

/* --- the requests that come all the time --- */

/* The request's name, in one of the two forms in which nodes write atoms: the cursor is behind it, and *arity is the tuple's. An empty slice: it is another kind of term. */
static struct ph_slice quick_name(struct ph_cur *c, uint8_t *arity)
{
    static const struct ph_slice other = {0};
    const uint8_t *p = c->p;
    size_t n = (size_t)(c->end - p);
    if (n < 5 || p[0] != ERL_SMALL_TUPLE_EXT)
        return other;
    size_t head = p[2] == ERL_SMALL_ATOM_UTF8_EXT ? 4 : p[2] == ERL_ATOM_EXT && p[3] == 0 ? 5 : 0;
    size_t len = head ? p[head - 1] : 0;
    if (!len || n - head < len)
        return other;
    *arity = p[1];
    c->p += head + len;
    return (struct ph_slice){p + head, len};
}

/* The last element of the request, any term. */
static bool quick_data(struct ph_cur *c, unsigned depth, struct ph_slice *out)
{
    *out = (struct ph_slice){c->p, (size_t)(c->end - c->p)};
    uint32_t len;
    if (out->len > 5 && c->p[0] == ERL_BINARY_EXT) { /* what it mostly is */
        memcpy(&len, c->p + 1, sizeof len);
        return ntohl(len) == out->len - 5;
    }
    return ph_etf_skip(c, depth) == 0 && c->p == c->end;
}

/* A command that begins as the one before it did, which was for the same port and of the same caller. */
static bool is_repeated(const struct ph_op_batch *b, struct ph_cur c)
{
    return b->port && b->head.len && (size_t)(c.end - c.p) > b->head.len && memcmp(c.p, b->head.p, b->head.len) == 0;
}

static void remember(struct ph_op_batch *b, struct ph_slice head, ErlDrvTermData caller)
{
    b->head = head;
    b->caller = caller;
}

static bool repeat(struct ph_conn *c, struct ph_op_batch *b, struct ph_cur cur, enum ph_fault *fault)
{
    struct ph_slice data;
    cur.p += b->head.len;
    if (!quick_data(&cur, (unsigned)ph_limit(PH_LIMIT_TERM_DEPTH) - 1, &data))
        return false;
    count_op(PH_REQ_COMMAND);
    struct ph_op *op = ph_op_new(PH_REQ_COMMAND, ph_port_ref(b->port), (struct ph_slice){0}, data, NULL);
    if (op) {
        op->caller = b->caller;
        ph_op_batch_add(b, op);
    }
    *fault = op ? PH_FAULT_NONE : no_memory(&(struct ph_req){.conn = c}, data.len);
    return true;
}

static bool quick_raw(struct ph_req *r, unsigned depth, struct ph_slice *out)
{
    out->p = r->cur.p;
    bool ok = ph_etf_skip(&r->cur, depth) == 0;
    out->len = (size_t)(r->cur.p - out->p);
    return ok;
}

static bool is_quick(struct ph_req *r, struct ph_slice name, enum ph_request what, const char *text, size_t len)
{
    if (name.len != len || memcmp(name.p, text, len) != 0)
        return false;
    r->what = what;
    r->name = text;
    return true;
}

/* Is it one of those requests? */
static bool quick_request(struct ph_req *r)
{
    uint8_t arity = 0;
    struct ph_slice name = quick_name(&r->cur, &arity);
    if (arity == 4)
        return is_quick(r, name, PH_REQ_COMMAND, "command", 7);
    return arity == 6 && (is_quick(r, name, PH_REQ_CONTROL, "control", 7) || is_quick(r, name, PH_REQ_CALL, "call", 4));
}

/* Not inlined: a repeated one shall not pay for what this needs. */
__attribute__((noinline)) static bool decode_quick(struct ph_conn *c, struct ph_cur cur, ErlDrvBinary *frame, enum ph_fault *fault)
{
    struct ph_req r = {.conn = c, .peer = ph_conn_peer(c), .cur = cur, .frame = frame};
    struct ph_op_args a = {.pid = PH_NIL};
    unsigned depth = (unsigned)ph_limit(PH_LIMIT_TERM_DEPTH) - 1;
    uint64_t id, number = 0;
    if (!ph_conn_said_hello(c) || !quick_request(&r))
        return false;
    bool tagged = r.what != PH_REQ_COMMAND;
    if (tagged && (!quick_raw(&r, depth, &r.tag) || r.tag.len > PH_MAX_TAG))
        return false;
    if (!port_id(&r, &id) || !ph_req_pid(&r, &a.caller) || (tagged && ph_etf_uint64(&r.cur, &number)) || number > UINT32_MAX)
        return false;
    a.number = (uint32_t)number;
    struct ph_slice head = {cur.p, (size_t)(r.cur.p - cur.p)};
    if (!quick_data(&r.cur, depth, &a.data))
        return false;
    *fault = submit_op(&r, id, &a);
    if (!tagged && !frame)
        remember(ph_conn_batch(c), head, a.caller);
    return true;
}

bool ph_request_quick(struct ph_conn *c, struct ph_cur cur, ErlDrvBinary *frame, enum ph_fault *fault)
{
    struct ph_op_batch *batch = ph_conn_batch(c);
    return is_repeated(batch, cur) ? repeat(c, batch, cur, fault) : decode_quick(c, cur, frame, fault);
}

static enum ph_fault down(struct ph_req *r)
{
    uint64_t id;
    r->element++;
    if (ph_etf_uint64(&r->cur, &id))
        return bad_request(r);
    ph_monitor_down(r->peer, id);
    return PH_FAULT_NONE;
}

/* One pair of a grant. */
static bool granted(struct ph_cur *c, uint64_t *id, struct ph_slice *term)
{
    uint32_t arity;
    return ph_etf_tuple(c, &arity) == 0 && arity == 2 && ph_etf_uint64(c, id) == 0 && *id <= PH_MAX_PORT_ID && ph_etf_raw(c, term) == 0 && is_port_term(*term);
}

static enum ph_fault grant(struct ph_req *r)
{
    uint32_t n;
    uint64_t id;
    struct ph_slice term;
    r->element++;
    if (ph_etf_list(&r->cur, &n))
        return bad_request(r);
    struct ph_cur all = r->cur;
    for (uint32_t i = 0; i < n; i++)
        if (!granted(&r->cur, &id, &term))
            return bad_request(r);
    if (n && ph_etf_nil(&r->cur))
        return bad_request(r);
    bool kept = true; /* the rest is dropped, as there may be very many */
    for (uint32_t i = 0; i < n && kept && granted(&all, &id, &term); i++)
        kept = ph_peer_grant(r->peer, id, term);
    return PH_FAULT_NONE;
}

/* --- dispatch --- */

static enum ph_fault dispatch(struct ph_req *r)
{
    switch (r->what) {
    case PH_REQ_HELLO:
        return ph_hello(r);
    case PH_REQ_AUTH:
        return ph_hello_auth(r);
    case PH_REQ_OPEN:
        return open_port(r);
    case PH_REQ_DOWN:
        return down(r);
    case PH_REQ_GRANT:
        return grant(r);
    case PH_REQ_PING:
        ph_reply_ok_atom(r->peer, r->tag, "pong");
        return PH_FAULT_NONE;
    case PH_REQ_STATS:
        ph_answer_stats(r);
        return PH_FAULT_NONE;
    case PH_REQ_PORTS:
        return ph_answer_ports(r) ? PH_FAULT_NONE : bad_request(r);
    case PH_REQ_PORT_STATS:
        return ph_answer_port_stats(r) ? PH_FAULT_NONE : bad_request(r);
    case PH_REQ_PORT_INFO:
    case PH_REQ_TRACE:
    case PH_REQ_LOG_LEVEL:
        return ph_admin_request(r) ? PH_FAULT_NONE : bad_request(r);
    case PH_REQ_LOAD:
    case PH_REQ_UNLOAD:
    case PH_REQ_MONITOR_DRIVER:
    case PH_REQ_DEMONITOR_DRIVER:
    case PH_REQ_DRIVER_INFO:
    case PH_REQ_DRIVERS:
    case PH_REQ_ALLOW_DRIVER:
    case PH_REQ_FORMAT_ERROR:
        return ph_driver_request(r) ? PH_FAULT_NONE : bad_request(r);
    default:
        return port_op(r);
    }
}

static const struct known *find_known(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].len == len && memcmp(known[i].name, name, len) == 0)
            return &known[i];
    return NULL;
}

static bool arity_fits(const struct known *k, uint32_t arity)
{
    return arity == k->arity || (k->what == PH_REQ_COMMAND && arity == k->arity + 1);
}

enum ph_fault ph_request(struct ph_conn *c, const uint8_t *p, size_t len, ErlDrvBinary *frame)
{
    char name[1024];
    size_t name_len;
    struct ph_req r = {.conn = c, .peer = ph_conn_peer(c), .cur = {p, p + len}, .name = name, .frame = frame, .element = 1};
    bool request = ph_etf_tuple(&r.cur, &r.arity) == 0 && r.arity > 0 && ph_etf_atom(&r.cur, name, sizeof name, &name_len) == 0;
    const struct known *k = request ? find_known(name, name_len) : NULL;
    enum ph_fault early = ph_conn_said_hello(c) ? PH_FAULT_NONE : ph_hello_due(&r, k && arity_fits(k, r.arity) ? k->what : PH_REQ_UNKNOWN);
    if (early)
        return early;
    if (!request)
        return ph_req_fault(&r, "not_a_request", "a frame that is not a tuple led by an atom");
    if (!k)
        return unknown_request(&r);
    r.what = k->what;
    if (k->tagged && r.arity >= 2) {
        struct ph_slice tag;
        ph_req_raw(&r, &tag);
        if (tag.len > PH_MAX_TAG)
            return ph_req_fault(&r, "bad_tag", name);
        r.tag = tag;
    }
    if (!arity_fits(k, r.arity)) {
        r.element = 1;
        return bad_request(&r);
    }
    return dispatch(&r);
}
