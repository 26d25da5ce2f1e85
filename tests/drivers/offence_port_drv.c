/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks the rules about ports, descriptors and threads that enter them, one for each action (probe.h), for the test of the checking mode. The handle of the last port that
 * was opened is kept after its end. It has no stop_select callback. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "probe.h"

struct offender {
    ErlDrvPort port;
    int fds[2];
    int fail_in_stop;
    ErlDrvPDL pdl;
};

/* One lock for all ports. */
static ErlDrvPort last;
static ErlDrvMonitor lent; /* of a port that goes on */

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct offender *o = driver_alloc(sizeof *o);
    (void)command;
    *o = (struct offender){.port = port, .fds = {-1, -1}};
    return (ErlDrvData)o;
}

static void stop(ErlDrvData d)
{
    struct offender *o = (struct offender *)d;
    if (o->fail_in_stop)
        driver_failure_atom(o->port, (char *)"again");
    for (int i = 0; i < 2; i++)
        if (o->fds[i] >= 0)
            close(o->fds[i]);
    last = o->port;
    driver_free(o);
}

static void flush(ErlDrvData d)
{
    struct offender *o = (struct offender *)d;
    driver_output(o->port, (char *)"late", 4);
    driver_deq(o->port, driver_sizeq(o->port));
}

/* A monitor may have ended, too. */
ACTION(none)
{
    struct offender *o = self;
    ErlDrvMonitor monitor;
    say(a, "%d", driver_monitor_process(o->port, driver_caller(o->port), &monitor));
    say(a, "%d", driver_demonitor_process(o->port, &monitor));
    say(a, "%d", driver_demonitor_process(o->port, &monitor));
    say(a, "%d", driver_get_monitored_process(o->port, &monitor) == driver_term_nil);
}

/* --- handles --- */

ACTION(stale_output)
{
    say(a, "%d", driver_output(last, (char *)"x", 1));
}

ACTION(stale_timer)
{
    say(a, "%d", driver_set_timer(last, 1));
}

ACTION(stale_queue)
{
    say(a, "%d", driver_enq(last, (char *)"x", 1));
}

ACTION(stale_mk_port)
{
    driver_mk_port(last);
}

ACTION(unknown_output)
{
    say(a, "%d", driver_output((ErlDrvPort)-1, (char *)"x", 1));
}

ACTION(after_failure)
{
    struct offender *o = self;
    ErlDrvPort port = o->port;
    driver_failure_atom(port, (char *)"over");
    say(a, "%d", driver_output(port, (char *)"x", 1));
}

ACTION(fail_in_stop)
{
    ((struct offender *)self)->fail_in_stop = 1;
}

ACTION(fill_queue)
{
    driver_enq(((struct offender *)self)->port, (char *)"abc", 3);
}

/* --- what is not waited for, monitors --- */

ACTION(acknowledge)
{
    erl_drv_init_ack(((struct offender *)self)->port, NULL);
}

ACTION(demonitor_unmade)
{
    struct offender *o = self;
    ErlDrvMonitor unmade;
    memset(&unmade, 0, sizeof unmade);
    say(a, "%d", driver_demonitor_process(o->port, &unmade));
    memset(&unmade, 0x55, sizeof unmade);
    say(a, "%d", driver_demonitor_process(o->port, &unmade));
}

ACTION(get_unmade)
{
    struct offender *o = self;
    ErlDrvMonitor unmade;
    memset(&unmade, 0, sizeof unmade);
    say(a, "%d", driver_get_monitored_process(o->port, &unmade) == driver_term_nil);
}

ACTION(lend)
{
    struct offender *o = self;
    driver_monitor_process(o->port, driver_caller(o->port), &lent);
}

ACTION(demonitor_lent)
{
    say(a, "%d", driver_demonitor_process(((struct offender *)self)->port, &lent));
}

ACTION(get_lent)
{
    say(a, "%d", driver_get_monitored_process(((struct offender *)self)->port, &lent) == driver_term_nil);
}

/* --- threads --- */

static void *output(void *p)
{
    driver_output(((struct offender *)p)->port, (char *)"x", 1);
    return NULL;
}

static void *set_timer(void *p)
{
    driver_set_timer(((struct offender *)p)->port, 1);
    return NULL;
}

static void *enqueue(void *p)
{
    driver_enq(((struct offender *)p)->port, (char *)"x", 1);
    return NULL;
}

static void *make_atom(void *p)
{
    driver_mk_atom((char *)"atom");
    return p;
}

static void *make_port(void *p)
{
    driver_mk_port(((struct offender *)p)->port);
    return p;
}

static void *get_connected(void *p)
{
    driver_connected(((struct offender *)p)->port);
    return p;
}

static ErlDrvPDL of_other; /* of a port that goes on */

static void *enqueue_with_other(void *p)
{
    driver_pdl_lock(of_other);
    enqueue(p);
    driver_pdl_unlock(of_other);
    return NULL;
}

static void run(void *(*fn)(void *), void *arg)
{
    ErlDrvTid tid;
    erl_drv_thread_create((char *)"offender", &tid, fn, arg, NULL);
    erl_drv_thread_join(tid, NULL);
}

ACTION(thread_output)
{
    run(output, self);
}

ACTION(thread_timer)
{
    run(set_timer, self);
}

/* The host knows nothing of this thread. */
ACTION(foreign_output)
{
    pthread_t thread;
    pthread_create(&thread, NULL, output, self);
    pthread_join(thread, NULL);
}

ACTION(thread_queue)
{
    struct offender *o = self;
    o->pdl = driver_pdl_create(o->port);
    run(enqueue, self);
}

ACTION(thread_mk_atom)
{
    run(make_atom, self);
}

ACTION(thread_mk_port)
{
    run(make_port, self);
}

