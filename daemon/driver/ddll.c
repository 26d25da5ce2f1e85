/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of ddll: requests, opens of drivers that are not loaded, and what follows from both, after erl_ddll(3). All of them are of one lock on the workers, so users,
 * waiters and drivers' fields need no other. */
#include "driver/ddll.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>

#include "base/errno_id.h"
#include "base/log.h"
#include "base/mem.h"
#include "driver/crashes.h"
#include "driver/ddll_struct.h"
#include "driver/path.h"
#include "peer/reply.h"
#include "term/words.h"

static struct ph_lock *lock;
static struct ph_lane lane; /* of jobs that are nobody's request; those of a connection are in its peer's, so that no connection waits for all requests of another */

/* --- jobs --- */

static void become_permanent(struct ph_driver *d)
{
    ph_driver_set_status(d, PH_DRIVER_PERMANENT);
    while (!LIST_EMPTY(&d->users))
        ph_user_free(LIST_FIRST(&d->users));
    ph_waiters_tell(d, PH_UNLOAD_WAITS | 1u << PH_WHEN_LOADED, "UP", "permanent");
}

/* Does what is due for the driver since its last port has closed, or it has locked itself: d may be gone afterwards. */
static void settle(struct ph_driver *d)
{
    if (atomic_load(&d->locked) && d->status != PH_DRIVER_PERMANENT)
        become_permanent(d);
    else
        ph_ddll_go_if_idle(d);
}

struct driver_job { /* "look at this driver" */
    struct ph_job job;
    struct ph_driver *driver; /* an address only: may be gone */
};

static void idle_job(struct ph_job *job)
{
    struct driver_job *j = (struct driver_job *)job;
    if (ph_driver_is_listed(j->driver))
        settle(j->driver);
    ph_free(j);
}

static void on_idle(struct ph_driver *d)
{
    struct driver_job *j = ph_alloc(sizeof *j);
    *j = (struct driver_job){.job.run = idle_job, .driver = d};
    ph_lock_submit(lock, &lane, &j->job);
}

