/* SPDX-License-Identifier: Apache-2.0 */
#include "port/pdl.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/thread.h"
#include "check/lock.h"
#include "port/misuse.h"

struct ph_pdl {
    atomic_long refs;
    struct ph_driver *driver; /* a hold: a thread that has a reference runs the driver's code */
    pthread_mutex_t mu;
    _Atomic(const void *) holder; /* address of the holding thread's ph_self, or NULL: tells a thread whether it is itself */
};

static bool held_here(const struct ph_pdl *cpdl)
{
    struct ph_pdl *pdl = (struct ph_pdl *)(uintptr_t)cpdl;
    /* Relaxed: only this thread can have stored its own address. */
    return atomic_load_explicit(&pdl->holder, memory_order_relaxed) == &ph_self;
}

static void lock(struct ph_pdl *pdl)
{
    pthread_mutex_lock(&pdl->mu);
    atomic_store_explicit(&pdl->holder, &ph_self, memory_order_relaxed);
}

static void unlock(struct ph_pdl *pdl)
{
    atomic_store_explicit(&pdl->holder, NULL, memory_order_relaxed);
    pthread_mutex_unlock(&pdl->mu);
}

long ph_pdl_unref(struct ph_pdl *pdl)
{
    long left = pdl ? atomic_fetch_sub_explicit(&pdl->refs, 1, memory_order_acq_rel) - 1 : 0;
    if (!pdl || left != 0)
        return left;
    struct ph_driver *d = pdl->driver;
    if (ph_checking())
        ph_thing_ended(PH_THING_PDL, pdl);
    pthread_mutex_destroy(&pdl->mu);
    ph_free(pdl);
    ph_driver_release_for_pdl(d);
    return 0;
}

struct ph_pdl *ph_port_pdl_enter(struct ph_port *p)
{
    struct ph_pdl *pdl = atomic_load_explicit(&p->pdl, memory_order_acquire);
    if (!pdl || held_here(pdl))
        return NULL;
    atomic_fetch_add_explicit(&pdl->refs, 1, memory_order_relaxed);
    lock(pdl);
    return pdl;
}

void ph_port_pdl_leave(struct ph_pdl *pdl)
{
    if (!pdl)
        return;
    unlock(pdl);
    ph_pdl_unref(pdl);
}

struct ph_pdl *ph_port_pdl_ref(struct ph_port *p)
{
    struct ph_pdl *pdl = atomic_load_explicit(&p->pdl, memory_order_acquire);
    if (pdl)
        atomic_fetch_add_explicit(&pdl->refs, 1, memory_order_relaxed);
    return pdl;
}

void ph_port_pdl_drop(struct ph_port *p)
{
    ph_pdl_unref(atomic_exchange(&p->pdl, NULL));
}

struct ph_queue_access ph_queue_enter(ErlDrvPort port)
{
    struct ph_queue_access a = {0};
    struct ph_port *p = ph_port_here(port);
    if (p) {
        a.port = ph_port_ref(p);
        a.pdl = ph_port_pdl_enter(p);
        return a;
    }
    p = ph_port_by_handle((uint64_t)(uintptr_t)port);
    if (!p) {
        if (ph_checking())
            ph_port_queue_not_here(port, "the queue or a monitor");
        return a;
    }
    struct ph_pdl *pdl = atomic_load_explicit(&p->pdl, memory_order_acquire);
    if (pdl && held_here(pdl) && ph_port_state(p) != PH_PORT_DEAD)
        a.port = p;
    else
        ph_port_unref(p);
    if (ph_checking() && !a.port)
        ph_port_queue_not_here(port, "the queue or a monitor");
    return a;
}

struct check_job {
    struct ph_job job;
    struct ph_port *port; /* reference */
};

static void run_check(struct ph_job *job)
{
    struct check_job *j = (struct check_job *)job;
    ph_port_check_flushed(j->port);
    ph_port_unref(j->port);
    ph_free(j);
}

