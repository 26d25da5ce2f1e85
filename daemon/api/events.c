/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: timers, select, async jobs, time slices. */
#include <erl_driver.h>

#include "api/r12.h"
#include "base/thread.h"
#include "port/async.h"
#include "port/misuse.h"
#include "port/select.h"
#include "port/timer.h"

/* erl_driver(3), driver_set_timer. Milliseconds; never early. */
int driver_set_timer(ErlDrvPort port, unsigned long time)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (!p)
        return -1;
    return ph_timer_set(p, time);
}

/* erl_driver(3), driver_cancel_timer */
int driver_cancel_timer(ErlDrvPort port)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (!p)
        return -1;
    ph_timer_cancel(p);
    return 0;
}

/* erl_driver(3), driver_read_timer */
int driver_read_timer(ErlDrvPort port, unsigned long *time_left)
{
    struct ph_port *p = ph_port_called(port, __func__);
    if (!p)
        return -1;
    *time_left = ph_timer_left(p);
    return 0;
}

/* erl_driver(3), driver_select */
int driver_select(ErlDrvPort port, ErlDrvEvent event, int mode, int on)
{
    struct ph_port *p = ph_port_called(port, __func__);
    intptr_t fd = (intptr_t)event;
    if (p && ph_checking() && (fd > INT32_MAX || fd < 0))
        ph_violation(PH_VIOLATION_BAD_FD, "%s: %jd is no descriptor", __func__, (intmax_t)fd);
    if (!p || fd > INT32_MAX || fd < 0)
        return -1;
    return ph_select(p, (int)fd, mode, on != 0);
}

/* erl_driver(3), erl_drv_consume_timeslice: 1 when used up. A hint only: budgets here are measured. */
int erl_drv_consume_timeslice(ErlDrvPort port, int percent)
{
    if (!ph_port_called(port, __func__))
        return -1;
    ph_self.timeslice += percent < 1 ? 1 : percent > 100 ? 100 : percent;
    return ph_self.timeslice >= 100;
}

/* erl_driver(3), driver_async */
long driver_async(ErlDrvPort ix, unsigned int *key, void (*async_invoke)(void *), void *async_data, void (*async_free)(void *))
{
    struct ph_port *p = ph_port_called(ix, __func__);
    return p ? ph_port_async(p, key, async_invoke, async_data, async_free) : -1;
}

/* erl_driver(3), driver_async_port_key. The same for a port as long as it lives. */
unsigned int driver_async_port_key(ErlDrvPort port)
{
    struct ph_port *p = ph_port_called(port, __func__);
    return p ? (unsigned int)(p->handle & 0x0fffffff) + 1 : 0;
}

/* R12: takes back an async job that has not begun, and frees its data. 1, or 0: it has begun, or is unknown. Any thread. */
int driver_async_cancel(long id)
{
    return ph_port_async_cancel(id);
}
