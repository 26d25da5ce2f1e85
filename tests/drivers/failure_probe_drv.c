/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a port that ends itself, in every way and from every callback. Called by the run-time system only. With PROBE_OUTPUTV
 * defined commands come to outputv.
 *
 * "arm callback way": the next time that callback runs, the port ends that way. What the API says from then on is traced; the
 * port's struct is freed by the nested stop and not looked at again. */
#include "probe.h"
#include <errno.h>

#ifndef PROBE_NAME
#define PROBE_NAME "failure_probe_drv"
#endif

struct self {
    ErlDrvPort port;
    char where[24], way[24];
    int pipe[2];
    ErlDrvMonitor monitor;
};

static ErlDrvEvent event(int fd)
{
    return (ErlDrvEvent)(intptr_t)fd;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port, .pipe = {-1, -1}};
    return (ErlDrvData)s;
}

static int fire(struct self *s, const char *where);

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("stop sizeq %zd output %d", (ssize_t)driver_sizeq(s->port), driver_output(s->port, "from stop", 9));
    fire(s, "stop");
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

static int fail(ErlDrvPort port, const char *way)
{
    if (strcmp(way, "eof") == 0)
        return driver_failure_eof(port);
    if (strcmp(way, "atom") == 0)
        return driver_failure_atom(port, "some_reason");
    if (strcmp(way, "odd_atom") == 0)
        return driver_failure_atom(port, "\345 b");
    if (strcmp(way, "posix") == 0)
        return driver_failure_posix(port, ENOENT);
    if (strcmp(way, "posix_unknown") == 0)
        return driver_failure_posix(port, 99999);
    if (strcmp(way, "zero") == 0)
        return driver_failure(port, 0);
    if (strcmp(way, "five") == 0)
        return driver_failure(port, 5);
    if (strcmp(way, "minus") == 0)
        return driver_failure(port, -5);
    if (strcmp(way, "exit_zero") == 0)
        return driver_exit(port, 0);
    return driver_exit(port, EPIPE);
}

static const char *nil_or(ErlDrvTermData t, const char *other)
{
    return t == driver_term_nil ? "nil" : other;
}

/* Everything a stale port can be asked, while the callback that ended it still runs. */
static void trace_afterwards(ErlDrvPort port)
{
    ErlDrvTermData term[] = {ERL_DRV_NIL};
    ErlDrvTermData owner = driver_connected(port);
    unsigned long left = 77;
    int n = -7;
    ErlIOVec ev = {.vsize = -7};
    SysIOVec *iov = driver_peekq(port, &n);
    trace("output %d output2 %d term %d", driver_output(port, "x", 1), driver_output2(port, "x", 1, "y", 1),
          erl_drv_output_term(driver_mk_port(port), term, 1));
    trace("sizeq %zd deq %zd enq %d enq empty %d pushq %d", (ssize_t)driver_sizeq(port), (ssize_t)driver_deq(port, 1),
          driver_enq(port, "x", 1), driver_enq(port, "x", 0), driver_pushq(port, "x", 1));
    trace("peekq %s %d peekqv %zd %d", iov ? "something" : "NULL", n, (ssize_t)driver_peekqv(port, &ev), ev.vsize);
    trace("set_timer %d cancel %d read %d %lu", driver_set_timer(port, 1), driver_cancel_timer(port),
          driver_read_timer(port, &left), left);
    trace("connected %s caller %s mk_port %s", nil_or(owner, "pid"), nil_or(driver_caller(port), "pid"),
          nil_or(driver_mk_port(port), "port"));
    trace("flags %d pdl %s key %u select %d", get_port_flags(port), driver_pdl_create(port) ? "lock" : "NULL",
          driver_async_port_key(port), driver_select(port, event(0), ERL_DRV_READ, 1));
    trace("timeslice %d lock_driver %d", erl_drv_consume_timeslice(port, 1), driver_lock_driver(port));
}

/* True if the port may be gone now. */
static int fire(struct self *s, const char *where)
{
    ErlDrvPort port = s->port;
    char way[24];
    if (strcmp(s->where, where) != 0)
        return 0;
    memcpy(way, s->way, sizeof way);
    s->where[0] = 0;
    trace("%s fails", where);
    trace("first %d", fail(port, way));
    trace("second %d", fail(port, way));
    if (strcmp(way, "eof") != 0 && strcmp(way, "zero") != 0 && strcmp(where, "output") == 0)
        trace_afterwards(port);
    return 1;
}

