/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding requests about drivers, for ddll. On the connection's reactor. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conn/request.h"
#include "driver/ddll.h"
#include "peer/reply.h"

/* Badarg of erl_ddll, not a fault of the protocol: the element has a type that the protocol allows. */
struct decode {
    struct ph_ddll_req *q;
    bool badarg, no_memory;
};

static bool text(struct ph_req *r, bool atom_ok, char **out, struct decode *d)
{
    size_t len;
    r->element++;
    int result = ph_etf_text(&r->cur, atom_ok, out, &len);
    d->badarg |= result == -2;
    d->no_memory |= result == PH_ETF_NO_MEMORY;
    return result != -1;
}

static bool pending_value(struct ph_cur *c, enum ph_ddll_pending *out)
{
    if (ph_etf_is_atom(c, "pending") == 0)
        *out = PH_PENDING_PROCESS;
    else if (ph_etf_is_atom(c, "pending_driver") == 0)
        *out = PH_PENDING_DRIVER;
    else
        return false;
    return true;
}

/* driver_options: [kill_ports]. */
static bool driver_options(struct ph_cur *c, bool *kill_ports)
{
    uint32_t n;
    if (ph_etf_list(c, &n))
        return false;
    *kill_ports = n > 0;
    for (uint32_t i = 0; i < n; i++)
        if (ph_etf_is_atom(c, "kill_ports"))
            return false;
    return n == 0 || ph_etf_nil(c) == 0;
}

static bool option(struct ph_cur *c, struct ph_ddll_req *q)
{
    uint32_t arity;
    bool load = q->what == PH_REQ_LOAD;
    if (!load && ph_etf_is_atom(c, "kill_ports") == 0)
        return q->kill_ports = true;
    if (ph_etf_tuple(c, &arity) || arity != 2)
        return false;
    if (ph_etf_is_atom(c, "monitor") == 0)
        return pending_value(c, &q->monitor);
    if (load && ph_etf_is_atom(c, "reload") == 0)
        return pending_value(c, &q->reload);
    return load && ph_etf_is_atom(c, "driver_options") == 0 && driver_options(c, &q->kill_ports);
}

static bool options(struct ph_cur c, struct ph_ddll_req *q)
{
    uint32_t n;
    if (ph_etf_list(&c, &n))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!option(&c, q))
            return false;
    return n == 0 || ph_etf_nil(&c) == 0;
}

static bool reference(struct ph_req *r, struct ph_slice *ref)
{
    r->element++;
    return ph_etf_ref(&r->cur, ref) == 0;
}

static bool name(struct ph_req *r, struct decode *d)
{
    struct ph_cur before = r->cur;
    if (!text(r, true, &d->q->name, d))
        return false;
    d->q->name_term = (struct ph_slice){before.p, (size_t)(r->cur.p - before.p)};
    if (d->badarg) { /* the cursor did not move */
        r->element--;
        return ph_req_raw(r, &d->q->name_term);
    }
    return true;
}

static bool when(struct ph_req *r, struct decode *d)
{
    static const char *const names[] = {[PH_WHEN_LOADED] = "loaded", [PH_WHEN_UNLOADED] = "unloaded", [PH_WHEN_UNLOADED_ONLY] = "unloaded_only"};
    r->element++;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ph_etf_is_atom(&r->cur, names[i]) == 0) {
            d->q->when = (enum ph_ddll_when)i;
            return true;
        }
    return false;
}

static bool option_list(struct ph_req *r, struct decode *d)
{
    struct ph_slice list;
    if (!ph_req_raw(r, &list))
        return false;
    d->badarg |= !options((struct ph_cur){list.p, list.p + list.len}, d->q);
    return true;
}

