/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: async jobs: keys, order, closing with jobs in flight. With NO_READY_ASYNC defined: a driver without that callback.
 * Jobs pass a gate that another port of the driver can open, so that what happens before and after is certain. */
#include "probe.h"
#include <stdatomic.h>
#include <unistd.h>

#ifndef PROBE_NAME
#define PROBE_NAME "async_probe_drv"
#endif

struct self {
    ErlDrvPort port;
    int talk; /* ready_async outputs too */
    ErlDrvPDL pdl;
};

struct job {
    int number;
    int gated;
    int fails; /* ready_async ends the port */
};

static ErlDrvMutex *lock; /* protects gate_open */
static ErlDrvCond *opened;
static int gate_open;
static atomic_int freed; /* calls of async_free */
static atomic_int begun; /* jobs */
static struct self *newest; /* the port that was opened last; in the driver's lock */

static int init(void)
{
    lock = erl_drv_mutex_create("gate");
    opened = erl_drv_cond_create("gate");
    return lock && opened ? 0 : -1;
}

/* Comes after the last job: jobs keep the driver loaded. */
static void finish(void)
{
    erl_drv_cond_destroy(opened);
    erl_drv_mutex_destroy(lock);
    trace("finish");
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    if (!s)
        return ERL_DRV_ERROR_GENERAL;
    *s = (struct self){.port = port, .talk = !strstr(command, " mute")};
    newest = s;
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    trace("stop");
    driver_free(d);
}

static void flush(ErlDrvData d)
{
    (void)d;
    trace("flush");
}

static void invoke(void *arg)
{
    struct job *j = arg;
    atomic_fetch_add(&begun, 1);
    erl_drv_mutex_lock(lock);
    while (j->gated && !gate_open)
        erl_drv_cond_wait(opened, lock);
    erl_drv_mutex_unlock(lock);
    trace("invoke %d", j->number);
}

static void async_free(void *arg)
{
    struct job *j = arg;
    trace("async_free %d", j->number);
    atomic_fetch_add(&freed, 1);
    driver_free(j);
}

#ifndef NO_READY_ASYNC
static void ready_async(ErlDrvData d, ErlDrvThreadData data)
{
    struct self *s = (struct self *)d;
    struct job *j = (struct job *)data;
    char text[32];
    trace("ready_async %d", j->number);
    int n = snprintf(text, sizeof text, "job %d", j->number);
    if (s->talk)
        trace("ready_async output %d", driver_output(s->port, text, (ErlDrvSizeT)n));
    if (!s->pdl && driver_sizeq(s->port))
        trace("ready_async deq %zd", (ssize_t)driver_deq(s->port, driver_sizeq(s->port)));
    if (j->fails)
        driver_failure_atom(s->port, "failed");
    driver_free(j);
}
#endif

static void submit(struct self *s, int number, int gated, unsigned int *key, void (*release)(void *), struct answer *a)
{
    struct job *j = driver_alloc(sizeof *j);
    if (!j)
        return say(a, "no memory");
    *j = (struct job){.number = number, .gated = gated};
    long id = driver_async(s->port, key, invoke, j, release);
    if (id < 0)
        driver_free(j);
    say(a, "%s", id > 0 ? "positive" : id == 0 ? "zero" : "negative");
}

/* "N": jobs 1..N with the port's own key. */
ACTION(do_jobs)
{
    struct self *s = self;
    for (int i = 1; i <= atoi(arg); i++) {
        unsigned int key = driver_async_port_key(s->port);
        submit(s, i, 0, &key, async_free, a);
    }
}

ACTION(do_gated_jobs)
{
    struct self *s = self;
    for (int i = 1; i <= atoi(arg); i++) {
        unsigned int key = driver_async_port_key(s->port);
        submit(s, i, 1, &key, async_free, a);
    }
}

/* "N": job N, with a key that is not the port's. */
ACTION(do_gated_job_with_key)
{
    unsigned int key = 4711;
    submit(self, atoi(arg), 1, &key, async_free, a);
}

ACTION(do_job_without_key)
{
    submit(self, 1, 0, NULL, async_free, a);
}