ACTION(thread_connected)
{
    run(get_connected, self);
}

ACTION(lend_lock)
{
    of_other = driver_pdl_create(((struct offender *)self)->port);
}

ACTION(thread_queue_other)
{
    struct offender *o = self;
    o->pdl = driver_pdl_create(o->port);
    run(enqueue_with_other, self);
}

static void async_output(void *p)
{
    output(p);
}

ACTION(async)
{
    struct offender *o = self;
    driver_async(o->port, NULL, async_output, o, NULL);
}

static void slowly(void *p)
{
    (void)p;
    usleep(300000);
}

/* Nobody frees it if the port ends before. */
ACTION(async_lost)
{
    struct offender *o = self;
    say(a, "%d", driver_async(o->port, NULL, slowly, driver_alloc(77), NULL) >= 0);
}

/* Somebody does: finish. */
static void *freed;

ACTION(async_kept)
{
    struct offender *o = self;
    freed = driver_alloc(78);
    say(a, "%d", driver_async(o->port, NULL, slowly, freed, NULL) >= 0);
}

static void finish(void)
{
    driver_free(freed);
}

ACTION(doze)
{
    usleep(150000);
    say(a, "awake"); /* so that its frame is there while it sleeps */
}

/* In the host most of the time, or in what that calls. */
ACTION(churn)
{
    struct timespec now, begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        for (int i = 0; i < 100; i++)
            driver_free(driver_alloc(10));
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 200);
}

/* Until somebody writes to the named pipe. */
ACTION(hang)
{
    int fd = open(arg, O_RDONLY | O_CLOEXEC);
    say(a, fd < 0 ? strerror(errno) : "released");
    if (fd >= 0)
        close(fd);
}

/* The host gives nothing of a stack that has no signals. For so many ms, 150 without a number. */
ACTION(doze_deaf)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    usleep(arg[0] ? (unsigned)atoi(arg) * 1000 : 150000);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* --- descriptors --- */

ACTION(select_negative)
{
    struct offender *o = self;
    say(a, "%d", driver_select(o->port, (ErlDrvEvent)(intptr_t)-1, ERL_DRV_READ, 1));
}

ACTION(select_closed)
{
    struct offender *o = self;
    if (pipe(o->fds) == 0)
        close(o->fds[0]);
    say(a, "%d", driver_select(o->port, (ErlDrvEvent)(intptr_t)o->fds[0], ERL_DRV_READ, 1));
    o->fds[0] = -1;
}

ACTION(close_selected)
{
    struct offender *o = self;
    if (pipe(o->fds) == 0)
        driver_select(o->port, (ErlDrvEvent)(intptr_t)o->fds[0], ERL_DRV_READ, 1);
    close(o->fds[0]);
    o->fds[0] = -1;
}

/* The number is that of another pipe then. */
ACTION(reuse_selected)
{
    struct offender *o = self;
    int other[2];
    if (pipe(o->fds) || pipe(other))
        return;
    driver_select(o->port, (ErlDrvEvent)(intptr_t)o->fds[0], ERL_DRV_READ, 1);
    dup2(other[0], o->fds[0]);
    close(other[0]);
    close(other[1]);
}

ACTION(close_then_deselect)
{
    struct offender *o = self;
    if (pipe(o->fds) == 0)
        driver_select(o->port, (ErlDrvEvent)(intptr_t)o->fds[0], ERL_DRV_READ, 1);
    close(o->fds[0]);
    driver_select(o->port, (ErlDrvEvent)(intptr_t)o->fds[0], ERL_DRV_READ, 0);
    o->fds[0] = -1;
}

ACTION(use)
{
    struct offender *o = self;
    if (pipe(o->fds) == 0)
        driver_select(o->port, (ErlDrvEvent)(intptr_t)o->fds[0], ERL_DRV_READ | ERL_DRV_USE, 1);
}

/* Two ports select the read end of one pipe; the second is opened with "steal". */
static int shared[2] = {-1, -1};

ACTION(steal)
{
    struct offender *o = self;
    if (shared[0] < 0 && pipe(shared))
        return;
    driver_select(o->port, (ErlDrvEvent)(intptr_t)shared[0], ERL_DRV_READ, 1);
}

#define IS(name) {#name, name}
static const struct action actions[] = {
    IS(none), IS(stale_output), IS(stale_timer), IS(stale_queue), IS(stale_mk_port), IS(unknown_output),
    IS(acknowledge), IS(demonitor_unmade), IS(get_unmade), IS(lend), IS(demonitor_lent), IS(get_lent), IS(after_failure), IS(fail_in_stop), IS(fill_queue), IS(thread_output), IS(thread_timer), IS(foreign_output),
    IS(thread_queue), IS(thread_mk_atom), IS(thread_mk_port), IS(thread_connected), IS(lend_lock), IS(thread_queue_other), IS(async), IS(async_lost), IS(async_kept), IS(doze), IS(churn), IS(hang), IS(doze_deaf), IS(select_negative), IS(select_closed),
    IS(close_selected), IS(reuse_selected), IS(close_then_deselect), IS(use), IS(steal),
    {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)op;
    return act(actions, (void *)d, buf, len, rbuf, rlen);
}

static void ready_input(ErlDrvData d, ErlDrvEvent event)
{
    (void)d;
    (void)event;
}

static void process_exit(ErlDrvData d, ErlDrvMonitor *monitor)
{
    (void)d;
    (void)monitor;
}

static ErlDrvEntry entry = {
    PROBE_VERSION,
    .driver_name = "offence_port_drv",
    .start = start,
    .stop = stop,
    .finish = finish,
    .flush = flush,
    .control = control,
    .ready_input = ready_input,
    .process_exit = process_exit,
};

DRIVER_INIT(offence_port_drv)
{
    return &entry;
}
