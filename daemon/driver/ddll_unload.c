/* SPDX-License-Identifier: Apache-2.0 */
/* Unloading: when the last user has gone, or asked for it, and nothing holds the driver any more (try_unload, reload of erl_ddll(3)).
 * In jobs of ddll's lock. */
#include "base/mem.h"
#include "driver/ddll_struct.h"
#include "peer/reply.h"

static void (*kill_ports)(struct ph_driver *d);

void ph_ddll_on_kill_ports(void (*kill)(struct ph_driver *d))
{
    kill_ports = kill;
}

/* --- unloading --- */

static void finish_reload(struct ph_driver *d)
{
    struct ph_load_error err;
    ph_loader_unload(d);
    ph_waiters_tell(d, PH_UNLOAD_WAITS, "DOWN", "unloaded");
    if (ph_loader_load(d, d->file, &err) == 0) {
        ph_driver_set_status(d, PH_DRIVER_OK);
        ph_waiters_tell(d, 1u << PH_WHEN_LOADED, "UP", "loaded");
        return;
    }
    ph_driver_unlist_if_idle(d);
    ph_waiters_tell_load_failure(d, &err);
    while (!LIST_EMPTY(&d->users))
        ph_user_free(LIST_FIRST(&d->users));
    ph_waiters_free(d);
    ph_driver_free(d);
}

void ph_ddll_go_if_idle(struct ph_driver *d)
{
    if (d->status == PH_DRIVER_OK || d->status == PH_DRIVER_PERMANENT)
        return;
    if (ph_driver_reloads(d)) {
        if (ph_driver_bar_if_idle(d))
            finish_reload(d);
        return;
    }
    if (!ph_driver_unlist_if_idle(d))
        return;
    ph_loader_unload(d);
    ph_waiters_tell(d, PH_UNLOAD_WAITS, "DOWN", "unloaded");
    ph_waiters_tell(d, 1u << PH_WHEN_LOADED, "DOWN", "load_cancelled");
    ph_driver_free(d);
}

void ph_ddll_go(struct ph_driver *d, enum ph_driver_status status, const struct ph_ddll_req *req, const char *answer, bool with_ref)
{
    bool cancelled = ph_driver_reloads(d);
    ph_driver_set_status(d, status);
    if (req)
        ph_ddll_reply_pending(req, answer, with_ref);
    if (cancelled)
        ph_waiters_tell(d, 1u << PH_WHEN_LOADED, "DOWN", "load_cancelled");
    if (status == PH_DRIVER_FORCE_UNLOAD || status == PH_DRIVER_FORCE_RELOAD)
        kill_ports(d);
    ph_ddll_go_if_idle(d);
}

/* The last user has gone. */
static void begin_unload(struct ph_driver *d, bool kill, const struct ph_ddll_req *req, bool with_ref)
{
    ph_ddll_go(d, kill ? PH_DRIVER_FORCE_UNLOAD : PH_DRIVER_UNLOAD, req, "pending_driver", with_ref);
}

static const char *unload_refused(struct ph_driver *d, const struct ph_ddll_req *req)
{
    if (!d)
        return "not_loaded";
    if (d->linked_in)
        return "linked_in_driver";
    if (d->status == PH_DRIVER_PERMANENT)
        return "permanent";
    if (!LIST_EMPTY(&d->users) && !ph_user_find(d, req->user, req->peer))
        return "not_loaded_by_this_process";
    return NULL;
}

void ph_ddll_try_unload(struct ph_ddll_req *req, struct ph_driver *d)
{
    const char *refused = unload_refused(d, req);
    if (refused) {
        ph_reply_error_atom(req->peer, req->tag, refused);
        return;
    }
    struct ph_user *u = ph_user_find(d, req->user, req->peer);
    bool last = !u || ph_user_is_only(d);
    bool with_ref = last ? req->monitor != PH_PENDING_NO : req->monitor == PH_PENDING_PROCESS;
    refused = with_ref ? ph_waiter_add(d, req, PH_WHEN_UNLOADED) : NULL;
    if (refused) {
        ph_reply_error_atom(req->peer, req->tag, refused);
        return;
    }
    if (u)
        ph_user_drop(u);
    if (last)
        begin_unload(d, req->kill_ports || d->kill_ports, req, with_ref);
    else
        ph_ddll_reply_pending(req, "pending_process", with_ref);
}

void ph_user_gone(struct ph_user *u)
{
    struct ph_driver *d = u->watch.driver;
    ph_user_free(u);
    if (LIST_EMPTY(&d->users) && d->status != PH_DRIVER_PERMANENT && !atomic_load(&d->locked)) /* which may have been said, and waits for its turn */
        begin_unload(d, d->kill_ports, NULL, false);
}
