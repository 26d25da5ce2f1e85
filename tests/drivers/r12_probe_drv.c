/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: functions of the R12 interface that erl_driver.h no longer declares, and one that it declares but no usual VM has. So no VM
 * can load it; the daemon must. Jobs pass a gate, and what happens to each is counted, so that it shows what was never called, and
 * what was called once. */
#include "probe.h"
#include <limits.h>
#include <stdatomic.h>

struct poll_bits { /* what R12 called struct erl_drv_event_data */
    short events, revents;
};

/* As the header of that time declared them. */
int driver_async_cancel(long id);
int driver_event(ErlDrvPort port, ErlDrvEvent event, struct poll_bits *event_data);

enum { JOBS = 8 };

struct job {
    int number;
};

static ErlDrvMutex *lock; /* protects gate_open */
static ErlDrvCond *opened;
static int gate_open;
static long ids[JOBS]; /* under the driver's lock */
static atomic_int invoked[JOBS], ended[JOBS], ready[JOBS], freed[JOBS];

static int init(void)
{
    lock = erl_drv_mutex_create("gate");
    opened = erl_drv_cond_create("gate");
    return lock && opened ? 0 : -1;
}

static void finish(void)
{
    erl_drv_cond_destroy(opened);
    erl_drv_mutex_destroy(lock);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void invoke(void *arg)
{
    struct job *j = arg;
    atomic_fetch_add(&invoked[j->number], 1);
    erl_drv_mutex_lock(lock);
    while (!gate_open)
        erl_drv_cond_wait(opened, lock);
    erl_drv_mutex_unlock(lock);
    atomic_fetch_add(&ended[j->number], 1);
}

static void async_free(void *arg)
{
    struct job *j = arg;
    atomic_fetch_add(&freed[j->number], 1);
    driver_free(j);
}

static void ready_async(ErlDrvData d, ErlDrvThreadData data)
{
    struct job *j = (struct job *)data;
    (void)d;
    atomic_fetch_add(&ready[j->number], 1);
    driver_free(j);
}

/* "N": job N, on the first thread. */
ACTION(do_job)
{
    unsigned int key = 0;
    struct job *j = driver_alloc(sizeof *j);
    int number = j->number = atoi(arg) % JOBS; /* without threads the job is done, and gone, at once */
    ids[number] = driver_async((ErlDrvPort)self, &key, invoke, j, async_free);
    say(a, ids[number] > 0 ? "positive" : "not positive");
}

ACTION(do_cancel)
{
    say(a, "%d", driver_async_cancel(ids[atoi(arg) % JOBS]));
}

ACTION(do_cancel_nothing)
{
    say(a, "%d %d %d %d", driver_async_cancel(0), driver_async_cancel(-1), driver_async_cancel(LONG_MAX), driver_async_cancel(LONG_MIN));
}

ACTION(do_counts)
{
    int n = atoi(arg) % JOBS;
    say(a, "invoked %d ended %d ready %d freed %d", invoked[n], ended[n], ready[n], freed[n]);
}

ACTION(do_gate)
{
    erl_drv_mutex_lock(lock);
    gate_open = strcmp(arg, "open") == 0;
    erl_drv_cond_broadcast(opened);
    erl_drv_mutex_unlock(lock);
    say(a, "ok");
}

ACTION(do_event)
{
    struct poll_bits bits = {.events = 1};
    ErlDrvEvent none = (ErlDrvEvent)(intptr_t)0;
    say(a, "%d %d", driver_event((ErlDrvPort)self, none, &bits), driver_event((ErlDrvPort)self, none, NULL));
}

ACTION(do_text)
{
    char text[50];
    dtrace_drvport_str((ErlDrvPort)self, text);
    say(a, "%s", text);
    dtrace_drvport_str((ErlDrvPort)(uintptr_t)1, text);
    say(a, "%s", text);
}

static const struct action actions[] = {
    {"text", do_text},
    {"job", do_job},   {"cancel", do_cancel}, {"cancel_nothing", do_cancel_nothing}, {"counts", do_counts},
    {"gate", do_gate}, {"event", do_event},   {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .init = init,
    .finish = finish,
    .start = start,
    .ready_async = ready_async,
    .control = control,
    .driver_name = "r12_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(r12_probe_drv)
{
    return &entry;
}
