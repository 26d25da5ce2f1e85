/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: what keeps the driver loaded. A thread of the driver holds something of it beyond its port's life, until the file opens that is named like the trace with
 * ".gate" at its end: no callback is needed for that. finish() opens the gate itself. A lock for each port; which thread runs what is said at each function. */
#define PROBE_FLAGS ERL_DRV_FLAG_USE_PORT_LOCKING
#include "probe.h"
#include <stdatomic.h>
#include <stdbool.h>

enum { KEPT = 100 }; /* bytes of a binary */

struct self {
    ErlDrvPort port;
    ErlDrvPDL pdl;
};

struct holder {
    ErlDrvTid tid;
    void (*keep)(struct holder *h);
    ErlDrvPDL pdl; /* has a reference, if it is what is held */
    ErlDrvBinary *bin;
    ErlDrvMutex *mutex;
    ErlDrvTSDKey key;
};

static struct holder *holder; /* from an action "hold" until it is joined, by "join" or finish() */
static atomic_bool finishing;

static int init(void)
{
    trace("init");
    return 0;
}

static void join(void)
{
    erl_drv_thread_join(holder->tid, NULL);
    driver_free(holder);
    holder = NULL;
}

static void finish(void)
{
    atomic_store(&finishing, true);
    if (holder)
        join();
    trace("finish");
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    *s = (struct self){.port = port, .pdl = strstr(command, " pdl") ? driver_pdl_create(port) : NULL};
    trace("start");
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    trace("stop");
    driver_free(d);
}

/* In a thread of the driver's, at most 20 seconds. */
static void wait_at_gate(void)
{
    char gate[1024];
    snprintf(gate, sizeof gate, "%s.gate", getenv("PH_PROBE_TRACE"));
    for (int i = 0; i < 10000 && access(gate, F_OK) != 0 && !atomic_load(&finishing); i++)
        usleep(2000);
}

/* These, in a thread of the driver's: what it is that is held, and how it is given back. */

static void keep_nothing(struct holder *h)
{
    (void)h;
    wait_at_gate();
    trace("thread ends");
}

static void keep_pdl(struct holder *h)
{
    wait_at_gate();
    trace("refc %ld", driver_pdl_get_refc(h->pdl));
    trace("dec %ld", driver_pdl_dec_refc(h->pdl));
}

/* The reference that comes with the lock is the last one. */
static void keep_pdl_to_unlock(struct holder *h)
{
    wait_at_gate();
    driver_pdl_lock(h->pdl);
    trace("dec %ld", driver_pdl_dec_refc(h->pdl));
    driver_pdl_unlock(h->pdl);
    trace("unlocked");
}

static void keep_binary(struct holder *h)
{
    wait_at_gate();
    trace("binary %ld", driver_binary_get_refc(h->bin));
    driver_free_binary(h->bin);
}

static void keep_mutex(struct holder *h)
{
    erl_drv_mutex_lock(h->mutex);
    wait_at_gate();
    erl_drv_mutex_unlock(h->mutex);
    erl_drv_mutex_destroy(h->mutex);
    trace("mutex destroyed");
}

static void keep_key(struct holder *h)
{
    erl_drv_tsd_set(h->key, h);
    wait_at_gate();
    trace("key %s", erl_drv_tsd_get(h->key) == h ? "kept" : "lost");
    erl_drv_tsd_set(h->key, NULL);
    erl_drv_tsd_key_destroy(h->key);
}

static void *thread(void *arg)
{
    struct holder *h = arg;
    h->keep(h);
    return NULL;
}

static void hold(struct self *s, void (*keep)(struct holder *h), struct answer *a)
{
    holder = driver_alloc(sizeof *holder);
    *holder = (struct holder){.keep = keep, .bin = NULL};
    if (keep == keep_pdl || keep == keep_pdl_to_unlock) {
        holder->pdl = s->pdl;
        driver_pdl_inc_refc(s->pdl);
    } else if (keep == keep_binary) {
        holder->bin = driver_alloc_binary(KEPT);
    } else if (keep == keep_mutex) {
        holder->mutex = erl_drv_mutex_create("held");
    } else if (keep == keep_key) {
        erl_drv_tsd_key_create("held", &holder->key);
    }
    say(a, "%d", erl_drv_thread_create("holder", &holder->tid, thread, holder, NULL));
}

ACTION(do_hold_nothing)
{
    hold(self, keep_nothing, a);
}

ACTION(do_hold_pdl)
{
    hold(self, keep_pdl, a);
}

ACTION(do_hold_pdl_to_unlock)
{
    hold(self, keep_pdl_to_unlock, a);
}

ACTION(do_hold_binary)
{
    hold(self, keep_binary, a);
}

ACTION(do_hold_mutex)
{
    hold(self, keep_mutex, a);
}

ACTION(do_hold_key)
{
    hold(self, keep_key, a);
}

/* By another port, when the gate is open: callbacks may drop the last reference just as well. */
ACTION(do_join)
{
    join();
    say(a, "joined");
}

static const struct action actions[] = {
    {"hold_nothing", do_hold_nothing},
    {"hold_pdl", do_hold_pdl},
    {"hold_pdl_to_unlock", do_hold_pdl_to_unlock},
    {"hold_binary", do_hold_binary},
    {"hold_mutex", do_hold_mutex},
    {"hold_key", do_hold_key},
    {"join", do_join},
    {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .init = init,
    .start = start,
    .stop = stop,
    .finish = finish,
    .control = control,
    .driver_name = "held_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(held_probe_drv)
{
    return &entry;
}
