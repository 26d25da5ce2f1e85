/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about the host that reach beyond the connection: ports of any connection, traces, the log. On the connection's reactor. */
#include <string.h>

#include "base/log.h"
#include "conn/request.h"
#include "peer/reply.h"
#include "port/op.h"
#include "port/trace.h"

/* --- a port of any connection --- */

struct wanted {
    uint64_t connection, id;
};

static bool number(struct ph_req *r, uint64_t *n)
{
    r->element++;
    return ph_etf_uint64(&r->cur, n) == 0 && *n <= PH_MAX_PORT_ID;
}

/* A new reference, or NULL if there is no such port. */
static struct ph_port *find(const struct wanted *w)
{
    struct ph_peer *peer = ph_peer_by_id(w->connection);
    struct ph_port *p = peer ? ph_peer_get_port(peer, w->id, ph_port_ref_obj) : NULL;
    if (peer)
        ph_peer_unref(peer);
    return p;
}

/* --- requests --- */

static bool not_permitted(struct ph_req *r, bool permitted, const char *what)
{
    if (!ph_req_permitted(r, permitted, what))
        ph_reply_error_atom(r->peer, r->tag, "not_permitted");
    return !permitted;
}

static bool is_own(const struct ph_req *r, const struct wanted *w)
{
    return w->connection == ph_peer_id(r->peer);
}

static bool may_administer(const struct ph_req *r)
{
    const struct ph_access *access = ph_conn_access(r->conn);
    return !access || access->administer;
}

static bool port_info(struct ph_req *r)
{
    const struct ph_access *access = ph_conn_access(r->conn);
    struct wanted w = {0};
    struct ph_slice item;
    if (!number(r, &w.connection) || !number(r, &w.id) || !ph_req_raw(r, &item))
        return false;
    if (not_permitted(r, is_own(r, &w) || !access || access->all_ports, "see ports of other connections"))
        return true;
    struct ph_port *p = find(&w);
    if (p)
        ph_info_for(p, r->peer, r->tag, item);
    else
        ph_reply_error_atom(r->peer, r->tag, "undefined");
    return true;
}

static bool trace(struct ph_req *r)
{
    struct wanted w = {0};
    bool on;
    if (!number(r, &w.connection) || !number(r, &w.id) || (r->element++, ph_etf_bool(&r->cur, &on)))
        return false;
    if (not_permitted(r, is_own(r, &w) || may_administer(r), "trace ports of other connections"))
        return true;
    struct ph_port *p = find(&w);
    const char *why = !p ? "undefined" : on ? ph_trace_on(p, r->peer) : NULL;
    if (p && !on)
        ph_trace_off(p, r->peer);
    if (why)
        ph_reply_error_atom(r->peer, r->tag, why);
    else
        ph_reply_ok_atom(r->peer, r->tag, "true");
    if (p)
        ph_port_unref(p);
    return true;
}

static bool log_level(struct ph_req *r)
{
    char name[1024];
    size_t len;
    enum ph_log_level before = ph_log_level(), level = before;
    r->element++;
    if (ph_etf_atom(&r->cur, name, sizeof name, &len))
        return false;
    if (not_permitted(r, strcmp(name, "get") == 0 || may_administer(r), "set the level of the log"))
        return true;
    if (strcmp(name, "get") != 0 && ph_log_parse_level(name, &level)) {
        ph_reply_error_atom(r->peer, r->tag, "badarg");
        return true;
    }
    ph_log_set_level(level > before ? level : before); /* so that the line below is seen */
    if (level != before)
        ph_log(PH_LOG_NOTICE, ph_conn_where(r->conn), "sets the level of the log to %s", name);
    ph_log_set_level(level);
    ph_reply_ok_atom(r->peer, r->tag, ph_log_level_name(before));
    return true;
}

bool ph_admin_request(struct ph_req *r)
{
    switch (r->what) {
    case PH_REQ_PORT_INFO:
        return port_info(r);
    case PH_REQ_TRACE:
        return trace(r);
    default:
        return log_level(r);
    }
}
