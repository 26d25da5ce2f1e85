/* SPDX-License-Identifier: Apache-2.0 */
/* An async job keeps its port's struct (and so the driver and its lock) and the PDL that the port had when it was submitted, until
 * ready_async or the free function has been called, in the port's lock. */
#include "port/async.h"

#include <stddef.h>

#include "base/mem.h"
#include "base/thread.h"
#include "check/lock.h"
#include "check/memory.h"
#include "port/callback.h"
#include "port/pdl.h"

struct port_async {
    struct ph_async_job async;
    struct ph_job job;    /* brings it back */
    struct ph_port *port; /* reference */
    struct ph_pdl *pdl;   /* reference, or NULL */
    void (*invoke)(void *);
    void (*free_fn)(void *);
    void *data;
    uint64_t since_ns;    /* when it was queued */
    struct ph_act *given; /* in the checking mode: what driver_async was called by; ours, or NULL */
};

static atomic_size_t under_way;

size_t ph_port_async_count(void)
{
    return atomic_load(&under_way);
}

static void done(struct port_async *a)
{
    ph_pdl_unref(a->pdl);
    ph_port_unref(a->port);
    ph_free(a->given);
    ph_free(a);
    atomic_fetch_sub(&under_way, 1); /* last: the end of the daemon waits for it */
}

/* given: what called driver_async, in the checking mode, or NULL. */
static void deliver(struct ph_port *p, void *data, void (*free_fn)(void *), const struct ph_act *given)
{
    bool dead = ph_port_state(p) == PH_PORT_DEAD;
    if (given && dead && !free_fn)
        ph_block_lost(data, given);
    if ((dead || !ph_callback_ready_async(p, data)) && free_fn)
        ph_callback_async_free(p->driver, free_fn, data);
}

static void run_ready(struct ph_job *job)
{
    struct port_async *a = (struct port_async *)((char *)job - offsetof(struct port_async, job));
    deliver(a->port, a->data, a->free_fn, a->given);
    done(a);
}

static void invoke_checked(struct port_async *a)
{
    a->invoke(a->data);
    ph_locks_leave();
    ph_blocks_look_recent();
}

static void run_invoke(struct ph_async_job *job)
{
    struct port_async *a = (struct port_async *)job;
    unsigned slot = a->port->driver->slot;
    uint64_t begin = ph_now_ns();
    ph_driver_count(slot, PH_DRIVER_ASYNC_STARTED, 1);
    ph_driver_count(slot, PH_DRIVER_ASYNC_WAIT_NS, begin - a->since_ns);
    ph_self.driver = a->port->driver->name;
    ph_self.callback = "async_invoke";
    if (ph_checking())
        invoke_checked(a);
    else
        a->invoke(a->data);
    ph_self.callback = NULL;
    ph_self.driver = NULL;
    ph_driver_count(slot, PH_DRIVER_ASYNC_RUN_NS, ph_now_ns() - begin);
    ph_driver_count(slot, PH_DRIVER_ASYNC_DONE, 1);
    ph_port_submit(a->port, &a->job);
}

/* Without threads. ready_async may end the port: our reference keeps it, since the callback that runs may be another port's. */
static void run_here(struct ph_port *p, void (*invoke)(void *), void *data, void (*free_fn)(void *))
{
    ph_port_ref(p);
    invoke(data);
    deliver(p, data, free_fn, NULL);
    ph_port_unref(p);
}

long ph_port_async(struct ph_port *p, unsigned *key, void (*invoke)(void *), void *data, void (*free_fn)(void *))
{
    if (ph_async_threads() == 0) {
        run_here(p, invoke, data, free_fn);
        return 0;
    }
    struct port_async *a = ph_alloc_try(sizeof *a);
    if (!a)
        return -1;
    *a = (struct port_async){.async.invoke = run_invoke, .job.run = run_ready, .port = ph_port_ref(p), .pdl = ph_port_pdl_ref(p)};
    a->invoke = invoke;
    a->free_fn = free_fn;
    a->data = data;
    a->since_ns = ph_now_ns();
    if (ph_checking())
        ph_act_now(a->given = ph_alloc(sizeof *a->given));
    atomic_fetch_add(&under_way, 1);
    ph_driver_count(p->driver->slot, PH_DRIVER_ASYNC_JOBS, 1);
    unsigned n = ph_async_threads(), thread = 0;
    if (key) {
        *key %= n;
        thread = (*key + p->driver->async_offset % n) % n;
    }
    return ph_async_submit(key ? &thread : NULL, &a->async);
}

int ph_port_async_cancel(long id)
{
    struct port_async *a = (struct port_async *)ph_async_cancel(id);
    if (!a)
        return 0;
    ph_driver_count(a->port->driver->slot, PH_DRIVER_ASYNC_JOBS, UINT64_MAX);
    if (a->free_fn)
        ph_callback_async_free(a->port->driver, a->free_fn, a->data);
    done(a);
    return 1;
}
