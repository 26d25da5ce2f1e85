/* SPDX-License-Identifier: Apache-2.0 */
/* From the struct to the rooms it concerns. For main.c and reload.c. */
#include <string.h>
#include <unistd.h>

#include "config/keys.h"
#include "driver/crashes.h"
#include "driver/ddll.h"
#include "driver/path.h"
#include "port/misuse.h"
#include "sched/sched.h"

#define MAX_AUTO_REACTORS 4

void ph_config_apply(const struct ph_config *c)
{
    for (int i = 0; i < PH_LIMIT_COUNT; i++)
        ph_limit_set((enum ph_limit)i, c->limits[i]);
    ph_log_set_level((enum ph_log_level)c->log_level);
    ph_log_set_format((enum ph_log_format)c->log_format, (enum ph_log_prefix)c->log_prefix);
    ph_driver_path_set(&c->driver_path);
    ph_driver_settings_set(c->drivers, c->driver_count);
    ph_drivers_apply_settings();
    ph_slow_limit(c->check_callback_ms);
}

int ph_config_apply_state(const struct ph_config *c)
{
    return ph_crashes_set(c->state_dir, c->crash_limit, c->crash_window_s);
}

static unsigned threads(int64_t wanted, unsigned fitting)
{
    return wanted == PH_AUTO ? fitting : (unsigned)wanted;
}

int ph_config_start_threads(const struct ph_config *c)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = cpus < 1 ? 1 : (unsigned)cpus;
    ph_reactors_poll((unsigned)c->busy_poll_us, n);
    int err = ph_reactors_start(threads(c->reactors, n < MAX_AUTO_REACTORS ? n : MAX_AUTO_REACTORS), (size_t)c->reactor_stack_kib * 1024);
    if (!err)
        err = ph_workers_start(threads(c->workers, n), (size_t)c->worker_stack_kib * 1024);
    if (!err)
        err = ph_async_start(threads(c->async_threads, n), (size_t)c->async_stack_kib * 1024);
    if (err)
        ph_log(PH_LOG_ERROR, NULL, "cannot start threads: %s", strerror(err));
    return err ? -1 : 0;
}

int ph_config_preload(const struct ph_config *c)
{
    for (size_t i = 0; i < c->driver_count; i++)
        if (c->drivers[i].preload && ph_ddll_preload(c->drivers[i].name))
            return -1;
    return 0;
}

void ph_config_keep_fixed(struct ph_config *c, const struct ph_config *in_force)
{
    for (size_t i = 0; i < ph_key_count; i++) {
        const struct ph_key *key = &ph_keys[i];
        void *to = (char *)c + key->offset;
        const void *old = (const char *)in_force + key->offset;
        if (!key->restart || key->type == PH_TYPE_SECTION || ph_value_equal(key, to, old))
            continue;
        ph_log(PH_LOG_WARNING, NULL, "%s%s has changed: that needs a restart", ph_section_prefix(key->section), key->name);
        memcpy(to, old, ph_value_size(key));
    }
}
