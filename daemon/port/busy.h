/* SPDX-License-Identifier: Apache-2.0 */
/* Busy ports: commands that wait, and telling the client (set_busy_port, erl_drv_busy_msgq_limits). In the port's lock unless said otherwise. */
#ifndef PH_BUSY_H
#define PH_BUSY_H

#include "port/op.h"
#include "port/port.h"

#define PH_MSGQ_LOW 4096u  /* the VM's defaults */
#define PH_MSGQ_HIGH 8192u
#define PH_MSGQ_DISABLED ERL_DRV_BUSY_MSGQ_DISABLED

void ph_busy_set(struct ph_port *p, bool on);
bool ph_busy_holds_now(struct ph_port *p, struct ph_op *op); /* for ph_busy_holds */
/* Must the operation wait (because of the busy port, or behind another that does)? Then it has been taken. */
static inline bool ph_busy_holds(struct ph_port *p, struct ph_op *op)
{
    return (p->busy || p->held) && ph_busy_holds_now(p, op);
}
void ph_busy_msgq_limits(struct ph_port *p, ErlDrvSizeT *low, ErlDrvSizeT *high);
void ph_busy_accepted(struct ph_port *p, size_t bytes); /* a command was queued; any thread */
void ph_busy_executed(struct ph_port *p, size_t bytes); /* it runs now */
void ph_busy_begin(struct ph_port *p);                  /* the port is live: what came before that counts too */
/* Is it a command, directly or by Port ! {Owner, {command, Data}}, that waits for a busy port? Any thread. */
bool ph_op_is_command(const struct ph_op *op);
void ph_busy_end(struct ph_port *p);                    /* the port exits: waiting operations run (and find it gone) */

#endif
