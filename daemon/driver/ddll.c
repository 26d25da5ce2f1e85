/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and unloading for users: try_load, ph_ddll_try_unload and what follows from them, after erl_ddll(3). Everything here runs in jobs of one lock on the
 * workers, so users, waiters and drivers' fields need no other. */
#include "driver/ddll.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errno_id.h"
#include "base/limits.h"
#include "base/flood.h"
#include "base/log.h"
#include "base/mem.h"
#include "driver/crashes.h"
#include "driver/ddll_struct.h"
#include "driver/path.h"
#include "peer/reply.h"
#include "term/words.h"

static struct ph_lock *lock;
static struct ph_lane lane; /* of all its jobs */

/* --- jobs --- */

struct driver_job { /* "look at this driver" */
    struct ph_job job;
    struct ph_driver *driver; /* an address only: may be gone */
};

static void idle_job(struct ph_job *job)
{
    struct driver_job *j = (struct driver_job *)job;
    if (ph_driver_is_listed(j->driver))
        ph_ddll_go_if_idle(j->driver);
    ph_free(j);
}

static void on_idle(struct ph_driver *d)
{
    struct driver_job *j = ph_alloc(sizeof *j);
    *j = (struct driver_job){.job.run = idle_job, .driver = d};
    ph_lock_submit(lock, &lane, &j->job);
}

void ph_ddll_run(struct ph_job *job)
{
    ph_lock_submit(lock, &lane, job);
}

void ph_ddll_init(void)
{
    lock = ph_lock_new(ph_reactor_first(), NULL);
    ph_lane_init(&lane);
    ph_lock_force_worker(lock);
    ph_driver_on_idle(on_idle);
}

void ph_ddll_req_free(struct ph_ddll_req *req)
{
    ph_peer_discharge(req->peer, req->charge);
    ph_peer_unref(req->peer);
    ph_free(req->frame);
    ph_free(req->path);
    ph_free(req->name);
    ph_free(req);
}

/* --- loading --- */

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

/* For a client that is not trusted: the resolved file (malloc'd), or NULL and err. */
static char *permitted(const char *name, const char *file, uint64_t conn, struct ph_load_error *err)
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
    char *resolved = permitted(req->name, file, ph_peer_id(req->peer), err);
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

