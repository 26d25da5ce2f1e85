/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: every function that takes a port, called with one that is gone, never was, or from a thread or a port whose lock it is not.
 * What a VM does then is undefined; the daemon must refuse it. Answers "refused" or the functions that did not refuse. */
#include "probe.h"
#include <stdlib.h>

#ifndef PROBE_NAME
#define PROBE_NAME "stale_probe_drv"
#endif

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

struct self {
    ErlDrvPort port;
    ErlDrvTermData term, owner;
};

static ErlDrvPort old; /* the port that stopped last, and its term; under the driver's lock */
static ErlDrvTermData old_term;

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port, .term = driver_mk_port(port), .owner = driver_connected(port)};
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    old = s->port;
    old_term = s->term;
    driver_free(s);
}

static void process_exit(ErlDrvData d, ErlDrvMonitor *m)
{
    (void)d;
    (void)m;
}

static void never(void *arg)
{
    (void)arg;
    abort();
}

/* Notes the function if what it gave is not what it must give. */
#define REFUSES(expected, call)                                                                                        \
    do {                                                                                                               \
        if ((call) != (expected))                                                                                      \
            say(a, "%.*s", (int)strcspn(#call, "("), #call);                                                           \
    } while (0)

static void ends(ErlDrvPort p, struct answer *a)
{
    REFUSES(-1, driver_failure_eof(p));
    REFUSES(-1, driver_failure_atom(p, "no"));
    REFUSES(-1, driver_failure_posix(p, 2));
    REFUSES(-1, driver_failure(p, 3));
    REFUSES(-1, driver_failure(p, 0));
    REFUSES(-1, driver_exit(p, 0));
}

static void outputs(ErlDrvPort p, struct vec *v, struct answer *a)
{
    REFUSES(-1, driver_output(p, "no", 2));
    REFUSES(-1, driver_output2(p, "no", 2, "no", 2));
    REFUSES(-1, driver_output_binary(p, NULL, 0, v->binv[0], 0, 100));
    REFUSES(-1, driver_outputv(p, NULL, 0, &v->ev, 0));
}

static void queues(ErlDrvPort p, struct vec *v, struct answer *a)
{
    ErlIOVec ev = {.vsize = -7};
    int n = -7;
    REFUSES(-1, driver_enq(p, "no", 2));
    REFUSES(0, driver_enq(p, "no", 0));
    REFUSES(-1, driver_pushq(p, "no", 2));
    REFUSES(-1, driver_enq_bin(p, v->binv[0], 0, 2));
    REFUSES(-1, driver_pushq_bin(p, v->binv[0], 0, 2));
    REFUSES(-1, driver_enqv(p, &v->ev, 0));
    REFUSES(-1, driver_pushqv(p, &v->ev, 0));
    REFUSES((ErlDrvSizeT)-1, driver_deq(p, 0));
    REFUSES((ErlDrvSizeT)-1, driver_sizeq(p));
    REFUSES((ErlDrvSizeT)-1, driver_peekqv(p, &ev));
    REFUSES(NULL, driver_peekq(p, &n));
    if (n != -1 || ev.vsize != -7)
        say(a, "peek results %d %d", n, ev.vsize);
}

static void events(ErlDrvPort p, struct answer *a)
{
    unsigned long left = 77;
    unsigned int key = 12345;
    REFUSES(-1, driver_set_timer(p, 0));
    REFUSES(-1, driver_cancel_timer(p));
    REFUSES(-1, driver_read_timer(p, &left));
    REFUSES(-1, driver_select(p, (ErlDrvEvent)(intptr_t)0, ERL_DRV_READ, 1));
    REFUSES(-1, erl_drv_consume_timeslice(p, 1));
    REFUSES(-1, driver_async(p, &key, never, NULL, never));
    REFUSES(0U, driver_async_port_key(p));
    if (left != 77 || key != 12345)
        say(a, "left %lu key %u", left, key);
}

static void processes(ErlDrvPort p, ErlDrvTermData pid, struct answer *a)
{
    ErlDrvMonitor m = {{0}};
    REFUSES(-1, driver_monitor_process(p, pid, &m));
    REFUSES(-1, driver_demonitor_process(p, &m));
    REFUSES(driver_term_nil, driver_get_monitored_process(p, &m));
    REFUSES(driver_term_nil, driver_caller(p));
    REFUSES((ErlDrvPort)-1, driver_create_port(p, pid, "no", NULL));
}

static void settings(ErlDrvPort p, struct answer *a)
{
    ErlDrvSizeT low = 5, high = 6;
    ErlDrvTermData term[] = {ERL_DRV_NIL};
    REFUSES(0, get_port_flags(p));
    REFUSES(NULL, driver_pdl_create(p));
    REFUSES(-1, driver_lock_driver(p));
    REFUSES(-1, driver_output_term(p, term, 1));
    set_busy_port(p, 1);
    set_port_control_flags(p, PORT_CONTROL_FLAG_BINARY);
    erl_drv_init_ack(p, NULL);
    erl_drv_set_os_pid(p, 4711);
    erl_drv_busy_msgq_limits(p, &low, &high);
    if (low != ERL_DRV_BUSY_MSGQ_DISABLED || high != ERL_DRV_BUSY_MSGQ_DISABLED)
        say(a, "erl_drv_busy_msgq_limits");
}

/* Those that any thread may call are refused for a port that is gone only. */
static void anywhere(ErlDrvPort p, ErlDrvTermData term, ErlDrvTermData pid, struct answer *a)
{
    ErlDrvTermData nil[] = {ERL_DRV_NIL};
    REFUSES(driver_term_nil, driver_mk_port(p));
    REFUSES(driver_term_nil, driver_connected(p));
    REFUSES(-1, driver_send_term(p, pid, nil, 1));
    REFUSES(-1, erl_drv_output_term(term, nil, 1));
    REFUSES(-1, erl_drv_send_term(term, pid, nil, 1));
}

static void everything(ErlDrvPort p, ErlDrvTermData pid, struct answer *a)
{
    char data[100] = {'d'};
    struct vec v;
    vec_of(&v, data, sizeof data);
    outputs(p, &v, a);
    queues(p, &v, a);
    events(p, a);
    processes(p, pid, a);
    settings(p, a);
    ends(p, a);
    if (driver_binary_get_refc(v.binv[0]) != 1 || v.iov[0].iov_len != sizeof data)
        say(a, "binary kept");
    vec_free(&v);
}

static void finish_answer(struct answer *a)
{
    if (!a->len)
        say(a, "refused");
}

ACTION(do_gone)
{
    struct self *s = self;
    everything(old, s->owner, a);
    anywhere(old, old_term, s->owner, a);
    finish_answer(a);
}

/* Values that no port ever had. */
ACTION(do_invented)
{
    struct self *s = self;
    uintptr_t own = (uintptr_t)s->port;
    uintptr_t values[] = {0, 1, 2, (uintptr_t)-1, (uintptr_t)-2, 0x1234, own + 1, own ^ ((uintptr_t)1 << 40), own << 8, (uintptr_t)&own};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        everything((ErlDrvPort)values[i], s->owner, a);
    anywhere((ErlDrvPort)(uintptr_t)0x1234, driver_mk_atom("no_port"), s->owner, a);
    finish_answer(a);
}

struct task {
    ErlDrvPort port;
    ErlDrvTermData term, pid;
    int gone;
    struct answer *answer;
};

/* In a thread of the driver's. */
static void *thread_task(void *arg)
{
    struct task *t = arg;
    everything(t->port, t->pid, t->answer);
    if (t->gone)
        anywhere(t->port, t->term, t->pid, t->answer);
    else if (driver_mk_port(t->port) != t->term || driver_connected(t->port) != t->pid)
        say(t->answer, "driver_mk_port driver_connected");
    return NULL;
}

static void in_thread(struct task t, struct answer *a)
{
    ErlDrvTid tid;
    t.answer = a;
    if (erl_drv_thread_create("stale", &tid, thread_task, &t, NULL) != 0 || erl_drv_thread_join(tid, NULL) != 0)
        say(a, "no thread");
    finish_answer(a);
}

ACTION(do_gone_in_thread)
{
    struct self *s = self;
    in_thread((struct task){.port = old, .term = old_term, .pid = s->owner, .gone = 1}, a);
}

ACTION(do_own_in_thread)
{
    struct self *s = self;
    in_thread((struct task){.port = s->port, .term = s->term, .pid = s->owner}, a);
}

ACTION(do_handle)
{
    say(a, "%zu", (size_t)((struct self *)self)->port);
}

/* "HANDLE": a live port, but its lock is not ours. */
ACTION(do_foreign)
{
    everything((ErlDrvPort)(uintptr_t)strtoull(arg, NULL, 10), ((struct self *)self)->owner, a);
    finish_answer(a);
}

ACTION(do_alive)
{
    struct self *s = self;
    say(a, "%d %zu", driver_output(s->port, "alive", 5), (size_t)driver_sizeq(s->port));
}

static const struct action actions[] = {
    {"gone", do_gone},     {"invented", do_invented}, {"gone_in_thread", do_gone_in_thread}, {"own_in_thread", do_own_in_thread},
    {"handle", do_handle}, {"foreign", do_foreign},   {"alive", do_alive},                   {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .process_exit = process_exit,
    .control = control,
    .driver_name = PROBE_NAME,
    PROBE_VERSION,
};

DRIVER_INIT(stale_probe_drv)
{
    return &entry;
}
