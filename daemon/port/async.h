/* SPDX-License-Identifier: Apache-2.0 */
/* driver_async: a port's jobs for the async threads. */
#ifndef PH_PORT_ASYNC_H
#define PH_PORT_ASYNC_H

#include "port/port.h"

/* In the port's lock. The job's id; 0 without async threads, when everything has been done before it returns. */
long ph_port_async(struct ph_port *p, unsigned *key, void (*invoke)(void *), void *data, void (*free_fn)(void *));
/* Any thread. Takes back a job that has not begun and frees its data: 1, else 0. */
int ph_port_async_cancel(long id);
/* Jobs that have been given to the threads and have not come to their end, ready_async included. Any thread. */
size_t ph_port_async_count(void);

#endif