/* "N MS": N times, after MS milliseconds each: does a job run while the callback that submitted it waits for that? */
ACTION(do_jobs_waited_for)
{
    struct self *s = self;
    int n = 0, ms = 0;
    sscanf(arg, "%d %d", &n, &ms);
    for (int i = 1; i <= n; i++) {
        unsigned int key = driver_async_port_key(s->port);
        int before = atomic_load(&begun);
        usleep((useconds_t)ms * 1000);
        submit(s, i, 0, &key, async_free, a);
        for (int waited = 0; waited < 5000 && atomic_load(&begun) == before; waited++)
            usleep(1000);
        say(a, atomic_load(&begun) == before ? "waits" : "runs");
    }
}

static struct job unfreed = {.number = 1, .gated = 1};

/* Nobody is told when the port is gone, so it must not be in need of being freed. */
ACTION(do_gated_job_without_free)
{
    struct self *s = self;
    unsigned int key = 0;
    say(a, "%s", driver_async(s->port, &key, invoke, &unfreed, NULL) > 0 ? "positive" : "not positive");
}

/* What is left in the key is the number of the thread. */
ACTION(do_job_with_key)
{
    ErlDrvSysInfo info;
    unsigned int key = (unsigned int)strtoul(arg, NULL, 10), before = key;
    driver_system_info(&info, sizeof info);
    submit(self, 1, 0, &key, async_free, a);
    say(a, key == before % (unsigned int)info.async_threads ? "reduced" : "not reduced");
}

ACTION(do_port_key)
{
    struct self *s = self;
    say(a, driver_async_port_key(s->port) == driver_async_port_key(s->port) ? "stable" : "unstable");
}

ACTION(do_gate)
{
    erl_drv_mutex_lock(lock);
    gate_open = strcmp(arg, "open") == 0;
    erl_drv_cond_broadcast(opened);
    erl_drv_mutex_unlock(lock);
    say(a, "ok");
}

ACTION(do_enq)
{
    struct self *s = self;
    say(a, "%d", driver_enq(s->port, arg, len));
}

/* A job of the port that was opened last, in a callback of this one. */
ACTION(do_failing_job_of_newest)
{
    unsigned int key = 0;
    struct job *j = driver_alloc(sizeof *j);
    *j = (struct job){.fails = 1};
    say(a, "%ld", driver_async(newest->port, &key, invoke, j, async_free));
}

/* The time that a job may take, as a driver has it that gives up waiting for one. */
ACTION(do_time_limit)
{
    struct self *s = self;
    say(a, "%d", driver_set_timer(s->port, strtoul(arg, NULL, 10)));
}

ACTION(do_pdl)
{
    struct self *s = self;
    s->pdl = driver_pdl_create(s->port);
    say(a, s->pdl ? "lock" : "NULL");
}

ACTION(do_pdl_refc)
{
    struct self *s = self;
    say(a, "%ld", driver_pdl_get_refc(s->pdl));
}

ACTION(do_freed)
{
    say(a, "freed %d", atomic_load(&freed));
}

static void timeout(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("timeout");
    driver_output(s->port, "timed out", 9);
}

static const struct action actions[] = {
    {"jobs", do_jobs},
    {"gated_jobs", do_gated_jobs},
    {"job_without_key", do_job_without_key},
    {"gated_job_with_key", do_gated_job_with_key},
    {"gated_job_without_free", do_gated_job_without_free},
    {"job_with_key", do_job_with_key},
    {"port_key", do_port_key},
    {"gate", do_gate},
    {"enq", do_enq},
    {"freed", do_freed},
    {"jobs_waited_for", do_jobs_waited_for},
    {"pdl", do_pdl},
    {"pdl_refc", do_pdl_refc},
    {"failing_job_of_newest", do_failing_job_of_newest},
    {"time_limit", do_time_limit},
    {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .init = init,
    .finish = finish,
    .start = start,
    .stop = stop,
    .flush = flush,
    .timeout = timeout,
#ifndef NO_READY_ASYNC
    .ready_async = ready_async,
#endif
    .control = control,
    .driver_name = PROBE_NAME,
    PROBE_VERSION,
};

DRIVER_INIT(async_probe_drv)
{
    return &entry;
}
