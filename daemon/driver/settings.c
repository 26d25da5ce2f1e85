/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of drivers that have some. */
#include "driver/settings.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards both; a leaf */
static struct ph_driver_settings *all;
static size_t count;

static void clear(void)
{
    for (size_t i = 0; i < count; i++) {
        ph_free(all[i].name);
        ph_free(all[i].path);
    }
    ph_free(all);
}

void ph_driver_settings_set(const struct ph_driver_settings *list, size_t n)
{
    pthread_mutex_lock(&mu);
    clear();
    all = ph_calloc(n, sizeof *all);
    count = n;
    for (size_t i = 0; i < n; i++) {
        all[i] = list[i];
        all[i].name = ph_strdup(list[i].name);
        all[i].path = list[i].path ? ph_strdup(list[i].path) : NULL;
    }
    pthread_mutex_unlock(&mu);
}

struct ph_driver_settings ph_driver_settings_of(const char *name)
{
    struct ph_driver_settings s = {.max_ports = PH_DRIVER_PORTS};
    pthread_mutex_lock(&mu);
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].name, name) == 0) {
            s = all[i];
            s.path = s.path ? ph_strdup(s.path) : NULL;
        }
    pthread_mutex_unlock(&mu);
    s.name = NULL;
    return s;
}
