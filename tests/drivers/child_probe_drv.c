/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: ports that a driver creates. With one lock per port, as driver_create_port requires in the VM; a file that includes this one may
 * set another name and other flags. Called by the run-time system only. */
#ifndef PROBE_NAME
#define PROBE_NAME "child_probe_drv"
#define PROBE_FLAGS ERL_DRV_FLAG_USE_PORT_LOCKING
#endif
#include "probe.h"

struct self {
    ErlDrvPort port;
    const char *kind;
    ErlDrvTermData remembered;
    int create_in_stop;
};

static struct self *self_new(ErlDrvPort port, const char *kind)
{
    struct self *s = driver_alloc(sizeof *s);
    *s = (struct self){.port = port, .kind = kind, .remembered = driver_term_nil};
    return s;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    trace("start %s", command);
    return (ErlDrvData)self_new(port, "parent");
}

/* Sends {child, Port} to the parent's owner. */
static void create(struct self *s, ErlDrvTermData owner, char *name, struct answer *a)
{
    struct self *child = self_new(NULL, "child");
    child->port = driver_create_port(s->port, owner, name, (ErlDrvData)child);
    if (child->port == (ErlDrvPort)-1) {
        driver_free(child);
        return say(a, "failed");
    }
    ErlDrvTermData term[] = {ERL_DRV_ATOM, driver_mk_atom("child"), ERL_DRV_PORT, driver_mk_port(child->port), ERL_DRV_TUPLE, 2};
    say(a, "created %d", erl_drv_output_term(driver_mk_port(s->port), term, 6));
    say(a, driver_connected(child->port) == owner ? "owned" : "not owned");
    say(a, "flags %d", get_port_flags(child->port));
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("stop %s", s->kind);
    if (s->create_in_stop) {
        struct answer a = {.len = 0};
        create(s, driver_connected(s->port), "late", &a);
        trace("%s", a.text);
    }
    driver_free(s);
}

static void output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    struct self *s = (struct self *)d;
    trace("output %s", s->kind);
    driver_output2(s->port, (char *)s->kind, strlen(s->kind), buf, len);
}

ACTION(do_create)
{
    create(self, driver_caller(((struct self *)self)->port), arg, a);
}

ACTION(do_create_remembered)
{
    create(self, ((struct self *)self)->remembered, arg, a);
}

/* What the creator may do with the child before the callback has returned. */
ACTION(do_create_and_use)
{
    struct self *s = self, *child = self_new(NULL, "child");
    child->port = driver_create_port(s->port, driver_caller(s->port), arg, (ErlDrvData)child);
    if (child->port == (ErlDrvPort)-1) {
        driver_free(child);
        return say(a, "failed");
    }
    say(a, "output %d", driver_output(child->port, "first", 5));
    say(a, "timer %d", driver_set_timer(child->port, 60000));
    say(a, "enq %d", driver_enq(child->port, "abc", 3));
    say(a, "deq %zu", (size_t)driver_deq(child->port, 3));
}

ACTION(do_create_in_stop)
{
    struct self *s = self;
    s->create_in_stop = 1;
    say(a, "ok");
}

ACTION(do_remember)
{
    struct self *s = self;
    s->remembered = driver_caller(s->port);
    say(a, "ok");
}

ACTION(do_kind)
{
    say(a, "%s", ((struct self *)self)->kind);
}

ACTION(do_timer)
{
    say(a, "%d", driver_set_timer(((struct self *)self)->port, 1));
}

ACTION(do_fail)
{
    say(a, "%d", driver_failure_atom(((struct self *)self)->port, "child_reason"));
}

static void timeout(ErlDrvData d)
{
    trace("timeout %s", ((struct self *)d)->kind);
}

static const struct action actions[] = {
    {"create", do_create}, {"create_remembered", do_create_remembered}, {"remember", do_remember}, {"kind", do_kind},
    {"timer", do_timer},   {"fail", do_fail},     {"create_and_use", do_create_and_use},           {"create_in_stop", do_create_in_stop},
    {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .output = output,
    .timeout = timeout,
    .control = control,
    .driver_name = PROBE_NAME,
    PROBE_VERSION,
};

DRIVER_INIT(child_probe_drv)
{
    return &entry;
}
