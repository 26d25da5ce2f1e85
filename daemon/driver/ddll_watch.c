/* SPDX-License-Identifier: Apache-2.0 */
/* What users and waiters have in common: each is for a process of one connection, counts in what is kept for that, and is gone when the process ends.
 * In jobs of ddll's lock; that a process has ended comes from any thread. */
#include "base/mem.h"
#include "driver/ddll_struct.h"

int ph_watch_order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

int ph_watch_by_peer(const void *key, const void *watch)
{
    const struct ph_watch *a = key, *b = watch;
    return ph_watch_order((uintptr_t)a->peer, (uintptr_t)b->peer);
}

static void unref(void *arg)
{
    struct ph_watch *w = arg;
    if (atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) != 1)
        return;
    ph_peer_unref(w->peer);
    ph_free(w);
}

void *ph_watch_new(size_t size, const struct ph_ddll_req *req, void (*gone)(struct ph_watch *w), const char **why)
{
    size_t kept = size < PH_DDLL_KEPT_LEAST ? PH_DDLL_KEPT_LEAST : size;
    *why = "system_limit";
    if (!ph_peer_keep(req->peer, kept))
        return NULL;
    *why = "enomem";
    struct ph_watch *w = ph_calloc_try(1, size);
    if (!w) {
        ph_peer_unkeep(req->peer, kept);
        return NULL;
    }
    *w = (struct ph_watch){.kept = kept, .peer = ph_peer_ref(req->peer), .pid = req->user, .gone = gone};
    atomic_init(&w->refs, 1);
    return w;
}

static void down(struct ph_job *job)
{
    struct ph_watch *w = (struct ph_watch *)((char *)job - offsetof(struct ph_watch, down));
    if (w->driver)
        w->gone(w);
    unref(w);
}

void ph_watch_is_over(struct ph_watch *w)
{
    atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    w->down.run = down;
    ph_ddll_run(w->peer, &w->down);
}

/* Once. Any thread. */
static void is_down(void *arg, uint64_t id)
{
    (void)id;
    ph_watch_is_over(arg);
}

bool ph_watch_begin(struct ph_watch *w)
{
    atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    w->monitor = ph_monitor_new(w->peer, w->pid, is_down, unref, w);
    if (!w->monitor)
        unref(w);
    return w->monitor != 0;
}

void ph_watch_end(struct ph_watch *w)
{
    w->driver = NULL;
    ph_peer_unkeep(w->peer, w->kept);
    if (w->monitor)
        ph_monitor_cancel(w->monitor);
    unref(w);
}
