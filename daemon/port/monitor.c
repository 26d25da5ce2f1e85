/* SPDX-License-Identifier: Apache-2.0 */
#include "port/monitor.h"

#include <string.h>

#include "base/mem.h"
#include "check/violation.h"
#include "port/callback.h"
#include "port/pdl.h"
#include "term/words.h"

_Static_assert(sizeof(ErlDrvMonitor) >= sizeof(uint64_t), "a monitor id fits the driver's monitor");

static void to_api(ErlDrvMonitor *m, uint64_t id)
{
    memset(m, 0, sizeof *m);
    memcpy(m, &id, sizeof id);
}

static struct ph_port_monitor *find(struct ph_port *p, uint64_t id)
{
    struct ph_port_monitor *m;
    LIST_FOREACH(m, &p->monitors, link)
        if (m->id == id)
            break;
    return m;
}

/* NULL: it has ended, as it may at any time, or is none, which is a mistake. */
static struct ph_port_monitor *find_api(struct ph_port *p, const ErlDrvMonitor *monitor, const char *function)
{
    uint64_t id;
    memcpy(&id, monitor, sizeof id);
    struct ph_port_monitor *m = find(p, id);
    if (!m && ph_checking() && !ph_monitor_was_made(id, p))
        ph_violation(PH_VIOLATION_MONITOR_UNKNOWN, "%s: that is no monitor of port %llu of %s, and never was", function, (unsigned long long)p->id, p->driver->name);
    return m;
}

static void forget(struct ph_port *p, uint64_t id)
{
    struct ph_pdl *pdl = ph_port_pdl_enter(p);
    struct ph_port_monitor *m = find(p, id);
    if (m) {
        LIST_REMOVE(m, link);
        ph_free(m);
    }
    ph_port_pdl_leave(pdl);
}

struct down_job {
    struct ph_job job;
    struct ph_port *port; /* reference */
    uint64_t id;
};

static void run_down(struct ph_job *job)
{
    struct down_job *j = (struct down_job *)job;
    struct ph_pdl *pdl = ph_port_pdl_enter(j->port);
    bool known = ph_port_state(j->port) != PH_PORT_DEAD && find(j->port, j->id) != NULL;
    ph_port_pdl_leave(pdl);
    if (known) { /* and stays known, to be asked about, while the callback runs */
        ErlDrvMonitor monitor;
        to_api(&monitor, j->id);
        ph_callback_process_exit(j->port, &monitor);
        forget(j->port, j->id);
    }
    ph_port_unref(j->port);
    ph_free(j);
}

static void fired(void *arg, uint64_t id)
{
    struct down_job *j = ph_alloc(sizeof *j);
    *j = (struct down_job){.job.run = run_down, .port = ph_port_ref(arg), .id = id};
    ph_port_submit(arg, &j->job);
}

static void unref_port(void *p)
{
    ph_port_unref(p);
}

int ph_port_monitor(struct ph_port *p, ErlDrvTermData pid, ErlDrvMonitor *monitor)
{
    if (ph_word_kind(pid) != PH_WORD_PID)
        return 1;
    struct ph_port_monitor *m = ph_alloc_try(sizeof *m);
    uint64_t id = m ? ph_monitor_new(p->peer, pid, fired, unref_port, ph_port_ref(p)) : 0;
    if (!id) {
        if (m)
            ph_port_unref(p);
        ph_free(m);
        return 1;
    }
    *m = (struct ph_port_monitor){.id = id, .pid = pid};
    LIST_INSERT_HEAD(&p->monitors, m, link);
    to_api(monitor, id);
    return 0;
}

int ph_port_demonitor(struct ph_port *p, const ErlDrvMonitor *monitor)
{
    struct ph_port_monitor *m = find_api(p, monitor, "driver_demonitor_process");
    if (!m)
        return 1;
    LIST_REMOVE(m, link); /* a `down` that is on its way finds nothing */
    ph_monitor_cancel(m->id);
    ph_free(m);
    return 0;
}

ErlDrvTermData ph_port_monitored(struct ph_port *p, const ErlDrvMonitor *monitor)
{
    struct ph_port_monitor *m = find_api(p, monitor, "driver_get_monitored_process");
    return m ? m->pid : PH_NIL;
}

void ph_monitors_drop(struct ph_port *p)
{
    struct ph_pdl *pdl = ph_port_pdl_enter(p);
    struct ph_port_monitor *m;
    while ((m = LIST_FIRST(&p->monitors))) {
        LIST_REMOVE(m, link);
        ph_monitor_cancel(m->id);
        ph_free(m);
    }
    ph_port_pdl_leave(pdl);
}