/* A new driver from file (taken), listed; NULL and err. */
static struct ph_driver *load_file(const char *name, const char *path, char *file, struct ph_load_error *err)
{
    if (too_many_drivers(err)) {
        ph_free(file);
        return NULL;
    }
    struct ph_driver *d = new_driver(name, path, file);
    *err = (struct ph_load_error){.atom = "enomem"};
    if (d && ph_loader_load(d, file, err)) {
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
    struct ph_driver *d = file ? load_file(req->name, req->path, file, &err) : NULL;
    if (!d) {
        reply_load_error(req, &err);
        return;
    }
    d->kill_ports = req->kill_ports;
    ph_reply_ok_atom(req->peer, req->tag, "loaded");
    ph_user_add(d, req);
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

static void load_again(struct ph_ddll_req *req, struct ph_driver *d)
{
    if (!consistent(d, req)) {
        ph_reply_error_atom(req->peer, req->tag, "inconsistent");
        return;
    }
    if (d->by_host) { /* from now on it belongs to its users */
        char *path = ph_strdup_try(req->path ? req->path : "");
        if (!path) {
            ph_reply_error_atom(req->peer, req->tag, "enomem");
            return;
        }
        d->by_host = false;
        d->kill_ports = req->kill_ports;
        ph_free(d->path);
        d->path = path;
    }
    if (d->status == PH_DRIVER_RELOAD || d->status == PH_DRIVER_FORCE_RELOAD) {
        ph_waiter_add(d, req, PH_WHEN_LOADED);
        ph_ddll_reply_pending(req, "pending_driver", true);
    } else {
        if (d->status != PH_DRIVER_OK) {
            ph_driver_set_status(d, PH_DRIVER_OK);
            ph_waiters_tell(d, 1u << PH_WHEN_UNLOADED, "UP", "unload_cancelled");
        }
        ph_reply_ok_atom(req->peer, req->tag, "already_loaded");
    }
    ph_user_add(d, req);
}

static const char *reload_refused(const struct ph_driver *cd, const struct ph_ddll_req *req)
{
    struct ph_driver *d = (struct ph_driver *)(uintptr_t)cd;
    if (d->status == PH_DRIVER_RELOAD || d->status == PH_DRIVER_FORCE_RELOAD)
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
    if (refused) {
        ph_reply_error_atom(req->peer, req->tag, refused);
        return;
    }
    bool with_ref = req->monitor != PH_PENDING_NO;
    if (with_ref)
        ph_waiter_add(d, req, PH_WHEN_LOADED);
    ph_ddll_go(d, d->kill_ports ? PH_DRIVER_FORCE_RELOAD : PH_DRIVER_RELOAD, req, req->reload == PH_PENDING_DRIVER ? "pending_driver" : "pending_process",
               with_ref);
}

static void try_load(struct ph_ddll_req *req, struct ph_driver *d)
{
    if (!d && req->reload != PH_PENDING_NO)
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

/* --- monitors --- */

static void monitor_loaded(struct ph_ddll_req *req, struct ph_driver *d)
{
    if (!d)
        ph_ddll_tell_now(req, "DOWN", "unloaded");
    else if (d->status == PH_DRIVER_OK)
        ph_ddll_tell_now(req, "UP", "loaded");
    else if (d->status == PH_DRIVER_UNLOAD || d->status == PH_DRIVER_FORCE_UNLOAD)
        ph_ddll_tell_now(req, "DOWN", "load_cancelled");
    else
        ph_waiter_add(d, req, PH_WHEN_LOADED);
}

static void monitor_driver(struct ph_ddll_req *req, struct ph_driver *d)
{
    ph_reply_ok_atom(req->peer, req->tag, "true");
    if (d && (d->linked_in || d->status == PH_DRIVER_PERMANENT))
        ph_ddll_tell_now(req, "UP", "permanent");
    else if (req->when == PH_WHEN_LOADED)
        monitor_loaded(req, d);
    else if (!d)
        ph_ddll_tell_now(req, "DOWN", "unloaded");
    else
        ph_waiter_add(d, req, req->when);
}

struct demonitor {
    const struct ph_ddll_req *req;
    bool done;
};

static void demonitor_one(struct ph_driver *d, void *arg)
{
    struct demonitor *dm = arg;
    dm->done = dm->done || ph_waiter_remove(d, dm->req->peer, dm->req->ref);
}

static void demonitor_driver(struct ph_ddll_req *req)
{
    struct demonitor dm = {.req = req};
    ph_driver_each(demonitor_one, &dm);
    ph_reply_ok_atom(req->peer, req->tag, "true");
}

static void allow(struct ph_ddll_req *req)
{
    unsigned n;
    int err = ph_crashes_allow(req->name, &n);
    ph_log(PH_LOG_NOTICE, &(struct ph_where){.connection = ph_peer_id(req->peer), .driver = req->name}, "%u crashes are forgotten", n);
    if (err) {
        ph_reply_error_atom(req->peer, req->tag, ph_errno_id(err));
        return;
    }
    struct ph_wbuf *w = ph_reply_ok(req->tag);
    ph_w_uint(w, n);
    ph_peer_commit(req->peer, w);
}

/* --- dispatch --- */

/* The driver called name, without a hold: jobs of this lock are the only ones that free drivers. */
static struct ph_driver *named(const char *name)
{
    struct ph_driver *d = name ? ph_driver_find(name, strlen(name), false) : NULL;
    if (d)
        ph_driver_release(d);
    return d;
}

static void run_request(struct ph_job *job)
{
    struct ph_ddll_req *req = (struct ph_ddll_req *)job;
    struct ph_driver *d = named(req->name);
    switch (req->what) {
    case PH_REQ_LOAD:
        try_load(req, d);
        break;
    case PH_REQ_UNLOAD:
        ph_ddll_try_unload(req, d);
        break;
    case PH_REQ_MONITOR_DRIVER:
        monitor_driver(req, d);
        break;
    case PH_REQ_DEMONITOR_DRIVER:
        demonitor_driver(req);
        break;
    case PH_REQ_DRIVER_INFO:
        ph_ddll_info(req, d);
        break;
    case PH_REQ_DRIVERS:
        ph_ddll_list_drivers(req);
        break;
    case PH_REQ_FORMAT_ERROR:
        ph_ddll_format_error(req);
        break;
    case PH_REQ_ALLOW_DRIVER:
        allow(req);
        break;
    default:
        ph_fatal("request %d is not for drivers", (int)req->what);
    }
    ph_ddll_req_free(req);
}

void ph_ddll_submit(struct ph_ddll_req *req)
{
    req->job.run = run_request;
    ph_lock_submit(lock, &lane, &req->job);
}

/* --- for ports --- */

struct autoload {
    struct ph_job job;
    void (*done)(void *arg, struct ph_driver *d, const char *why);
    void *arg;
    uint64_t conn;
    char name[];
};

/* Why a port cannot be opened if its driver cannot be loaded. */
static const char *open_reason(const struct ph_load_error *err)
{
    bool told = strcmp(err->atom, "system_limit") == 0 || strcmp(err->atom, "driver_crashed") == 0 || strcmp(err->atom, "enomem") == 0;
    return told ? err->atom : "no_driver";
}

static void run_autoload(struct ph_job *job)
{
    struct autoload *a = (struct autoload *)job;
    struct ph_driver *d = ph_driver_find(a->name, strlen(a->name), true);
    char *file = d ? NULL : ph_driver_path_find(a->name);
    struct ph_load_error err = {.atom = "no_driver"};
    char *resolved = file && !named(a->name) ? permitted(a->name, file, a->conn, &err) : NULL;
    ph_free(file);
    if (resolved && (d = load_file(a->name, NULL, resolved, &err))) {
        d->by_host = true;
        ph_driver_hold(d);
    }
    a->done(a->arg, d, open_reason(&err));
    ph_free(a);
}

void ph_ddll_autoload(uint64_t conn, const char *name, size_t len, void (*done)(void *arg, struct ph_driver *d, const char *why), void *arg)
{
    struct autoload *a = ph_alloc_try(sizeof *a + len + 1);
    if (!a) {
        done(arg, NULL, "enomem");
        return;
    }
    *a = (struct autoload){.job.run = run_autoload, .done = done, .arg = arg, .conn = conn};
    memcpy(a->name, name, len);
    a->name[len] = '\0';
    ph_lock_submit(lock, &lane, &a->job);
}

struct preload {
    sem_t done;
    bool loaded, barred;
};

static void preloaded(void *arg, struct ph_driver *d, const char *why)
{
    struct preload *p = arg;
    p->loaded = d != NULL;
    p->barred = why && strcmp(why, "driver_crashed") == 0;
    if (d)
        ph_driver_release(d);
    sem_post(&p->done);
}

int ph_ddll_preload(const char *name)
{
    struct preload p = {.loaded = false};
    sem_init(&p.done, 0, 0);
    ph_ddll_autoload(0, name, strlen(name), preloaded, &p);
    while (sem_wait(&p.done) && errno == EINTR)
        ;
    sem_destroy(&p.done);
    if (!p.loaded && !p.barred)
        ph_log(PH_LOG_ERROR, NULL, "driver %s cannot be preloaded", name);
    return p.loaded || p.barred ? 0 : -1;
}

struct forget_job {
    struct ph_job job;
    struct ph_peer *peer; /* reference */
};

static void forget_waiters(struct ph_driver *d, void *peer)
{
    ph_waiters_remove_of(d, peer);
}

struct user_of {
    const struct ph_peer *peer;
    struct ph_driver *driver; /* found: the two */
    struct ph_user *user;
};

static void find_user_of(struct ph_driver *d, void *arg)
{
    struct user_of *f = arg;
    struct ph_user *u;
    LIST_FOREACH(u, &d->users, link)
        if (u->peer == f->peer)
            *f = (struct user_of){.peer = f->peer, .driver = d, .user = u};
}

/* A user of this peer may be a process for which another peer speaks, so its monitor does not do this. */
static void forget(struct ph_job *job)
{
    struct forget_job *j = (struct forget_job *)job;
    struct user_of f;
    ph_driver_each(forget_waiters, j->peer);
    do {
        f = (struct user_of){.peer = j->peer};
        ph_driver_each(find_user_of, &f); /* ph_user_gone may not be called under the list's mutex */
        if (f.user)
            ph_user_gone(f.driver, f.user);
    } while (f.user);
    ph_peer_unref(j->peer);
    ph_free(j);
}

void ph_ddll_forget_peer(struct ph_peer *p)
{
    struct forget_job *j = ph_alloc(sizeof *j);
    *j = (struct forget_job){.job.run = forget, .peer = ph_peer_ref(p)};
    ph_lock_submit(lock, &lane, &j->job);
}

struct permanent_job {
    struct ph_job job;
    struct ph_driver *driver; /* a hold, never released: that is what makes it permanent */
};

static void make_permanent(struct ph_job *job)
{
    struct permanent_job *j = (struct permanent_job *)job;
    struct ph_driver *d = j->driver;
    ph_driver_set_status(d, PH_DRIVER_PERMANENT);
    while (!LIST_EMPTY(&d->users))
        ph_user_free(LIST_FIRST(&d->users));
    ph_waiters_tell(d, PH_UNLOAD_WAITS | 1u << PH_WHEN_LOADED, "UP", "permanent");
    ph_free(j);
}

int ph_ddll_make_permanent(struct ph_driver *d)
{
    if (d->linked_in)
        return -1;
    struct permanent_job *j = ph_alloc(sizeof *j);
    *j = (struct permanent_job){.job.run = make_permanent, .driver = d};
    ph_driver_hold(d);
    ph_lock_submit(lock, &lane, &j->job);
    return 0;
}

/* --- the end --- */

struct end_job {
    struct ph_job job;
    void (*done)(void);
};

struct drivers {
    size_t n;
    struct ph_driver *d[1024];
};

/* Under the list's mutex. Threads with a port data lock are for finish() to end: no unload follows that would have to wait for them. */
static void collect(struct ph_driver *d, void *arg)
{
    struct drivers *all = arg;
    if (all->n < sizeof all->d / sizeof *all->d && atomic_load(&d->holds) == d->pdls)
        all->d[all->n++] = d;
}

static void run_end(struct ph_job *job)
{
    struct end_job *j = (struct end_job *)job;
    struct drivers all = {.n = 0};
    ph_driver_each(collect, &all); /* finish() is not called under the list's mutex: it may use the list */
    for (size_t i = 0; i < all.n; i++) {
        ph_driver_set_status(all.d[i], PH_DRIVER_PERMANENT); /* not to be unloaded, and finished again, when its last user or data lock goes */
        ph_loader_finish(all.d[i]);
    }
    j->done();
    ph_free(j);
}

void ph_ddll_unload_all(void (*done)(void))
{
    struct end_job *j = ph_alloc(sizeof *j);
    *j = (struct end_job){.job.run = run_end, .done = done};
    ph_lock_submit(lock, &lane, &j->job);
}
