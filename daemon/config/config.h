/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as it was read: one struct, filled from the file, then from the command line. For main.c, options.c and apply.c; the other rooms are told what
 * concerns them (apply.c). Not shared between threads: who has the struct owns it. */
#ifndef PH_CONFIG_H
#define PH_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "conn/access.h"
#include "driver/settings.h"

#define PH_CONFIG_FILE "/etc/porthost/porthostd.json"
#define PH_AUTO (-1) /* a number of threads: as many as fit the machine */

struct ph_config {
    struct ph_access **listeners; /* a reference each */
    size_t listener_count;
    struct ph_strings driver_path;
    struct ph_driver_settings *drivers;
    size_t driver_count;
    int64_t reactors, workers, async_threads; /* or PH_AUTO */
    uint64_t busy_poll_us;
    uint64_t shutdown_s;
    int64_t reactor_stack_kib, worker_stack_kib, async_stack_kib; /* 0: the system's default */
    uint64_t limits[PH_LIMIT_COUNT];
    char *state_dir;     /* or NULL */
    uint64_t crash_limit, crash_window_s;
    bool check_drivers;
    uint64_t check_callback_ms;
    char *metrics;       /* "HOST:PORT", or NULL: none */
    bool metrics_remote; /* it may be another than a loopback address */
    unsigned log_level;  /* these three: enums of base/log.h */
    unsigned log_format;
    unsigned log_prefix;
};

/* --- file.c --- */

void ph_config_defaults(struct ph_config *c);
/* Defaults, then what the file says. 0; or -1 after a line in the log for each error in the file (file, line, key, what was expected); c is then empty. */
int ph_config_read(struct ph_config *c, const char *file);
void ph_config_clear(struct ph_config *c);
/* A listener with the defaults of the file's, to be completed by the caller: appended, borrowed. */
struct ph_access *ph_config_add_listener(struct ph_config *c);
void ph_config_drop_listeners(struct ph_config *c);

/* --- place.c --- */

/* The first listener at the same place as the n-th one, as far as that can be known; n if it is the only one. */
size_t ph_config_same_place(const struct ph_config *c, size_t n);
/* What is wrong with where it is to listen, with TCP, or with where metrics are to be served (static); or NULL. */
const char *ph_config_wrong_tcp(const struct ph_access *a);
const char *ph_config_wrong_metrics(const struct ph_config *c);
#define PH_NEEDS_REMOTE "not a loopback address; see metrics_remote" /* what a message says if metrics may not be served there: */
bool ph_config_may_serve(const struct sockaddr *at, bool remote);

/* --- apply.c --- */

/* What can change while the daemon runs, but for listeners, becomes so: limits, log, driver path, settings of drivers. Any thread but a reactor's. */
void ph_config_apply(const struct ph_config *c);
/* The same for what is kept of crashes: 0, or -1 with a line in the log. May block. */
int ph_config_apply_state(const struct ph_config *c);
int ph_config_start_threads(const struct ph_config *c); /* 0, or -1 with a line in the log */
int ph_config_preload(const struct ph_config *c);       /* 0, or -1 with a line in the log; waits */
/* Takes over what needs a restart from the one in force, with a line in the log for each key that would have changed. */
void ph_config_keep_fixed(struct ph_config *c, const struct ph_config *in_force);

#endif
