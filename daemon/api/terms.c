/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: terms, processes, and messages made of driver terms. */
#include <erl_driver.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "port/misuse.h"
#include "port/monitor.h"
#include "port/output.h"
#include "port/pdl.h"
#include "term/words.h"

const ErlDrvTermData driver_term_nil = PH_NIL;

/* erl_driver(3), driver_mk_term_nil */
ErlDrvTermData driver_mk_term_nil(void)
{
    return PH_NIL;
}

/* These three are documented as for callbacks only, but work in any thread. Known drivers call them in their async jobs, which the checking mode lets pass. */
static bool in_own_thread(void)
{
    return ph_self.kind == PH_THREAD_DRIVER || ph_self.kind == PH_THREAD_FOREIGN;
}

/* erl_driver(3), driver_mk_atom. Latin-1. */
ErlDrvTermData driver_mk_atom(char *string)
{
    if (ph_checking() && in_own_thread())
        ph_violation(PH_VIOLATION_WRONG_THREAD, "%s: this thread runs no callback", __func__);
    return ph_atom_latin1(string, strlen(string));
}

/* A reference, or NULL. In the checking mode reports that the port is gone, or that this is no thread for it. */
static struct ph_port *by_handle(ErlDrvPort port, const char *function)
{
    struct ph_port *p = ph_port_by_handle((uint64_t)(uintptr_t)port);
    if (ph_checking() && (!p || in_own_thread()))
        ph_port_not_here(port, function);
    return p;
}

/* erl_driver(3), driver_mk_port. */
ErlDrvTermData driver_mk_port(ErlDrvPort port)
{
    struct ph_port *p = by_handle(port, __func__);
    if (!p)
        return PH_NIL;
    ph_port_unref(p);
    return ph_port_word((uint64_t)(uintptr_t)port);
}

/* erl_driver(3), driver_connected. */
ErlDrvTermData driver_connected(ErlDrvPort port)
{
    struct ph_port *p = by_handle(port, __func__);
    if (!p)
        return PH_NIL;
    ErlDrvTermData owner = p->owner;
    ph_port_unref(p);
    return owner;
}

/* erl_driver(3), driver_caller */
ErlDrvTermData driver_caller(ErlDrvPort port)
{
    struct ph_port *p = ph_port_called(port, __func__);
    return p ? p->caller : PH_NIL;
}

static struct ph_port *by_term(ErlDrvTermData port)
{
    return ph_word_kind(port) == PH_WORD_PORT ? ph_port_by_handle(ph_port_handle(port)) : NULL;
}

/* erl_driver(3), erl_drv_output_term. Any thread. */
int erl_drv_output_term(ErlDrvTermData port, ErlDrvTermData *data, int len)
{
    struct ph_port *p = by_term(port);
    if (!p)
        return -1;
    int result = ph_out_term(p, p->owner, data, len);
    ph_port_unref(p);
    return result;
}

/* erl_driver(3), erl_drv_send_term. Any thread. */
int erl_drv_send_term(ErlDrvTermData port, ErlDrvTermData to, ErlDrvTermData *data, int len)
{
    struct ph_port *p = by_term(port);
    if (!p)
        return -1;
    int result = ph_out_term(p, to, data, len);
    ph_port_unref(p);
    return result;
}

/* erl_driver(3), driver_output_term: the older form, from callbacks only. */
int driver_output_term(ErlDrvPort ix, ErlDrvTermData *data, int len)
{
    struct ph_port *p = ph_port_called(ix, __func__);
    return p ? ph_out_term(p, p->owner, data, len) : -1;
}

/* erl_driver(3), driver_send_term: the older form; threads of the driver's may use it too. */
int driver_send_term(ErlDrvPort ix, ErlDrvTermData to, ErlDrvTermData *data, int len)
{
    return erl_drv_send_term(ph_port_word((uint64_t)(uintptr_t)ix), to, data, len);
}

/* erl_driver(3), driver_monitor_process */
int driver_monitor_process(ErlDrvPort port, ErlDrvTermData process, ErlDrvMonitor *monitor)
{
    struct ph_queue_access a = ph_queue_enter(port);
    int result = -1;
    if (a.port && a.port->driver->entry.process_exit)
        result = ph_port_monitor(a.port, process, monitor);
    ph_queue_leave(a);
    return result;
}

/* erl_driver(3), driver_demonitor_process */
int driver_demonitor_process(ErlDrvPort port, const ErlDrvMonitor *monitor)
{
    struct ph_queue_access a = ph_queue_enter(port);
    int result = a.port ? ph_port_demonitor(a.port, monitor) : -1;
    ph_queue_leave(a);
    return result;
}

/* erl_driver(3), driver_get_monitored_process */
ErlDrvTermData driver_get_monitored_process(ErlDrvPort port, const ErlDrvMonitor *monitor)
{
    struct ph_queue_access a = ph_queue_enter(port);
    ErlDrvTermData pid = a.port ? ph_port_monitored(a.port, monitor) : PH_NIL;
    ph_queue_leave(a);
    return pid;
}

/* erl_driver(3), driver_compare_monitors */
int driver_compare_monitors(const ErlDrvMonitor *monitor1, const ErlDrvMonitor *monitor2)
{
    return memcmp(monitor1, monitor2, sizeof *monitor1);
}

/* erl_driver.h declares it for tracing: the port as text in buf, which has room for 50 bytes there. */
void dtrace_drvport_str(ErlDrvPort port, char *port_buf)
{
    struct ph_port *p = ph_port_by_handle((uint64_t)(uintptr_t)port);
    snprintf(port_buf, 50, "#Port<0.%llu>", p ? (unsigned long long)p->id : 0);
    if (p)
        ph_port_unref(p);
}