void ph_ddll_run(struct ph_peer *peer, struct ph_job *job)
{
    ph_lock_submit(lock, ph_peer_lane(peer), job);
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

/* --- monitors --- */

/* What there is to be told right away, or NULL if it has to be waited for. */
static const char *news(const struct ph_driver *d, enum ph_ddll_when when, const char **up_or_down)
{
    *up_or_down = "UP";
    if (d && (d->linked_in || d->status == PH_DRIVER_PERMANENT))
        return "permanent";
    if (d && when == PH_WHEN_LOADED && d->status == PH_DRIVER_OK)
        return "loaded";
    *up_or_down = "DOWN";
    if (!d)
        return "unloaded";
    return when == PH_WHEN_LOADED && !ph_driver_reloads(d) ? "load_cancelled" : NULL;
}

static void monitor_driver(struct ph_ddll_req *req, struct ph_driver *d)
{
    const char *up_or_down, *what = news(d, req->when, &up_or_down);
    const char *refused = what ? NULL : ph_waiter_add(d, req, req->when);
    if (refused) {
        ph_reply_error_atom(req->peer, req->tag, refused);
        return;
    }
    ph_reply_ok_atom(req->peer, req->tag, "true");
    if (what)
        ph_ddll_tell_now(req, up_or_down, what);
}

static void demonitor_driver(struct ph_ddll_req *req)
{
    ph_waiter_remove(req->peer, req->ref);
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

/* The driver called name, when what is due for it is done. Only jobs of this lock free drivers, so it needs no hold, but for what drivers have added, which their callbacks may
 * remove at any time: that has one, and let_go is to be called. */
static struct ph_driver *named(const char *name)
{
    struct ph_driver *d = name ? ph_driver_find(name, strlen(name), false) : NULL;
    if (!d || d->linked_in)
        return d;
    ph_driver_release(d);
    if (d->status == PH_DRIVER_OK && !atomic_load(&d->locked))
        return d;
    settle(d);
    d = ph_driver_find(name, strlen(name), false);
    if (d && !d->linked_in)
        ph_driver_release(d);
    return d;
}

/* linked: what named gave, if that is linked in. */
static void let_go(struct ph_driver *linked)
{
    if (linked)
        ph_driver_release(linked);
}

/* Only to be told something, which nobody will hear? */
static bool is_moot(const struct ph_ddll_req *req)
{
    return req->what == PH_REQ_DRIVER_INFO && !ph_peer_is_open(req->peer);
}

static void run_request(struct ph_job *job)
{
    struct ph_ddll_req *req = (struct ph_ddll_req *)job;
    struct ph_driver *d = is_moot(req) ? NULL : named(req->name), *linked = d && d->linked_in ? d : NULL;
    switch (req->what) {
    case PH_REQ_LOAD:
        ph_ddll_try_load(req, d);
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
    let_go(linked);
    ph_ddll_req_free(req);
}

void ph_ddll_submit(struct ph_ddll_req *req)
{
    req->job.run = run_request;
    ph_ddll_run(req->peer, &req->job);
}

/* --- for ports --- */

struct autoload {
    struct ph_job job;
    void (*done)(void *arg, struct ph_driver *d, const char *why);
    void *arg;
    struct ph_peer *peer; /* reference; charged. NULL: nobody's */
    size_t charge;
    char name[];
};

/* Why a port cannot be opened if its driver cannot be loaded. */
static const char *open_reason(const struct ph_load_error *err)
{
    bool told = strcmp(err->atom, "system_limit") == 0 || strcmp(err->atom, "driver_crashed") == 0 || strcmp(err->atom, "enomem") == 0;
    return told ? err->atom : "no_driver";
}

static struct ph_driver *load_from_path(const struct autoload *a, struct ph_load_error *err)
{
    char *file = ph_driver_path_find(a->name);
    char *resolved = file ? ph_ddll_permitted(a->name, file, a->peer ? ph_peer_id(a->peer) : 0, err) : NULL;
    ph_free(file);
    struct ph_driver *d = resolved ? ph_ddll_load_file(a->name, NULL, resolved, err) : NULL;
    if (d) {
        d->by_host = true;
        ph_driver_hold(d);
    }
    return d;
}

static void run_autoload(struct ph_job *job)
{
    struct autoload *a = (struct autoload *)job;
    struct ph_load_error err = {.atom = "no_driver"};
    struct ph_driver *d = named(a->name), *linked = d && d->linked_in ? d : NULL;
    d = d ? ph_driver_find(a->name, strlen(a->name), true) : load_from_path(a, &err);
    let_go(linked);
    a->done(a->arg, d, open_reason(&err));
    if (a->peer) {
        ph_peer_discharge(a->peer, a->charge);
        ph_peer_unref(a->peer);
    }
    ph_free(a);
}

void ph_ddll_autoload(struct ph_peer *peer, const char *name, size_t len, void (*done)(void *arg, struct ph_driver *d, const char *why), void *arg)
{
    struct autoload *a = ph_alloc_try(sizeof *a + len + 1);
    if (!a) {
        done(arg, NULL, "enomem");
        return;
    }
    *a = (struct autoload){.job.run = run_autoload, .done = done, .arg = arg, .charge = sizeof *a + len + 1};
    memcpy(a->name, name, len);
    a->name[len] = '\0';
    if (peer) {
        a->peer = ph_peer_ref(peer);
        ph_peer_charge(peer, a->charge);
    }
    ph_lock_submit(lock, peer ? ph_peer_lane(peer) : &lane, &a->job);
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
    ph_ddll_autoload(NULL, name, strlen(name), preloaded, &p);
    while (sem_wait(&p.done) && errno == EINTR)
        ;
    sem_destroy(&p.done);
    if (!p.loaded && !p.barred)
        ph_log(PH_LOG_ERROR, NULL, "driver %s cannot be preloaded", name);
    return p.loaded || p.barred ? 0 : -1;
}

#define FORGET_AT_ONCE 100u

struct forget_job {
    struct ph_job job;
    struct ph_peer *peer; /* reference */
};

/* A user of this peer may be a process for which another peer speaks, so its monitor does not do this. Few at a time: others have requests, too. */
static void forget(struct ph_job *job)
{
    struct forget_job *j = (struct forget_job *)job;
    bool more = true;
    for (unsigned n = 0; n < FORGET_AT_ONCE && more; n++)
        more = ph_waiter_forget(j->peer) || ph_user_forget(j->peer);
    if (more) {
        ph_ddll_run(j->peer, job);
        return;
    }
    ph_peer_unref(j->peer);
    ph_free(j);
}

void ph_ddll_forget_peer(struct ph_peer *p)
{
    struct forget_job *j = ph_alloc(sizeof *j);
    *j = (struct forget_job){.job.run = forget, .peer = ph_peer_ref(p)};
    ph_ddll_run(p, &j->job);
}

int ph_ddll_make_permanent(struct ph_driver *d)
{
    if (d->linked_in)
        return -1;
    ph_driver_lock(d);
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
    if (all->n == sizeof all->d / sizeof *all->d || atomic_load(&d->holds) != d->pdls)
        return;
    ph_driver_hold(d); /* another's finish() may remove it */
    all->d[all->n++] = d;
}

static void run_end(struct ph_job *job)
{
    struct end_job *j = (struct end_job *)job;
    struct drivers all = {.n = 0};
    ph_driver_each(collect, &all); /* finish() is not called under the list's mutex: it may use the list */
    for (size_t i = 0; i < all.n; i++) {
        bool permanent = all.d[i]->status == PH_DRIVER_PERMANENT || atomic_load(&all.d[i]->locked);
        ph_driver_set_status(all.d[i], PH_DRIVER_PERMANENT); /* not to be unloaded, and finished again, when its last user or data lock goes */
        if (!ph_driver_is_removed(all.d[i]))
            ph_loader_end(all.d[i], permanent);
    }
    for (size_t i = 0; i < all.n; i++)
        ph_driver_release(all.d[i]);
    j->done();
    ph_free(j);
}

void ph_ddll_unload_all(void (*done)(void))
{
    struct end_job *j = ph_alloc(sizeof *j);
    *j = (struct end_job){.job.run = run_end, .done = done};
    ph_lock_submit(lock, &lane, &j->job);
}