/* A thread that empties the queue of a closing port: no callback may follow, so the port is looked at from a job. */
static void check_later(struct ph_port *p)
{
    struct check_job *j = ph_alloc(sizeof *j);
    *j = (struct check_job){.job.run = run_check, .port = ph_port_ref(p)};
    ph_port_submit(p, &j->job);
}

void ph_queue_leave(struct ph_queue_access a)
{
    if (!a.port)
        return;
    ph_stat_queue(a.port, ph_port_queued(a.port));
    if (ph_port_queued(a.port) == 0 && ph_port_state(a.port) == PH_PORT_CLOSING && ph_self.port != a.port)
        check_later(a.port);
    ph_port_pdl_leave(a.pdl);
    ph_port_unref(a.port);
}

/* --- erl_driver(3), driver_pdl_* --- */

/* The header's type is incomplete; ours stands behind it. */
static struct ph_pdl *from_api(ErlDrvPDL pdl)
{
    return (struct ph_pdl *)(void *)pdl;
}

static void unlock_held(void *pdl)
{
    unlock(pdl);
    ph_pdl_unref(pdl);
}

static void say_how_to_unlock(void)
{
    ph_lock_on_left(PH_THING_PDL, unlock_held);
}

static void made(struct ph_port *p, const struct ph_pdl *pdl)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, say_how_to_unlock);
    ph_lock_made(PH_THING_PDL, pdl, ph_port_name(p));
}

/* erl_driver(3), driver_pdl_create. From a callback of the port. */
ErlDrvPDL driver_pdl_create(ErlDrvPort port)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (!p || atomic_load(&p->pdl))
        return NULL;
    struct ph_pdl *pdl = ph_calloc(1, sizeof *pdl);
    atomic_init(&pdl->refs, 1);
    pdl->driver = p->driver;
    ph_driver_hold_for_pdl(p->driver);
    pthread_mutex_init(&pdl->mu, NULL);
    if (ph_checking())
        made(p, pdl);
    atomic_store_explicit(&p->pdl, pdl, memory_order_release);
    return (ErlDrvPDL)(void *)pdl;
}

/* erl_driver(3), driver_pdl_lock. Any thread. Adds a reference while locked. */
void driver_pdl_lock(ErlDrvPDL pdl)
{
    if (ph_checking() && !ph_lock_take(PH_THING_PDL, pdl, PH_HOLD, __func__))
        return;
    atomic_fetch_add_explicit(&from_api(pdl)->refs, 1, memory_order_relaxed);
    lock(from_api(pdl));
}

/* erl_driver(3), driver_pdl_unlock. */
void driver_pdl_unlock(ErlDrvPDL pdl)
{
    if (!ph_checking() || ph_lock_drop(PH_THING_PDL, pdl, PH_HOLD, __func__))
        unlock_held(pdl);
}

/* erl_driver(3), driver_pdl_get_refc. */
ErlDrvSInt driver_pdl_get_refc(ErlDrvPDL pdl)
{
    return ph_checking() && !ph_lock_is_known(PH_THING_PDL, pdl, __func__) ? 0 : atomic_load(&from_api(pdl)->refs);
}

/* erl_driver(3), driver_pdl_inc_refc. The count after. */
ErlDrvSInt driver_pdl_inc_refc(ErlDrvPDL pdl)
{
    return ph_checking() && !ph_pdl_inc(pdl, __func__) ? 0 : atomic_fetch_add(&from_api(pdl)->refs, 1) + 1;
}

/* erl_driver(3), driver_pdl_dec_refc. The count after; at 0 the lock is gone, and the driver may be unloaded when finish() has returned. */
ErlDrvSInt driver_pdl_dec_refc(ErlDrvPDL pdl)
{
    if (ph_checking() && !ph_pdl_dec(pdl, __func__))
        return 0;
    return ph_pdl_unref(from_api(pdl));
}
