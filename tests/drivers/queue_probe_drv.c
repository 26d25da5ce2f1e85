/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: the port's queue, and flush and close with data in it. Called by the run-time system only. */
#include "probe.h"

struct self {
    ErlDrvPort port;
    size_t deq_per_timeout; /* 0: the queue stays as it is */
    int output_on_timeout;
};

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    if (!s)
        return ERL_DRV_ERROR_GENERAL;
    *s = (struct self){.port = port};
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("stop sizeq %zd", (ssize_t)driver_sizeq(s->port));
    driver_free(s);
}

static void flush(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("flush sizeq %zd", (ssize_t)driver_sizeq(s->port));
    if (s->deq_per_timeout)
        driver_set_timer(s->port, 5);
}

static void timeout(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    if (s->output_on_timeout)
        trace("timeout output %d", driver_output(s->port, "anyone?", 7));
    ErlDrvSizeT left = driver_deq(s->port, s->deq_per_timeout);
    trace("timeout deq %zd", (ssize_t)left);
    if (left)
        driver_set_timer(s->port, 5);
}

static void outputv(ErlDrvData d, ErlIOVec *ev)
{
    struct self *s = (struct self *)d;
    trace("outputv enqv %d", driver_enqv(s->port, ev, 0));
}

static void say_queue(struct self *s, struct answer *a)
{
    int n = -7;
    const SysIOVec *iov = driver_peekq(s->port, &n);
    say(a, "%d", n);
    for (int i = 0; i < n; i++)
        say(a, "[%.*s]", (int)iov[i].iov_len, (char *)iov[i].iov_base);
    if (n == 0)
        say(a, "%s", iov ? "something" : "NULL");
}

ACTION(do_enq)
{
    struct self *s = self;
    say(a, "%d", driver_enq(s->port, arg, len));
    say_queue(s, a);
}

ACTION(do_pushq)
{
    struct self *s = self;
    say(a, "%d", driver_pushq(s->port, arg, len));
    say_queue(s, a);
}

/* The binary without its first byte; its count before, while queued, and after it has been dequeued. */
ACTION(do_enq_bin)
{
    struct self *s = self;
    ErlDrvBinary *b = bin_of(arg, len);
    if (!b)
        return say(a, "no memory");
    say(a, "%d", driver_enq_bin(s->port, b, 1, len - 1));
    say_queue(s, a);
    say(a, "refc %ld", driver_binary_get_refc(b));
    driver_free_binary(b);
}

ACTION(do_pushq_bin)
{
    struct self *s = self;
    ErlDrvBinary *b = bin_of(arg, len);
    if (!b)
        return say(a, "no memory");
    say(a, "%d", driver_pushq_bin(s->port, b, 0, len));
    say_queue(s, a);
    say(a, "refc %ld", driver_binary_get_refc(b));
    driver_free_binary(b);
}

ACTION(do_bin_refc)
{
    struct self *s = self;
    ErlDrvBinary *b = bin_of(arg, len);
    if (!b)
        return say(a, "no memory");
    driver_enq_bin(s->port, b, 0, len);
    driver_enq_bin(s->port, b, 0, 0);
    say(a, "queued %ld", driver_binary_get_refc(b));
    driver_deq(s->port, 1);
    say(a, "partly dequeued %ld", driver_binary_get_refc(b));
    driver_deq(s->port, len - 1);
    say(a, "dequeued %ld", driver_binary_get_refc(b));
    driver_free_binary(b);
}

/* "N a|b|c" */
static void with_vector(struct self *s, char *arg, size_t len, struct answer *a,
                        int (*queue)(ErlDrvPort, ErlIOVec *, ErlDrvSizeT))
{
    char *rest;
    struct vec v;
    size_t skip = strtoul(arg, &rest, 10);
    rest++;
    vec_of(&v, rest, len - (size_t)(rest - arg));
    say(a, "%d", queue(s->port, &v.ev, skip));
    say_queue(s, a);
    vec_free(&v);
}

ACTION(do_enqv)
{
    with_vector(self, arg, len, a, driver_enqv);
}

ACTION(do_pushqv)
{
    with_vector(self, arg, len, a, driver_pushqv);
}