#ifdef PROBE_OUTPUTV
/* The vector is the frame's, and good after the port has gone. */
static void outputv(ErlDrvData d, ErlIOVec *ev)
{
    char text[16] = "";
    fire((struct self *)d, "outputv");
    trace("outputv %zu %zd %s", ev->size, (ssize_t)driver_vec_to_buf(ev, text, sizeof text - 1), text);
}
#else
static void output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    (void)buf;
    trace("output %zu", len);
    fire((struct self *)d, "output");
}
#endif

static void timeout(ErlDrvData d)
{
    fire((struct self *)d, "timeout");
}

static void ready_input(ErlDrvData d, ErlDrvEvent e)
{
    struct self *s = (struct self *)d;
    driver_select(s->port, e, ERL_DRV_READ, 0);
    fire(s, "ready_input");
}

static void ready_output(ErlDrvData d, ErlDrvEvent e)
{
    struct self *s = (struct self *)d;
    driver_select(s->port, e, ERL_DRV_WRITE, 0);
    fire(s, "ready_output");
}

static void ready_async(ErlDrvData d, ErlDrvThreadData data)
{
    (void)data;
    fire((struct self *)d, "ready_async");
}

static void process_exit(ErlDrvData d, ErlDrvMonitor *m)
{
    (void)m;
    fire((struct self *)d, "process_exit");
}

static void flush(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("flush sizeq %zd", (ssize_t)driver_sizeq(s->port));
    fire(s, "flush");
}

static ErlDrvSSizeT call(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen,
                         unsigned int *flags)
{
    (void)op;
    (void)rlen;
    (void)flags;
    memcpy(*rbuf, buf, len);
    fire((struct self *)d, "call");
    return (ErlDrvSSizeT)len;
}

static void nothing(void *arg)
{
    (void)arg;
}

ACTION(do_arm)
{
    struct self *s = self;
    if (sscanf(arg, "%23s %23s", s->where, s->way) != 2)
        return say(a, "what?");
    say(a, "armed");
}

ACTION(do_enq)
{
    struct self *s = self;
    say(a, "%d", driver_enq(s->port, arg, len));
}

ACTION(do_output)
{
    struct self *s = self;
    say(a, "%d", driver_output(s->port, arg, len));
}

ACTION(do_timer)
{
    struct self *s = self;
    say(a, "%d", driver_set_timer(s->port, strtoul(arg, NULL, 10)));
}

/* A byte is waiting to be read, or there is room to write. */
ACTION(do_select)
{
    struct self *s = self;
    int mode = atoi(arg), p[2];
    if (pipe(p) < 0 || write(p[1], "x", 1) != 1)
        return say(a, "pipe failed");
    s->pipe[0] = p[mode == ERL_DRV_WRITE];
    s->pipe[1] = p[mode != ERL_DRV_WRITE];
    say(a, "%d", driver_select(s->port, event(s->pipe[0]), mode | ERL_DRV_USE, 1));
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

static const struct action actions[] = {
    {"arm", do_arm},     {"enq", do_enq},         {"output", do_output}, {"timer", do_timer}, {"select", do_select},
    {"async", do_async}, {"monitor", do_monitor}, {NULL, NULL},
};

/* Operation 0 is actions; 1 is what may be armed. */
static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    if (op == 0)
        return act(actions, d, buf, len, rbuf, rlen);
    fire((struct self *)d, "control");
    memcpy(*rbuf, "done", 4);
    return 4;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .stop_select = stop_select,
#ifdef PROBE_OUTPUTV
    .outputv = outputv,
#else
    .output = output,
#endif
    .timeout = timeout,
    .ready_input = ready_input,
    .ready_output = ready_output,
    .ready_async = ready_async,
    .process_exit = process_exit,
    .flush = flush,
    .control = control,
    .call = call,
    .driver_name = PROBE_NAME,
    PROBE_VERSION,
};

DRIVER_INIT(failure_probe_drv)
{
    return &entry;
}
