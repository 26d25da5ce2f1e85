/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where a driver's callbacks are invoked. In the port's lock. Each of them ends with ph_port_check_flushed, so the port may be dead
 * afterwards (the struct is the caller's by a reference). A missing callback does what SEMANTICS says for it. */
#ifndef PH_CALLBACK_H
#define PH_CALLBACK_H

#include "port/port.h"

ErlDrvData ph_callback_start(struct ph_port *p, char *command, int *saved_errno); /* command: the driver may write into it */
void ph_callback_stop(struct ph_port *p);
void ph_callback_flush(struct ph_port *p);
void ph_callback_output(struct ph_port *p, ErlDrvTermData caller, char *buf, size_t len);
void ph_callback_outputv(struct ph_port *p, ErlDrvTermData caller, ErlIOVec *ev);
ErlDrvSSizeT ph_callback_control(struct ph_port *p, ErlDrvTermData caller, unsigned op, char *buf, size_t len, char **rbuf, size_t rlen);
ErlDrvSSizeT ph_callback_call(struct ph_port *p, ErlDrvTermData caller, unsigned op, char *buf, size_t len, char **rbuf, size_t rlen, unsigned *flags);
void ph_callback_timeout(struct ph_port *p);
void ph_callback_ready(struct ph_port *p, int fd, bool output); /* ready_output or ready_input */
bool ph_callback_ready_async(struct ph_port *p, void *thread_data); /* false: the driver has none */
void ph_callback_process_exit(struct ph_port *p, ErlDrvMonitor *monitor);
void ph_callback_refused(struct ph_port *p, const char *callback, bool exists); /* logs why a control or call is answered badarg: not there, or bad data */
/* These two are of no port; any host thread. */
void ph_callback_stop_select(struct ph_driver *d, int fd);
void ph_callback_async_free(struct ph_driver *d, void (*free_fn)(void *), void *data);

#endif
