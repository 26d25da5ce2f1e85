/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the driver API from stop_select, and sends when it is closed without having been told, since it has no flush callback: for the test of the checking mode. */
#include "probe.h"

static ErlDrvPort calls; /* stop_select does something with that port, or NULL */

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void stop_select(ErlDrvEvent event, void *reserved)
{
    (void)reserved;
    close((int)(intptr_t)event);
    if (!calls)
        return;
    driver_free(driver_alloc(1)); /* nobody minds */
    driver_output(calls, (char *)"x", 1);
    driver_enq(calls, (char *)"x", 1);
}

static void use_and_stop(ErlDrvPort port)
{
    int fds[2];
    if (pipe(fds))
        return;
    close(fds[1]);
    driver_select(port, (ErlDrvEvent)(intptr_t)fds[0], ERL_DRV_READ | ERL_DRV_USE, 1);
    driver_select(port, (ErlDrvEvent)(intptr_t)fds[0], ERL_DRV_READ | ERL_DRV_USE, 0);
}

ACTION(none)
{
    use_and_stop(self);
}

ACTION(call)
{
    calls = self;
    use_and_stop(self);
    calls = NULL;
}

ACTION(late_output)
{
    driver_enq(self, (char *)"abc", 3);
    driver_set_timer(self, 50);
}

static void timeout(ErlDrvData d)
{
    driver_output((ErlDrvPort)d, (char *)"late", 4);
    driver_deq((ErlDrvPort)d, driver_sizeq((ErlDrvPort)d));
}

static void ready_input(ErlDrvData d, ErlDrvEvent event)
{
    (void)d;
    (void)event;
}

static const struct action actions[] = {{"none", none}, {"call", call}, {"late_output", late_output}, {NULL, NULL}};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)op;
    return act(actions, d, buf, len, rbuf, rlen);
}

static ErlDrvEntry entry = {
    PROBE_VERSION,
    .driver_name = "offence_select_drv",
    .start = start,
    .control = control,
    .timeout = timeout,
    .ready_input = ready_input,
    .stop_select = stop_select,
};

DRIVER_INIT(offence_select_drv)
{
    return &entry;
}
