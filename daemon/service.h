/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager (systemd) is told, if there is one and this process is a service of it (NOTIFY_SOCKET): ready, reloading, stopping,
 * a line of status, and, if it asks for it (WATCHDOG_USEC), that the reactors live. Without one, nothing of this does anything. */
#ifndef PH_SERVICE_H
#define PH_SERVICE_H

#include <stdbool.h>

/* Connections can be made. Starts the thread that goes on telling; on the main thread, when the reactors can be posted to. 0, or -1 with a line in the log. */
int ph_service_start(void);
void ph_service_reloading(void); /* any thread but a reactor's, for it may block; ph_service_ready ends it */
void ph_service_ready(void);     /* the same */
/* The end has begun and may take so many seconds. Any thread, does not block. */
void ph_service_stopping(unsigned seconds);
void ph_service_end(void); /* joins the thread: before the reactors are taken down */

#endif
