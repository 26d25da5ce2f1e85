/* SPDX-License-Identifier: Apache-2.0 */
/* Port data locks: what guards a port's queue and monitors when the driver has made one (erl_driver(3), driver_pdl_create). The API
 * functions driver_pdl_* themselves are in pdl.c too. Lock order: a PDL is taken while in a port's lock; nothing but leaves is taken under it by us. */
#ifndef PH_PDL_H
#define PH_PDL_H

#include "port/port.h"

/* Takes the port's PDL, unless there is none or this thread holds it already: then NULL. In the port's lock or with a reference to the port. */
struct ph_pdl *ph_port_pdl_enter(struct ph_port *p);
void ph_port_pdl_leave(struct ph_pdl *pdl); /* NULL ok */
void ph_port_pdl_drop(struct ph_port *p);   /* the port's own reference, at its end */
struct ph_pdl *ph_port_pdl_ref(struct ph_port *p); /* new reference, or NULL if there is none */
long ph_pdl_unref(struct ph_pdl *pdl); /* the references that are left. NULL ok. Any thread, without the PDL: the last one may let the driver go */

/* Access to what a PDL guards: from a callback, or from any thread that holds the PDL. */
struct ph_queue_access {
    struct ph_port *port; /* reference; NULL: refused */
    struct ph_pdl *pdl;   /* taken for this access, or NULL */
};
struct ph_queue_access ph_queue_enter(ErlDrvPort port);
void ph_queue_leave(struct ph_queue_access a);

#endif
