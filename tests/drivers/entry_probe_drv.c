/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: drivers that a driver adds and removes. Called by the run-time system only. Whoever adds an entry must remove it before
 * this driver is unloaded: the entry lies in its memory. */
#include "probe.h"

static ErlDrvPort added_port; /* the one that was opened last; under the driver's lock */

static int added_init(void)
{
    trace("added init");
    return 0;
}

static int failing_init(void)
{
    trace("failing init");
    return -1;
}

static ErlDrvData added_start(ErlDrvPort port, char *command)
{
    added_port = port;
    trace("added start %s", command);
    driver_output(port, "I was added", 11);
    return NULL;
}

static void added_stop(ErlDrvData d)
{
    trace("added stop %s", d ? "data" : "NULL");
}

/* A driver that was added is not one to be locked. */
static ErlDrvSSizeT added_control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)d;
    (void)op;
    (void)buf;
    (void)len;
    return snprintf(*rbuf, rlen, "%d", driver_lock_driver(added_port));
}

static void added_finish(void)
{
    trace("added finish");
}

static ErlDrvEntry added = {
    .init = added_init,
    .start = added_start,
    .stop = added_stop,
    .finish = added_finish,
    .control = added_control,
    .driver_name = "entry_added_drv",
    PROBE_VERSION,
};

static ErlDrvEntry failing = {.init = failing_init, .driver_name = "entry_failing_drv", PROBE_VERSION};
static ErlDrvEntry unknown = {.driver_name = "entry_unknown_drv", PROBE_VERSION};
static ErlDrvEntry entry;

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void stop(ErlDrvData d)
{
    (void)d;
    trace("stop");
}

ACTION(do_add)
{
    add_driver_entry(&added);
    say(a, "ok");
}

ACTION(do_add_failing)
{
    add_driver_entry(&failing);
    say(a, "ok");
}

ACTION(do_remove)
{
    say(a, "%d", remove_driver_entry(&added));
}

ACTION(do_remove_unknown)
{
    say(a, "%d", remove_driver_entry(&unknown));
}

ACTION(do_remove_self)
{
    say(a, "%d", remove_driver_entry(&entry));
}

static const struct action actions[] = {
    {"add", do_add},
    {"add_failing", do_add_failing},
    {"remove", do_remove},
    {"remove_unknown", do_remove_unknown},
    {"remove_self", do_remove_self},
    {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .control = control,
    .driver_name = "entry_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(entry_probe_drv)
{
    return &entry;
}