static bool elements(struct ph_req *r, struct decode *d)
{
    struct ph_ddll_req *q = d->q;
    switch (r->what) {
    case PH_REQ_LOAD:
        return ph_req_pid(r, &q->user) && reference(r, &q->ref) && text(r, false, &q->path, d) && name(r, d) && option_list(r, d);
    case PH_REQ_UNLOAD:
        return ph_req_pid(r, &q->user) && reference(r, &q->ref) && name(r, d) && option_list(r, d);
    case PH_REQ_MONITOR_DRIVER:
        return ph_req_pid(r, &q->user) && reference(r, &q->ref) && name(r, d) && when(r, d);
    case PH_REQ_DEMONITOR_DRIVER:
        return ph_req_pid(r, &q->user) && reference(r, &q->ref);
    case PH_REQ_ALLOW_DRIVER:
        return name(r, d);
    case PH_REQ_DRIVER_INFO:
        return name(r, d) && ph_req_raw(r, &q->item);
    case PH_REQ_FORMAT_ERROR:
        return ph_req_raw(r, &q->item);
    default:
        return true;
    }
}

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

/* Trailing slashes do not count. A path that is too long for a file's name is not kept. */
static void strip_path(struct ph_ddll_req *q)
{
    size_t n = length(q->path);
    while (n > 1 && q->path[n - 1] == '/')
        q->path[--n] = '\0';
    q->too_long = n >= PATH_MAX || (q->what == PH_REQ_LOAD && length(q->name) >= PATH_MAX);
    if (!q->too_long)
        return;
    ph_free(q->path);
    q->path = NULL;
}

/* Bytes that it keeps while it waits. */
static size_t kept_by(const struct ph_ddll_req *q)
{
    return sizeof *q + q->tag.len + q->ref.len + q->name_term.len + q->item.len + length(q->path) + length(q->name);
}

/* The request outlives the frame: its slices are moved to a copy. False: no memory. */
static bool own_slices(struct ph_ddll_req *q, const struct ph_slice *tag)
{
    struct ph_slice *slices[] = {&q->tag, &q->ref, &q->name_term, &q->item};
    size_t total = 0, at = 0;
    q->tag = *tag;
    for (size_t i = 0; i < 4; i++)
        total += slices[i]->len;
    if (!(q->frame = ph_alloc_try(total + 1)))
        return false;
    for (size_t i = 0; i < 4; i++) {
        if (slices[i]->len)
            memcpy(q->frame + at, slices[i]->p, slices[i]->len);
        slices[i]->p = q->frame + at;
        at += slices[i]->len;
    }
    return true;
}

/* Only loading, unloading and allowing change something. */
static bool may_ask(struct ph_req *r)
{
    const struct ph_access *access = ph_conn_access(r->conn);
    bool changes = r->what == PH_REQ_LOAD || r->what == PH_REQ_UNLOAD;
    if (r->what == PH_REQ_ALLOW_DRIVER)
        return ph_req_permitted(r, !access || access->administer, "allow drivers");
    return ph_req_permitted(r, !changes || !access || access->load, "load or unload drivers");
}

/* Why it is not done, or NULL. */
static const char *refused(struct ph_req *r, struct decode *d)
{
    if (d->badarg)
        return "badarg";
    if (!may_ask(r))
        return "not_permitted";
    return d->no_memory || !own_slices(d->q, &r->tag) ? "enomem" : NULL;
}

bool ph_driver_request(struct ph_req *r)
{
    struct ph_ddll_req *q = ph_calloc_try(1, sizeof *q);
    struct decode d = {.q = q};
    if (!q) {
        ph_reply_error_atom(r->peer, r->tag, "enomem");
        return true;
    }
    q->what = r->what;
    q->peer = ph_peer_ref(r->peer);
    q->trusted = !ph_conn_access(r->conn);
    bool ok = elements(r, &d);
    const char *why = ok ? refused(r, &d) : NULL;
    if (why)
        ph_reply_error_atom(r->peer, r->tag, why);
    if (!ok || why) {
        ph_ddll_req_free(q);
        return ok;
    }
    strip_path(q);
    q->charge = kept_by(q);
    ph_peer_charge(q->peer, q->charge);
    ph_ddll_submit(q);
    return true;
}
