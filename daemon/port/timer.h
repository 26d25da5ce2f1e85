/* SPDX-License-Identifier: Apache-2.0 */
/* A port's one timer. In the port's lock. */
#ifndef PH_TIMER_H
#define PH_TIMER_H

#include "port/port.h"

int ph_timer_set(struct ph_port *p, unsigned long ms); /* replaces the old one. -1: no memory, and none is set */
void ph_timer_cancel(struct ph_port *p);                /* no timeout() follows, also if it has expired and waits */
unsigned long ph_timer_left(struct ph_port *p);         /* ms; 0: none, or expired */
void ph_timer_free(struct ph_timer *t);                 /* with the port; NULL ok */

#endif
