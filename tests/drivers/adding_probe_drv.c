/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: adds and removes drivers of its own while others may ask for them. Called by the run-time system only. */
#include "probe.h"

static ErlDrvEntry resident = {.driver_name = "adding_resident_drv", PROBE_VERSION};
static ErlDrvEntry passing = {.driver_name = "adding_passing_drv", PROBE_VERSION};
static ErlDrvEntry failing;

static int fail(void)
{
    remove_driver_entry(&failing);
    return -1;
}

static ErlDrvEntry failing = {.init = fail, .driver_name = "adding_failing_drv", PROBE_VERSION};

static int init(void)
{
    add_driver_entry(&resident);
    return 0;
}

static void finish(void)
{
    remove_driver_entry(&resident);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static int add_and_remove(ErlDrvEntry *other)
{
    add_driver_entry(other);
    return remove_driver_entry(other);
}

/* Op: how many times. The answer: how many were there to be removed, of those whose init succeeds and of those whose fails. */
static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    int removed = 0, failed = 0;
    (void)d;
    (void)buf;
    (void)len;
    for (unsigned i = 0; i < op; i++) {
        removed += add_and_remove(&passing);
        failed += add_and_remove(&failing);
    }
    return snprintf(*rbuf, rlen, "%d %d", removed, failed);
}

static ErlDrvEntry entry = {.init = init, .finish = finish, .start = start, .control = control, .driver_name = "adding_probe_drv", PROBE_VERSION};

DRIVER_INIT(adding_probe_drv)
{
    return &entry;
}
