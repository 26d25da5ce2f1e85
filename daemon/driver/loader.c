/* SPDX-License-Identifier: Apache-2.0 */
/* From a file to a driver: dlopen, driver_init, the checks in the VM's order, init(). Called in jobs of the registry's lock, by one thread
 * at a time, on a worker. */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/flood.h"
#include "base/mem.h"
#include "base/thread.h"
#include "check/lock.h"
#include "check/memory.h"
#include "check/image.h"
#include "driver/crashes.h"
#include "driver/driver.h"
#include "driver/entry.h"

#define MAX_OPEN_ERRORS 1000 /* distinct texts that are remembered */
#define FIRST_OPEN_ERROR (-10)

static pthread_mutex_t texts_mu = PTHREAD_MUTEX_INITIALIZER; /* guards texts; a leaf */
static char *texts[MAX_OPEN_ERRORS];
static int text_count;

/* The number that stands for the text; equal texts have equal numbers. */
static int open_error_number(const char *text)
{
    int i;
    pthread_mutex_lock(&texts_mu);
    for (i = 0; i < text_count; i++)
        if (strcmp(texts[i], text) == 0)
            break;
    if (i == text_count && i < MAX_OPEN_ERRORS && (texts[i] = ph_strdup_try(text)))
        text_count++;
    else if (i == text_count)
        i = MAX_OPEN_ERRORS; /* the last number's text has to do */
    pthread_mutex_unlock(&texts_mu);
    return FIRST_OPEN_ERROR - (i < MAX_OPEN_ERRORS ? i : MAX_OPEN_ERRORS - 1);
}

const char *ph_open_error_text(int number)
{
    int i = FIRST_OPEN_ERROR - number;
    pthread_mutex_lock(&texts_mu);
    const char *text = i >= 0 && i < text_count ? texts[i] : NULL;
    pthread_mutex_unlock(&texts_mu);
    return text;
}

void ph_loader_cannot_open(const char *file, const char *text, struct ph_load_error *err)
{
    *err = (struct ph_load_error){.atom = "open_error", .number = open_error_number(text)};
    ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_WARNING, NULL, "driver %s: cannot be opened: %s", file, text);
}

/* dlerror's text without the name of the file that was asked for. */
static int open_failed(const char *file, struct ph_load_error *err)
{
    const char *text = dlerror();
    size_t n = strlen(file);
    if (!text)
        text = "unknown error";
    if (strncmp(text, file, n) == 0 && strncmp(text + n, ": ", 2) == 0)
        text += n + 2;
    ph_loader_cannot_open(file, text, err);
    return -1;
}

static int refuse(const char *file, const char *atom, const char *why, struct ph_load_error *err)
{
    *err = (struct ph_load_error){.atom = atom};
    ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_WARNING, NULL, "driver %s: %s: %s", file, atom, why);
    return -1;
}

static ErlDrvEntry *call_driver_init(void *dl, struct ph_load_error *err, const char *file)
{
    union {
        void *object;
        ErlDrvEntry *(*function)(void);
    } sym;
    sym.object = dlsym(dl, "driver_init");
    if (!sym.object)
        sym.object = dlsym(dl, "_driver_init");
    if (!sym.object) {
        refuse(file, "no_driver_init", "it has no function driver_init", err);
        return NULL;
    }
    ph_self.callback = "driver_init";
    ErlDrvEntry *entry = sym.function();
    ph_self.callback = NULL;
    if (!entry)
        refuse(file, "driver_init_failed", "driver_init returned NULL", err);
    return entry;
}

static int init(ErlDrvEntry *entry)
{
    ph_self.callback = "init";
    int failed = entry->init ? entry->init() : 0;
    if (ph_checking())
        ph_locks_leave();
    ph_self.callback = NULL;
    return failed;
}

/* Destructors are the driver's code, too. */
static void close_object(void *dl, const char *driver)
{
    struct ph_thread outer = ph_self;
    if (ph_checking())
        ph_images_keep();
    ph_self.driver = driver;
    ph_self.callback = "dlclose";
    dlclose(dl);
    if (ph_checking())
        ph_locks_leave();
    ph_self = outer;
}

static bool is_in_object(const void *at)
{
    Dl_info info;
    return dladdr(at, &info) != 0;
}

static int load(struct ph_driver *d, const char *file, struct ph_load_error *err)
{
    void *dl = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!dl)
        return open_failed(file, err);
    ErlDrvEntry *entry = call_driver_init(dl, err, file);
    if (!entry)
        goto fail;
    if (!ph_entry_spoken(entry)) {
        refuse(file, "driver_incorrect_version", "its marker or version is not spoken here", err);
        goto fail;
    }
    if (!entry->driver_name || strcmp(entry->driver_name, d->name) != 0) {
        refuse(file, "bad_driver_name", "it calls itself by another name", err);
        goto fail;
    }
    memset(&d->entry, 0, sizeof d->entry);
    memcpy(&d->entry, entry, ph_entry_size(entry));
    d->watched = ph_checking() && is_in_object(entry) ? entry : NULL;
    if (init(&d->entry) != 0) {
        refuse(file, "driver_init_failed", "its init callback failed", err);
        goto fail;
    }
    d->dl = dl;
    ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_INFO, &(struct ph_where){.driver = d->name}, "loaded from %s", file);
    return 0;
fail:
    close_object(dl, d->name);
    if (ph_checking())
        ph_things_left(d->name);
    return -1;
}

int ph_loader_load(struct ph_driver *d, const char *file, struct ph_load_error *err)
{
    if (ph_crashes_bar(d->name))
        return refuse(file, "driver_crashed", "it has crashed the host too often; porthostctl allow makes it loadable", err);
    ph_self.driver = d->name;
    int result = load(d, file, err);
    ph_self.driver = NULL;
    return result;
}

static void entry_verify(const struct ph_driver *d)
{
    const char *what = d->watched ? ph_entry_difference(d->watched, &d->entry) : NULL;
    if (what)
        ph_violation(PH_VIOLATION_ENTRY_CHANGED, "the driver_entry is not as driver_init returned it: %s is changed", what);
}

static void finish(struct ph_driver *d)
{
    ph_self.driver = d->name;
    ph_self.callback = "finish";
    if (ph_checking())
        entry_verify(d);
    if (d->entry.finish)
        d->entry.finish();
    if (ph_checking())
        ph_locks_leave();
    ph_self.callback = NULL;
    ph_self.driver = NULL;
}

static void close_driver(struct ph_driver *d)
{
    if (d->dl)
        close_object(d->dl, d->name);
    d->dl = NULL;
}

void ph_loader_end(struct ph_driver *d, bool permanent)
{
    finish(d);
    if (!ph_checking())
        return;
    if (!permanent && ph_things_may_be_freed(d->name) && ph_thread_knows_all())
        close_driver(d);
    ph_things_left(d->name);
}

void ph_loader_unload(struct ph_driver *d)
{
    finish(d);
    close_driver(d);
    if (ph_checking())
        ph_things_left(d->name);
    ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_INFO, &(struct ph_where){.driver = d->name}, "unloaded");
}
