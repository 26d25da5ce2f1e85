/* SPDX-License-Identifier: Apache-2.0 */
/* Loading: for users (try_load of erl_ddll(3), a reload too), and of files that ddll.c has found for a port. In jobs of ddll's lock. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/flood.h"
#include "base/limits.h"
#include "base/mem.h"
#include "driver/ddll_struct.h"
#include "driver/path.h"
#include "peer/reply.h"

static void reply_load_error(const struct ph_ddll_req *req, const struct ph_load_error *err)
{
    struct ph_wbuf *w = ph_reply_error(req->tag);
    ph_w_load_error(w, err);
    ph_peer_commit(req->peer, w);
}

/* "dir/name.so", or "name.so" without a directory: malloc'd. NULL: no memory. */
static char *join(const char *dir, const char *name)
{
    size_t n = (dir ? strlen(dir) + 1 : 0) + strlen(name) + sizeof ".so";
    char *file = ph_alloc_try(n);
    if (file)
        snprintf(file, n, "%s%s%s.so", dir ? dir : "", dir ? "/" : "", name);
    return file;
}

char *ph_ddll_permitted(const char *name, const char *file, uint64_t conn, struct ph_load_error *err)
{
    const char *why;
    char *resolved = ph_driver_path_resolve(name, file, &why);
    if (why) {
        ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_WARNING, &(struct ph_where){.connection = conn, .driver = name}, "may not load %s: %s", file, why);
        *err = (struct ph_load_error){.atom = "not_permitted"};
    } else if (!resolved) {
        ph_loader_cannot_open(file, strerror(errno), err);
    }
    return resolved;
}

/* The file that path and name mean to this client: malloc'd; NULL and err if it may not be loaded. */
static char *file_for(const struct ph_ddll_req *req, struct ph_load_error *err)
{
    bool given = req->path && req->path[0];
    char *file = given ? join(req->path, req->name) : ph_driver_path_find(req->name);
    if (!file && !given)
        file = join(NULL, req->name); /* dlopen or realpath will say that there is no such file */
    *err = (struct ph_load_error){.atom = "enomem"};
    if (req->trusted || !file)
        return file;
    char *resolved = ph_ddll_permitted(req->name, file, ph_peer_id(req->peer), err);
    ph_free(file);
    return resolved;
}

static void count_one(struct ph_driver *d, void *n)
{
    (void)d;
    ++*(uint64_t *)n;
}

static bool too_many_drivers(struct ph_load_error *err)
{
    uint64_t n = 0;
    ph_driver_each(count_one, &n);
    if (n < ph_limit(PH_LIMIT_LOADED_DRIVERS))
        return false;
    ph_limit_met(PH_LIMIT_LOADED_DRIVERS);
    *err = (struct ph_load_error){.atom = "system_limit"};
    return true;
}

/* NULL: no memory. */
static struct ph_driver *new_driver(const char *name, const char *path, const char *file)
{
    struct ph_driver *d = ph_driver_new(name);
    if (!d)
        return NULL;
    d->path = ph_strdup_try(path ? path : "");
    d->file = realpath(file, NULL); /* also NULL if there is no such file, which loading it will say */
    if (d->path && (d->file || errno != ENOMEM))
        return d;
    ph_driver_free(d);
    return NULL;
}

/* Its user, if somebody asks for it, and its code: true, or err. */
static bool fill(struct ph_driver *d, const struct ph_ddll_req *req, const char *file, struct ph_load_error *err)
{
    struct ph_user *u = req ? ph_user_add(d, req, &err->atom) : NULL;
    if (req && !u)
        return false;
    if (ph_loader_load(d, file, err) == 0)
        return true;
    if (u)
        ph_user_free(u);
    return false;
}

struct ph_driver *ph_ddll_load_file(const char *name, const struct ph_ddll_req *req, char *file, struct ph_load_error *err)
{
    if (too_many_drivers(err)) {
        ph_free(file);
        return NULL;
    }
    struct ph_driver *d = new_driver(name, req ? req->path : NULL, file);
    *err = (struct ph_load_error){.atom = "enomem"};
    if (d && !fill(d, req, file, err)) {
        ph_driver_free(d);
        d = NULL;
    }
    if (d)
        ph_driver_list(d);
    ph_free(file);
    return d;
}

static void load_new(struct ph_ddll_req *req)
{
    struct ph_load_error err;
    char *file = file_for(req, &err);
    struct ph_driver *d = file ? ph_ddll_load_file(req->name, req, file, &err) : NULL;
    if (!d) {
        reply_load_error(req, &err);
        return;
    }
    d->kill_ports = req->kill_ports;
    ph_reply_ok_atom(req->peer, req->tag, "loaded");
    ph_user_watch(LIST_FIRST(&d->users));
}

