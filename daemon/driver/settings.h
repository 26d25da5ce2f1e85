/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says about single drivers, by name. Any thread. */
#ifndef PH_SETTINGS_H
#define PH_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ph_lock_level { PH_LOCK_AS_DECLARED, PH_LOCK_OF_DRIVER };
enum ph_async_keys { PH_KEYS_SHARED, PH_KEYS_OWN };

struct ph_driver_settings {
    char *name;
    char *path;         /* the file, instead of NAME.so in the driver path; or NULL */
    bool preload;
    uint64_t max_ports;
    unsigned lock;       /* enum ph_lock_level */
    unsigned worker;     /* enum ph_run_by (sched.h) */
    unsigned async_keys; /* enum ph_async_keys: of its own, the same key of another driver means another thread */
};

/* Takes the place of all before; copies. */
void ph_driver_settings_set(const struct ph_driver_settings *list, size_t n);
/* Those of the driver, else the defaults. path is a copy, the caller's to free. */
struct ph_driver_settings ph_driver_settings_of(const char *name);

#define PH_DRIVER_PORTS 1000000 /* the default of max_ports */

#endif