ACTION(do_deq)
{
    struct self *s = self;
    say(a, "%zd", (ssize_t)driver_deq(s->port, strtoul(arg, NULL, 10)));
    say_queue(s, a);
}

ACTION(do_deq_all)
{
    struct self *s = self;
    say(a, "%zd", (ssize_t)driver_deq(s->port, driver_sizeq(s->port)));
}

ACTION(do_sizeq)
{
    struct self *s = self;
    say(a, "%zd", (ssize_t)driver_sizeq(s->port));
}

ACTION(do_peekqv)
{
    struct self *s = self;
    ErlIOVec ev = {.vsize = -7};
    say(a, "%zd", (ssize_t)driver_peekqv(s->port, &ev));
    say(a, "vsize %d size %zu %s", ev.vsize, ev.size, ev.iov && ev.binv ? "vectors" : "NULL");
    for (int i = 0; i < ev.vsize; i++)
        say(a, "[%.*s]%s", (int)ev.iov[i].iov_len, (char *)ev.iov[i].iov_base, ev.binv[i] ? "" : "-");
}

/* "N": a timer from flush on removes N bytes each time. */
ACTION(do_drain)
{
    struct self *s = self;
    s->deq_per_timeout = strtoul(arg, NULL, 10);
    say(a, "ok");
}

ACTION(do_talk)
{
    struct self *s = self;
    s->output_on_timeout = 1;
    say(a, "ok");
}

/* A timer that fires while the port is open already. */
ACTION(do_timer)
{
    struct self *s = self;
    say(a, "%d", driver_set_timer(s->port, strtoul(arg, NULL, 10)));
}

static const char *nil_or(ErlDrvTermData t, const char *other)
{
    return t == driver_term_nil ? "nil" : other;
}

/* What a closing port, too, is told. */
ACTION(do_interface)
{
    struct self *s = self;
    ErlDrvTermData term[] = {ERL_DRV_NIL};
    ErlDrvBinary *b = bin_of("abc", 3);
    unsigned long left = 77;
    struct vec v;
    char pieces[] = "d|e";
    vec_of(&v, pieces, 3);
    say(a, "output %d", driver_output(s->port, "x", 1));
    say(a, "output2 %d", driver_output2(s->port, "h", 1, "x", 1));
    say(a, "binary %d", driver_output_binary(s->port, NULL, 0, b, 0, 3));
    say(a, "vector %d", driver_outputv(s->port, NULL, 0, &v.ev, 0));
    say(a, "term %d", erl_drv_output_term(driver_mk_port(s->port), term, 1));
    say(a, "term to caller %d", erl_drv_send_term(driver_mk_port(s->port), driver_caller(s->port), term, 1));
    say(a, "connected %s caller %s mk_port %s", nil_or(driver_connected(s->port), "pid"), nil_or(driver_caller(s->port), "pid"),
        nil_or(driver_mk_port(s->port), "port"));
    say(a, "timer %d", driver_set_timer(s->port, 60000));
    say(a, "cancel %d", driver_cancel_timer(s->port));
    say(a, "read %d", driver_read_timer(s->port, &left));
    say(a, "left %lu key %s flags %d", left, driver_async_port_key(s->port) ? "some" : "0", get_port_flags(s->port));
    say(a, "pdl %s", driver_pdl_create(s->port) ? "lock" : "NULL");
    vec_free(&v);
    driver_free_binary(b);
}

static const struct action actions[] = {
    {"enq", do_enq},   {"pushq", do_pushq},   {"enq_bin", do_enq_bin}, {"pushq_bin", do_pushq_bin}, {"bin_refc", do_bin_refc},
    {"enqv", do_enqv}, {"pushqv", do_pushqv}, {"deq", do_deq},         {"sizeq", do_sizeq},         {"peekqv", do_peekqv},
    {"deq_all", do_deq_all}, {"drain", do_drain}, {"talk", do_talk},   {"timer", do_timer},     {"interface", do_interface}, {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .flush = flush,
    .timeout = timeout,
    .outputv = outputv,
    .control = control,
    .driver_name = "queue_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(queue_probe_drv)
{
    return &entry;
}
