/* SPDX-License-Identifier: Apache-2.0 */
/* The list of drivers, their holds, and the ones that drivers add themselves. */
#include "driver/driver.h"

#include <pthread.h>
#include <string.h>

#include "base/counters.h"
#include "base/log.h"
#include "base/mem.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards the list and every driver's status; taken before nothing but log */
static TAILQ_HEAD(, ph_driver) drivers = TAILQ_HEAD_INITIALIZER(drivers);
static void (*on_idle)(struct ph_driver *d);

/* FNV-1a: spreads drivers over the async threads. */
static unsigned hash(const char *name)
{
    unsigned h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

static void apply_settings(struct ph_driver *d)
{
    struct ph_driver_settings s = ph_driver_settings_of(d->name);
    ph_free(s.path);
    d->one_lock = s.lock == PH_LOCK_OF_DRIVER;
    d->async_offset = s.async_keys == PH_KEYS_OWN ? hash(d->name) : 0;
    atomic_init(&d->max_ports, (unsigned)s.max_ports);
    if (s.worker != PH_RUN_BY_PACE)
        ph_lock_run_by(d->lock, s.worker);
}

struct ph_driver *ph_driver_new(const char *name)
{
    struct ph_driver *d = ph_calloc_try(1, sizeof *d);
    if (!d || !(d->name = ph_strdup_try(name))) {
        ph_free(d);
        return NULL;
    }
    d->lock = ph_lock_new(ph_reactor_first(), NULL);
    apply_settings(d);
    LIST_INIT(&d->users);
    for (int i = 0; i < PH_DRIVER_WAITS; i++)
        TAILQ_INIT(&d->waiters[i]);
    return d;
}

void ph_driver_free(struct ph_driver *d)
{
    ph_lock_unref(d->lock);
    ph_free(d->name);
    ph_free(d->path);
    ph_free(d->file);
    ph_free(d);
}

void ph_driver_list(struct ph_driver *d)
{
    d->slot = ph_driver_slot(d->name);
    pthread_mutex_lock(&mu);
    TAILQ_INSERT_HEAD(&drivers, d, link);
    pthread_mutex_unlock(&mu);
}

static bool may_open(const struct ph_driver *d)
{
    return d->status != PH_DRIVER_FORCE_UNLOAD && d->status != PH_DRIVER_FORCE_RELOAD;
}

bool ph_driver_may_open(struct ph_driver *d)
{
    pthread_mutex_lock(&mu);
    bool yes = may_open(d);
    pthread_mutex_unlock(&mu);
    return yes;
}

struct ph_driver *ph_driver_find(const char *name, size_t len, bool for_open)
{
    struct ph_driver *d;
    pthread_mutex_lock(&mu);
    TAILQ_FOREACH(d, &drivers, link)
        if (strlen(d->name) == len && memcmp(d->name, name, len) == 0)
            break;
    if (d && for_open && !may_open(d))
        d = NULL;
    if (d)
        ph_driver_hold(d);
    pthread_mutex_unlock(&mu);
    return d;
}

void ph_driver_hold(struct ph_driver *d)
{
    atomic_fetch_add_explicit(&d->holds, 1, memory_order_relaxed);
}

/* pdls: how many of the port data locks it is. */
static void drop_hold(struct ph_driver *d, int pdls)
{
    pthread_mutex_lock(&mu);
    d->pdls -= pdls;
    bool last = atomic_fetch_sub_explicit(&d->holds, 1, memory_order_acq_rel) == 1;
    bool gone = last && d->removed, idle = last && !gone && d->status != PH_DRIVER_OK;
    pthread_mutex_unlock(&mu);
    if (gone)
        ph_driver_free(d);
    else if (idle)
        on_idle(d);
}

void ph_driver_release(struct ph_driver *d)
{
    int holds = atomic_load_explicit(&d->holds, memory_order_relaxed);
    while (holds > 1)
        if (atomic_compare_exchange_weak_explicit(&d->holds, &holds, holds - 1, memory_order_release, memory_order_relaxed))
            return;
    drop_hold(d, 0); /* the last one goes under the mutex: a driver is freed only by who saw 0 there, so d is whole until the unlock */
}

void ph_driver_hold_for_pdl(struct ph_driver *d)
{
    pthread_mutex_lock(&mu);
    d->pdls++;
    ph_driver_hold(d);
    pthread_mutex_unlock(&mu);
}

void ph_driver_release_for_pdl(struct ph_driver *d)
{
    drop_hold(d, 1);
}

void ph_driver_lock(struct ph_driver *d)
{
    if (atomic_exchange(&d->locked, true))
        return;
    ph_driver_hold(d); /* never released */
    on_idle(d);
}

void ph_driver_on_idle(void (*idle)(struct ph_driver *d))
{
    on_idle = idle;
}

bool ph_driver_unlist_if_idle(struct ph_driver *d)
{
    pthread_mutex_lock(&mu);
    bool idle = atomic_load_explicit(&d->holds, memory_order_acquire) == 0;
    if (idle)
        TAILQ_REMOVE(&drivers, d, link);
    pthread_mutex_unlock(&mu);
    return idle;
}

bool ph_driver_bar_if_idle(struct ph_driver *d)
{
    pthread_mutex_lock(&mu);
    bool idle = atomic_load_explicit(&d->holds, memory_order_acquire) == 0;
    if (idle)
        d->status = PH_DRIVER_FORCE_RELOAD;
    pthread_mutex_unlock(&mu);
    return idle;
}

void ph_driver_set_status(struct ph_driver *d, enum ph_driver_status status)
{
    pthread_mutex_lock(&mu);
    d->status = status;
    pthread_mutex_unlock(&mu);
}

void ph_driver_each(void (*fn)(struct ph_driver *d, void *arg), void *arg)
{
    struct ph_driver *d;
    pthread_mutex_lock(&mu);
    TAILQ_FOREACH(d, &drivers, link)
        fn(d, arg);
    pthread_mutex_unlock(&mu);
}

bool ph_driver_is_removed(struct ph_driver *d)
{
    pthread_mutex_lock(&mu);
    bool removed = d->removed;
    pthread_mutex_unlock(&mu);
    return removed;
}

bool ph_driver_is_listed(const struct ph_driver *wanted)
{
    struct ph_driver *d;
    pthread_mutex_lock(&mu);
    TAILQ_FOREACH(d, &drivers, link)
        if (d == wanted)
            break;
    bool listed = d && !d->linked_in;
    pthread_mutex_unlock(&mu);
    return listed;
}

bool ph_driver_take_port(struct ph_driver *d)
{
    if (atomic_fetch_add(&d->ports, 1) < (int)atomic_load_explicit(&d->max_ports, memory_order_relaxed))
        return true;
    atomic_fetch_sub(&d->ports, 1);
    ph_count(PH_COUNT_DRIVER_PORTS, 1);
    return false;
}

static void apply_max_ports(struct ph_driver *d, void *arg)
{
    struct ph_driver_settings s = ph_driver_settings_of(d->name);
    (void)arg;
    ph_free(s.path);
    atomic_store_explicit(&d->max_ports, (unsigned)s.max_ports, memory_order_relaxed);
}

void ph_drivers_apply_settings(void)
{
    ph_driver_each(apply_max_ports, NULL);
}

/* Out of the list, with a hold: it is freed with the last one. */
static void remove_locked(struct ph_driver *d)
{
    TAILQ_REMOVE(&drivers, d, link);
    d->removed = true;
}

static void remove_once(struct ph_driver *d)
{
    pthread_mutex_lock(&mu);
    if (!d->removed)
        remove_locked(d);
    pthread_mutex_unlock(&mu);
}

void ph_driver_add_entry(ErlDrvEntry *entry)
{
    struct ph_driver *d = ph_driver_new(entry->driver_name);
    if (!d)
        ph_fatal("out of memory for a driver"); /* add_driver_entry has no way to say so */
    d->entry = *entry;
    d->given = entry;
    d->linked_in = true;
    ph_driver_hold(d); /* init(), or another thread, may remove it */
    ph_driver_list(d);
    if (entry->init && entry->init() != 0)
        remove_once(d);
    ph_driver_release(d);
}

int ph_driver_remove_entry(ErlDrvEntry *entry)
{
    struct ph_driver *d;
    int result = 0;
    pthread_mutex_lock(&mu);
    TAILQ_FOREACH(d, &drivers, link)
        if (d->given == entry || strcmp(d->name, entry->driver_name) == 0)
            break;
    if (d && d->linked_in) {
        ph_driver_hold(d);
        remove_locked(d);
        result = 1;
    } else if (d) {
        result = -1;
    }
    pthread_mutex_unlock(&mu);
    if (result == 1)
        ph_driver_release(d);
    return result;
}
