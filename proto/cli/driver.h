/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and unloading of drivers, for the commands and for ports whose driver is not there yet. */
#ifndef PH_CLI_DRIVER_H
#define PH_CLI_DRIVER_H

#include "args.h"
#include "host/session.h"

/* Appends a reference of ours to the request that is being built, another one for each request. */
void ph_driver_put_ref(struct ph_session *s);

/* path without text: the host looks in its driver path. The value is the reply's, borrowed until the next call. */
enum ph_result ph_driver_load(struct ph_session *s, struct ph_text path, struct ph_text name, struct ph_slice *value);
enum ph_result ph_driver_unload(struct ph_session *s, struct ph_text name, struct ph_slice *value);

/* Replaces the loaded driver by what the file is now; waits until its ports are closed. Appended to value: `loaded`, or the
 * reason of an error. */
enum ph_result ph_driver_reload(struct ph_session *s, struct ph_text path, struct ph_text name, struct ph_wbuf *value);

/* Writes the reason why loading failed to stderr, with the host's words for it. */
void ph_driver_explain(struct ph_session *s, const char *what, struct ph_slice reason);

#endif
