/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers: what has been loaded, found by name, and how long it must stay. Loading and unloading for users is in ddll.h. */
#ifndef PH_DRIVER_H
#define PH_DRIVER_H

#include <erl_driver.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "driver/counts.h"
#include "driver/settings.h"
#include "sched/sched.h"

LIST_HEAD(ph_users, ph_user);
TAILQ_HEAD(ph_waiters, ph_waiter);
#define PH_DRIVER_WAITS 3 /* enum ph_ddll_when */

enum ph_driver_status {
    PH_DRIVER_OK,
    PH_DRIVER_UNLOAD,       /* no users; unloads when nothing holds it; may still be opened */
    PH_DRIVER_FORCE_UNLOAD, /* the same, its ports were killed; may not be opened */
    PH_DRIVER_RELOAD,       /* as UNLOAD, then loaded again */
    PH_DRIVER_FORCE_RELOAD,
    PH_DRIVER_PERMANENT,
};

struct ph_driver {
    TAILQ_ENTRY(ph_driver) link; /* guarded by the list's mutex, like status and file-less lookups */
    char *name;                  /* own copy: outlives the shared object's */
    ErlDrvEntry entry;           /* copied before init(), as the VM does; fields its version lacks are zero */
    struct ph_lock *lock;        /* reference; also the pace of its ports' locks */
    atomic_int holds;            /* ports + async jobs + port data locks + deferred stop_select + look-ups; drops to 0 only under the list's mutex */
    int pdls;                    /* those that are port data locks; guarded by the list's mutex */
    atomic_int ports;
    unsigned slot;               /* where it counts; set when it is listed */
    enum ph_driver_status status; /* guarded by the list's mutex */
    bool one_lock;          /* these three from its settings: no port locking whatever its flags say */
    unsigned async_offset;  /* its async keys count from here */
    atomic_uint max_ports;
    bool linked_in;         /* add_driver_entry, never unloaded by users; a driver's callback may remove it at any time */
    bool removed;           /* remove_driver_entry: freed with the last hold; guarded by the list's mutex */
    atomic_bool locked;     /* driver_lock_driver: it is permanent, or will be when ddll looks at it next */
    bool kill_ports;        /* given with the first load */
    bool by_host;           /* found in the driver path for an open, not loaded by a user */
    void *dl;               /* NULL if linked_in */
    const ErlDrvEntry *watched; /* in the checking mode: what entry is a copy of, if it lies in a loaded object; else NULL */
    ErlDrvEntry *given;     /* what remove_driver_entry knows it by */
    char *path;             /* directory as the user wrote it, without trailing slashes; "" for by_host */
    char *file;             /* resolved, NULL if linked_in */
    struct ph_users users;  /* these two: only in jobs of the registry's lock (ddll.c) */
    struct ph_waiters waiters[PH_DRIVER_WAITS];
};

static inline bool ph_driver_has_port_locking(const struct ph_driver *d)
{
    return (d->entry.driver_flags & ERL_DRV_FLAG_USE_PORT_LOCKING) && !d->one_lock;
}

/* What went wrong with a load: an atom, or an open_error with its number (see ph_open_error_text). */
struct ph_load_error {
    const char *atom; /* static; "open_error" if number is set */
    int number;       /* <= -10, or 0 */
};

/* The newest driver with that name, with a hold taken, or NULL; for_open: only one that may be opened. Any thread. */
struct ph_driver *ph_driver_find(const char *name, size_t len, bool for_open);
bool ph_driver_may_open(struct ph_driver *d); /* with a hold; any thread */
void ph_driver_hold(struct ph_driver *d);
/* Drops a hold: d may be gone afterwards. With the last one of a driver that is to be unloaded or reloaded, ddll.c is told; one that was removed is freed. Any thread. */
void ph_driver_release(struct ph_driver *d);
/* The same of a port data lock, which a thread of the driver may have longer than there are ports. Any thread. */
void ph_driver_hold_for_pdl(struct ph_driver *d);
void ph_driver_release_for_pdl(struct ph_driver *d);
/* Set once, by ddll.c. Called from any thread; d may be gone already: it is only an address to look for in the list. */
void ph_driver_on_idle(void (*idle)(struct ph_driver *d));
/* driver_lock_driver: it will never be unloaded; for this ddll.c is told as if it were idle. From a callback of one of its ports. */
void ph_driver_lock(struct ph_driver *d);

/* --- for ddll.c and the API; drivers are made and changed only in jobs of the registry's lock, or while init() runs in one --- */

struct ph_driver *ph_driver_new(const char *name);           /* new, not listed, no holds. NULL: no memory */
void ph_driver_free(struct ph_driver *d);
void ph_driver_list(struct ph_driver *d);                    /* in front of all others */
/* Both: false, and nothing done, if something holds it. */
bool ph_driver_unlist_if_idle(struct ph_driver *d);
bool ph_driver_bar_if_idle(struct ph_driver *d); /* for a reload: nothing may open it while its code is changed */
/* One more port, or false if it has as many as it may: any thread, with a hold. atomic_fetch_sub(&d->ports, 1) takes it back. */
bool ph_driver_take_port(struct ph_driver *d);
void ph_drivers_apply_settings(void); /* the settings have changed: those that may change for loaded drivers do */
void ph_driver_set_status(struct ph_driver *d, enum ph_driver_status status);
void ph_driver_each(void (*fn)(struct ph_driver *d, void *arg), void *arg); /* under the list's mutex */
bool ph_driver_is_removed(struct ph_driver *d); /* with a hold */
bool ph_driver_is_listed(const struct ph_driver *d); /* d may be a stale address; false also for those that drivers have added */

/* Linked-in drivers: add_driver_entry and remove_driver_entry. 1 removed, 0 unknown, -1 loaded by ddll. In callbacks of drivers, on any thread: who looks at such a
 * driver has a hold. */
void ph_driver_add_entry(ErlDrvEntry *entry);
int ph_driver_remove_entry(ErlDrvEntry *entry);

/* --- loader.c --- */

/* dlopens file, finds and checks the entry, copies it into d, calls init(). On failure everything is undone and err is set. */
int ph_loader_load(struct ph_driver *d, const char *file, struct ph_load_error *err);
void ph_loader_cannot_open(const char *file, const char *text, struct ph_load_error *err); /* err becomes an open_error with this text */
/* finish(), when the host ends. permanent: it may not be unloaded, which the checking mode does to have its destructors run. */
void ph_loader_end(struct ph_driver *d, bool permanent);
void ph_loader_unload(struct ph_driver *d); /* finish() and dlclose */
/* The text for an open_error number, or NULL; borrowed, immortal. */
const char *ph_open_error_text(int number);

#endif
