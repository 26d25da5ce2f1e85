/* SPDX-License-Identifier: Apache-2.0 */
/* erl_ddll:info/2, loaded_drivers/0, format_error/1. In jobs of ddll's lock. */
#include <string.h>

#include "base/mem.h"
#include "driver/ddll_struct.h"
#include "driver/entry.h"
#include "peer/reply.h"
#include "term/words.h"

/* X(atom, text): what erl_ddll:format_error/1 is told by the host. */
#define LOAD_ERRORS(X)                                                                                          \
    X("no_driver_init", "The file has no function driver_init")                                                 \
    X("driver_init_failed", "The driver's initialization failed")                                               \
    X("driver_incorrect_version", "The driver was built for a version of the driver interface not spoken here") \
    X("bad_driver_name", "The driver's own name is not the name it was loaded by")                              \
    X("linked_in_driver", "The driver is part of the host and cannot be loaded or unloaded")                    \
    X("permanent", "The driver has locked itself and cannot be unloaded")                                       \
    X("not_loaded", "The driver is not loaded")                                                                 \
    X("not_loaded_by_this_process", "The driver was not loaded by this process")                                \
    X("inconsistent", "The driver is loaded from another path or with other options")                           \
    X("pending_reload", "A reload of the driver is pending already")                                            \
    X("pending_process", "Other processes use the driver")                                                      \
    X("driver_crashed", "The driver has crashed the host too often and is barred until an administrator allows it")  \
    X("not_permitted", "The host does not load drivers from there")

void ph_w_load_error(struct ph_wbuf *w, const struct ph_load_error *err)
{
    if (err->number) {
        ph_w_tuple(w, 2);
        ph_w_atom(w, err->atom);
        ph_w_int(w, err->number);
    } else {
        ph_w_atom(w, err->atom);
    }
}

static const char *error_text(struct ph_slice reason)
{
    static const struct {
        const char *atom, *text;
    } known[] = {
#define X(atom, text) {atom, text},
        LOAD_ERRORS(X)
#undef X
    };
    struct ph_cur c = {reason.p, reason.p + reason.len};
    uint32_t arity;
    int64_t number;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (ph_etf_is_atom(&c, known[i].atom) == 0)
            return known[i].text;
    if (ph_etf_tuple(&c, &arity) == 0 && arity == 2 && ph_etf_is_atom(&c, "open_error") == 0)
        if (ph_etf_int64(&c, &number) == 0 && number <= 0 && number >= INT32_MIN)
            return ph_open_error_text((int)number);
    return NULL;
}

void ph_ddll_format_error(struct ph_ddll_req *req)
{
    const char *text = error_text(req->item);
    if (!text) {
        ph_reply_error_atom(req->peer, req->tag, "badarg");
        return;
    }
    struct ph_wbuf *w = ph_reply_ok(req->tag);
    ph_w_string(w, text, strlen(text));
    ph_peer_commit(req->peer, w);
}

struct names {
    struct ph_wbuf *w;
    uint32_t n;
};

static void count_name(struct ph_driver *d, void *arg)
{
    (void)d;
    ((struct names *)arg)->n++;
}

static void write_name(struct ph_driver *d, void *arg)
{
    struct names *names = arg;
    if (names->n) {
        ph_w_string(names->w, d->name, strlen(d->name));
        names->n--;
    }
}

void ph_ddll_list_drivers(struct ph_ddll_req *req)
{
    struct names names = {.w = ph_reply_ok(req->tag)};
    ph_driver_each(count_name, &names);
    ph_w_list(names.w, names.n);
    uint32_t n = names.n;
    ph_driver_each(write_name, &names);
    for (; names.n; names.n--) /* drivers removed in between by remove_driver_entry */
        ph_w_nil(names.w);
    if (n)
        ph_w_nil(names.w);
    ph_peer_commit(req->peer, names.w);
}

