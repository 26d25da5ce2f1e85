/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: what driver_caller and driver_connected say in each callback. Each sends {Callback, Caller, Connected} to the owner.
 * Called by the run-time system only. */
#include "probe.h"

struct self {
    ErlDrvPort port;
    int pipe[2];
    ErlDrvMonitor monitor;
};

static void put_pid(ErlDrvTermData *to, ErlDrvTermData pid)
{
    to[0] = pid == driver_term_nil ? ERL_DRV_ATOM : ERL_DRV_PID;
    to[1] = pid == driver_term_nil ? driver_mk_atom("nil") : pid;
}

static void report(ErlDrvPort port, char *where)
{
    ErlDrvTermData term[] = {ERL_DRV_ATOM, driver_mk_atom(where), 0, 0, 0, 0, ERL_DRV_TUPLE, 3};
    put_pid(term + 2, driver_caller(port));
    put_pid(term + 4, driver_connected(port));
    int rc = erl_drv_output_term(driver_mk_port(port), term, sizeof term / sizeof term[0]);
    if (rc != 1)
        trace("%s output_term %d", where, rc);
}

static ErlDrvEvent event(int fd)
{
    return (ErlDrvEvent)(intptr_t)fd;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port, .pipe = {-1, -1}};
    report(port, "start");
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    report(s->port, "stop");
    trace("stop caller %s", driver_caller(s->port) == driver_term_nil ? "nil" : "pid");
    if (s->pipe[0] >= 0) {
        driver_select(s->port, event(s->pipe[0]), ERL_DRV_USE, 0);
        close(s->pipe[1]);
    }
    driver_free(s);
}

static void stop_select(ErlDrvEvent e, void *reserved)
{
    (void)reserved;
    close((int)(intptr_t)e);
}

/* "die": the port ends inside the command. */
static void output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    struct self *s = (struct self *)d;
    ErlDrvPort port = s->port;
    report(port, "output");
    if (len == 3 && memcmp(buf, "die", 3) == 0)
        driver_failure_atom(port, "died");
}

static void timeout(ErlDrvData d)
{
    report(((struct self *)d)->port, "timeout");
}

static void ready_input(ErlDrvData d, ErlDrvEvent e)
{
    struct self *s = (struct self *)d;
    driver_select(s->port, e, ERL_DRV_READ, 0);
    report(s->port, "ready_input");
}

static void ready_async(ErlDrvData d, ErlDrvThreadData data)
{
    (void)data;
    report(((struct self *)d)->port, "ready_async");
}

static void process_exit(ErlDrvData d, ErlDrvMonitor *m)
{
    (void)m;
    report(((struct self *)d)->port, "process_exit");
}

static void flush(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("flush caller %s", driver_caller(s->port) == driver_term_nil ? "nil" : "pid");
    driver_deq(s->port, driver_sizeq(s->port));
}

static ErlDrvSSizeT call(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen,
                         unsigned int *flags)
{
    (void)op;
    (void)rlen;
    (void)flags;
    report(((struct self *)d)->port, "call");
    memcpy(*rbuf, buf, len);
    return (ErlDrvSSizeT)len;
}

static void nothing(void *arg)
{
    (void)arg;
}

ACTION(do_report)
{
    struct self *s = self;
    report(s->port, "control");
    say(a, "ok");
}

ACTION(do_timer)
{
    struct self *s = self;
    say(a, "%d", driver_set_timer(s->port, 1));
}

ACTION(do_select)
{
    struct self *s = self;
    if (pipe(s->pipe) < 0 || write(s->pipe[1], "x", 1) != 1)
        return say(a, "pipe failed");
    say(a, "%d", driver_select(s->port, event(s->pipe[0]), ERL_DRV_READ | ERL_DRV_USE, 1));
}

ACTION(do_async)
{
    struct self *s = self;
    say(a, driver_async(s->port, NULL, nothing, NULL, NULL) > 0 ? "positive" : "not positive");
}

ACTION(do_monitor)
{
    struct self *s = self;
    say(a, "%d", driver_monitor_process(s->port, driver_caller(s->port), &s->monitor));
}

ACTION(do_enq)
{
    struct self *s = self;
    say(a, "%d", driver_enq(s->port, arg, len));
}

/* A pid is a word: the same process is the same word, and two processes are two. */
ACTION(do_same)
{
    struct self *s = self;
    say(a, driver_caller(s->port) == driver_connected(s->port) ? "caller is owner" : "caller is not owner");
    say(a, driver_mk_port(s->port) == driver_mk_port(s->port) ? "port is itself" : "port is not itself");
}

static const struct action actions[] = {
    {"report", do_report},   {"timer", do_timer}, {"select", do_select}, {"async", do_async},
    {"monitor", do_monitor}, {"enq", do_enq},     {"same", do_same},     {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .stop_select = stop_select,
    .output = output,
    .timeout = timeout,
    .ready_input = ready_input,
    .ready_async = ready_async,
    .process_exit = process_exit,
    .flush = flush,
    .control = control,
    .call = call,
    .driver_name = "caller_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(caller_probe_drv)
{
    return &entry;
}
