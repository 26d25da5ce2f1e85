/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics for Prometheus over HTTP, served by a thread of its own: no reactor takes part. */
#ifndef PH_METRICS_H
#define PH_METRICS_H

#include <stdbool.h>

struct evbuffer;

/* From now on metrics are served at that address, "HOST:PORT", and nowhere else; NULL: nowhere. remote: it need not be a loopback address. 0; or -1 with a
 * line in the log, then all stays as it was. One thread at a time; may block (names, the end of the thread that served before). */
int ph_metrics_serve(const char *address, bool remote);
void ph_metrics_ending(void); /* the daemon ends: it is not healthy any more. Any thread */

/* --- page.c --- */

/* Writes all metrics in Prometheus' text format. Any thread but a reactor's; takes time only for each driver's name and thread, not for ports. */
void ph_metrics_page(struct evbuffer *out);

#endif