static void write_users(struct ph_wbuf *w, struct ph_driver *d)
{
    struct ph_user *u;
    uint32_t n = 0;
    LIST_FOREACH(u, &d->users, link)
        n++;
    ph_w_list(w, n);
    LIST_FOREACH(u, &d->users, link) {
        ph_w_tuple(w, 2);
        ph_w_word(w, u->watch.pid);
        ph_w_uint(w, u->count);
    }
    if (n)
        ph_w_nil(w);
}

static uint32_t count_waiters(const struct ph_waiters *waiters)
{
    const struct ph_waiter *i;
    uint32_t n = 0;
    TAILQ_FOREACH(i, waiters, link)
        n++;
    return n;
}

/* [{Pid, Count}] of those that wait for a message of these kinds. */
static void write_waiters(struct ph_wbuf *w, struct ph_driver *d, enum ph_ddll_when first, enum ph_ddll_when last)
{
    struct ph_waiter *i;
    uint32_t n = 0;
    for (unsigned when = first; when <= last; when++)
        n += count_waiters(&d->waiters[when]);
    ph_w_list(w, n);
    for (unsigned when = first; when <= last; when++)
        TAILQ_FOREACH(i, &d->waiters[when], link) {
            ph_w_tuple(w, 2);
            ph_w_word(w, i->watch.pid);
            ph_w_uint(w, 1);
        }
    if (n)
        ph_w_nil(w);
}

static void write_options(struct ph_wbuf *w, const struct ph_driver *d)
{
    ph_w_list(w, d->kill_ports);
    if (d->kill_ports) {
        ph_w_atom(w, "kill_ports");
        ph_w_nil(w);
    }
}

/* The value of a known item, for a driver of which processes and counts can be told. */
static void write_item(struct ph_wbuf *w, struct ph_driver *d, const char *item)
{
    if (strcmp(item, "processes") == 0)
        write_users(w, d);
    else if (strcmp(item, "port_count") == 0)
        ph_w_int(w, atomic_load(&d->ports));
    else if (strcmp(item, "awaiting_load") == 0)
        write_waiters(w, d, PH_WHEN_LOADED, PH_WHEN_LOADED);
    else
        write_waiters(w, d, PH_WHEN_UNLOADED, PH_WHEN_UNLOADED_ONLY);
}

void ph_ddll_info(struct ph_ddll_req *req, struct ph_driver *d)
{
    static const char *const counted[] = {"processes", "port_count", "awaiting_load", "awaiting_unload"};
    struct ph_cur c = {req->item.p, req->item.p + req->item.len};
    const char *item = NULL;
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++)
        if (ph_etf_is_atom(&c, counted[i]) == 0)
            item = counted[i];
    bool options = ph_etf_is_atom(&c, "driver_options") == 0;
    bool linked = ph_etf_is_atom(&c, "linked_in_driver") == 0;
    bool permanent = ph_etf_is_atom(&c, "permanent") == 0;
    bool entry = ph_etf_is_atom(&c, "entry") == 0;
    if (!d || !(item || options || linked || permanent || entry)) {
        ph_reply_error_atom(req->peer, req->tag, "badarg");
        return;
    }
    if (entry) {
        struct ph_wbuf *w = ph_reply_ok(req->tag);
        ph_w_entry(w, &d->entry);
        ph_peer_commit(req->peer, w);
        return;
    }
    bool is_permanent = d->status == PH_DRIVER_PERMANENT;
    struct ph_wbuf *w = ph_reply_ok(req->tag);
    if (linked)
        ph_w_bool(w, d->linked_in);
    else if (permanent)
        ph_w_bool(w, is_permanent);
    else if (d->linked_in)
        ph_w_atom(w, "linked_in_driver");
    else if (options)
        write_options(w, d);
    else if (is_permanent)
        ph_w_atom(w, "permanent");
    else
        write_item(w, d, item);
    ph_peer_commit(req->peer, w);
}
