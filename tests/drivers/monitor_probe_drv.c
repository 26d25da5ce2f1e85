/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: process monitors. Processes get monitored by calling control themselves, or by having called "remember" earlier.
 * Called by the run-time system only. */
#include "probe.h"

enum { SLOTS = 8 };

struct self {
    ErlDrvPort port;
    ErlDrvTermData remembered;
    ErlDrvMonitor monitors[SLOTS];
    int used;
};

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    if (!s)
        return ERL_DRV_ERROR_GENERAL;
    *s = (struct self){.port = port, .remembered = driver_term_nil};
    return (ErlDrvData)s;
}

static int is_nil(ErlDrvTermData t)
{
    return t == driver_term_nil;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    for (int i = 0; i < s->used; i++) {
        trace("stop monitor %d %s", i, is_nil(driver_get_monitored_process(s->port, &s->monitors[i])) ? "nil" : "pid");
        trace("stop demonitor %d", driver_demonitor_process(s->port, &s->monitors[i]));
    }
    driver_free(s);
}

static int slot_of(const struct self *s, const ErlDrvMonitor *m)
{
    for (int i = 0; i < s->used; i++)
        if (driver_compare_monitors(m, &s->monitors[i]) == 0)
            return i;
    return -1;
}

static void send_who(struct self *s, const ErlDrvMonitor *m)
{
    ErlDrvTermData pid = driver_get_monitored_process(s->port, m);
    ErlDrvTermData found[] = {ERL_DRV_ATOM, driver_mk_atom("monitored"), ERL_DRV_PID, pid, ERL_DRV_TUPLE, 2};
    ErlDrvTermData none[] = {ERL_DRV_ATOM, driver_mk_atom("nobody")};
    if (is_nil(pid))
        erl_drv_output_term(driver_mk_port(s->port), none, 2);
    else
        erl_drv_output_term(driver_mk_port(s->port), found, 6);
}

static void process_exit(ErlDrvData d, ErlDrvMonitor *m)
{
    struct self *s = (struct self *)d;
    trace("process_exit %d caller %s", slot_of(s, m), is_nil(driver_caller(s->port)) ? "nil" : "pid");
    send_who(s, m);
}

static void monitor(struct self *s, ErlDrvTermData pid, struct answer *a)
{
    say(a, "%d", driver_monitor_process(s->port, pid, &s->monitors[s->used]));
    s->used++;
}

ACTION(do_monitor)
{
    struct self *s = self;
    monitor(s, driver_caller(s->port), a);
}

ACTION(do_remember)
{
    struct self *s = self;
    s->remembered = driver_caller(s->port);
    say(a, "ok");
}

ACTION(do_monitor_remembered)
{
    struct self *s = self;
    monitor(s, s->remembered, a);
}

ACTION(do_monitor_nonsense)
{
    struct self *s = self;
    monitor(s, driver_mk_atom("nobody"), a);
    monitor(s, driver_term_nil, a);
}

ACTION(do_demonitor)
{
    struct self *s = self;
    say(a, "%d", driver_demonitor_process(s->port, &s->monitors[atoi(arg)]));
}

ACTION(do_who)
{
    struct self *s = self;
    send_who(s, &s->monitors[atoi(arg)]);
    say(a, "ok");
}

static ErlDrvMonitor lent; /* one lock for all ports */

ACTION(do_lend)
{
    lent = ((struct self *)self)->monitors[atoi(arg)];
    say(a, "ok");
}

/* What was lent by another port, or by none. */
ACTION(do_lent)
{
    struct self *s = self;
    send_who(s, &lent);
    say(a, "%d", driver_demonitor_process(s->port, &lent));
}

/* A copy of the struct is as good as the struct. */
ACTION(do_who_copy)
{
    struct self *s = self;
    ErlDrvMonitor copy;
    memcpy(&copy, &s->monitors[atoi(arg)], sizeof copy);
    send_who(s, &copy);
    say(a, "ok");
}

ACTION(do_compare)
{
    struct self *s = self;
    int same = driver_compare_monitors(&s->monitors[0], &s->monitors[0]);
    int ab = driver_compare_monitors(&s->monitors[0], &s->monitors[1]);
    int ba = driver_compare_monitors(&s->monitors[1], &s->monitors[0]);
    say(a, "%d %s", same, ab == 0 ? "equal" : (ab < 0) != (ba < 0) ? "ordered" : "unordered");
}

ACTION(do_enq)
{
    struct self *s = self;
    say(a, "%d", driver_enq(s->port, arg, len));
}

ACTION(do_set_timer)
{
    struct self *s = self;
    say(a, "%d", driver_set_timer(s->port, strtoul(arg, NULL, 10)));
}

static void timeout(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("timeout deq %zd", (ssize_t)driver_deq(s->port, driver_sizeq(s->port)));
}

static void flush(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("flush monitor 0 %s", is_nil(driver_get_monitored_process(s->port, &s->monitors[0])) ? "nil" : "pid");
}

static const struct action actions[] = {
    {"monitor", do_monitor},
    {"remember", do_remember},
    {"monitor_remembered", do_monitor_remembered},
    {"monitor_nonsense", do_monitor_nonsense},
    {"demonitor", do_demonitor},
    {"who", do_who},
    {"lend", do_lend},
    {"lent", do_lent},
    {"who_copy", do_who_copy},
    {"compare", do_compare},
    {"enq", do_enq},
    {"set_timer", do_set_timer},
    {NULL, NULL},
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
    .process_exit = process_exit,
    .control = control,
    .driver_name = "monitor_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(monitor_probe_drv)
{
    return &entry;
}