/* Was the driver loaded from where this request says? Text is compared, as the VM does; but a driver that the host found itself is known by its file. */
static bool consistent(const struct ph_driver *d, const struct ph_ddll_req *req)
{
    if (!d->by_host)
        return strcmp(d->path, req->path ? req->path : "") == 0 && d->kill_ports == req->kill_ports;
    struct ph_load_error err;
    char *file = file_for(req, &err), *resolved = file ? realpath(file, NULL) : NULL;
    bool same = resolved && d->file && strcmp(resolved, d->file) == 0;
    free(resolved);
    ph_free(file);
    return same;
}

/* From now on it belongs to its users. False: no memory. */
static bool take_from_host(struct ph_driver *d, const struct ph_ddll_req *req)
{
    char *path = ph_strdup_try(req->path ? req->path : "");
    if (!path)
        return false;
    d->by_host = false;
    d->kill_ports = req->kill_ports;
    ph_free(d->path);
    d->path = path;
    return true;
}

/* Its new user, who has not been answered yet: NULL, or why there is none, and nothing is changed. */
static const char *add_user(struct ph_driver *d, const struct ph_ddll_req *req, struct ph_user **user)
{
    const char *why;
    struct ph_user *u = ph_user_add(d, req, &why);
    if (!u)
        return why;
    why = ph_driver_reloads(d) ? ph_waiter_add(d, req, PH_WHEN_LOADED) : NULL;
    if (!why && d->by_host && !take_from_host(d, req))
        why = "enomem"; /* by_host: nobody has asked for a reload, so there is no waiter */
    if (why)
        ph_user_drop(u);
    *user = u;
    return why;
}

static void load_again(struct ph_ddll_req *req, struct ph_driver *d)
{
    struct ph_user *u = NULL;
    const char *refused = consistent(d, req) ? add_user(d, req, &u) : "inconsistent";
    if (refused) {
        ph_reply_error_atom(req->peer, req->tag, refused);
        return;
    }
    if (ph_driver_reloads(d)) {
        ph_ddll_reply_pending(req, "pending_driver", true);
    } else {
        if (d->status != PH_DRIVER_OK) {
            ph_driver_set_status(d, PH_DRIVER_OK);
            ph_waiters_tell(d, 1u << PH_WHEN_UNLOADED, "UP", "unload_cancelled");
        }
        ph_reply_ok_atom(req->peer, req->tag, "already_loaded");
    }
    ph_user_watch(u);
}

static const char *reload_refused(const struct ph_driver *cd, const struct ph_ddll_req *req)
{
    struct ph_driver *d = (struct ph_driver *)(uintptr_t)cd;
    if (ph_driver_reloads(d))
        return "pending_reload";
    if (d->status != PH_DRIVER_OK)
        return "not_loaded_by_this_process";
    if (d->kill_ports != req->kill_ports)
        return "inconsistent";
    struct ph_user *u = ph_user_find(d, req->user, req->peer);
    if (req->reload == PH_PENDING_DRIVER && !LIST_EMPTY(&d->users) && !(u && ph_user_is_only(d)))
        return "pending_process";
    return u ? NULL : "not_loaded_by_this_process";
}

static void reload(struct ph_ddll_req *req, struct ph_driver *d)
{
    const char *refused = reload_refused(d, req);
    bool with_ref = req->monitor != PH_PENDING_NO;
    if (!refused && with_ref)
        refused = ph_waiter_add(d, req, PH_WHEN_LOADED);
    if (refused) {
        ph_reply_error_atom(req->peer, req->tag, refused);
        return;
    }
    ph_ddll_go(d, d->kill_ports ? PH_DRIVER_FORCE_RELOAD : PH_DRIVER_RELOAD, req, req->reload == PH_PENDING_DRIVER ? "pending_driver" : "pending_process",
               with_ref);
}

/* Nothing is kept of what is too long for a file's name. */
static void refuse_path(const struct ph_ddll_req *req)
{
    struct ph_load_error err;
    ph_loader_cannot_open("with too long a path", strerror(ENAMETOOLONG), &err);
    reply_load_error(req, &err);
}

void ph_ddll_try_load(struct ph_ddll_req *req, struct ph_driver *d)
{
    if (req->too_long)
        refuse_path(req);
    else if (!d && req->reload != PH_PENDING_NO)
        ph_reply_error_atom(req->peer, req->tag, "not_loaded");
    else if (!d)
        load_new(req);
    else if (d->linked_in)
        ph_reply_error_atom(req->peer, req->tag, "linked_in_driver");
    else if (d->status == PH_DRIVER_PERMANENT)
        ph_reply_error_atom(req->peer, req->tag, "permanent");
    else if (req->reload != PH_PENDING_NO)
        reload(req, d);
    else
        load_again(req, d);
}
