/* SPDX-License-Identifier: Apache-2.0 */
/* Process monitors of ports (erl_driver(3), driver_monitor_process). With access as for the queue (ph_queue_enter), or in the port's lock at its end. */
#ifndef PH_PORT_MONITOR_H
#define PH_PORT_MONITOR_H

#include "port/port.h"

struct ph_port_monitor {
    LIST_ENTRY(ph_port_monitor) link;
    uint64_t id;
    ErlDrvTermData pid;
};

int ph_port_monitor(struct ph_port *p, ErlDrvTermData pid, ErlDrvMonitor *monitor);    /* 0; 1: not a pid, or its node is not connected */
int ph_port_demonitor(struct ph_port *p, const ErlDrvMonitor *monitor);                /* 0; 1: unknown */
ErlDrvTermData ph_port_monitored(struct ph_port *p, const ErlDrvMonitor *monitor);     /* pid, or nil */
void ph_monitors_drop(struct ph_port *p);

#endif
