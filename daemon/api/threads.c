/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: threads and thread-specific data. Owns the thread ids, the table of keys, and each thread's values. May be
 * called from any thread, also from one that a driver made with pthreads; ids and values of a thread appear on first use.
 *
 * The id of a driver thread lives until it is joined. That of any other thread goes to a list when the thread ends and is
 * given to a later one: it is never freed, so that a stale id can still be looked at. */
#include <erl_driver.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "api/misuse.h"
#include "base/mem.h"
#include "base/thread.h"
#include "check/lock.h"
#include "port/port.h"

#define NO_NAME "unknown"
#define STACK_WORDS_MIN 4    /* kilowords, as in the VM */
#define STACK_WORDS_MAX 8192 /* likewise */
#define KEYS_MAX 16384

struct ErlDrvTid_ {
    bool joinable; /* made by erl_drv_thread_create */
    pthread_t pthread;
    void *(*func)(void *);
    void *args;
    const char *driver; /* whose thread it is, for the crash log; immortal, or NULL */
    SLIST_ENTRY(ErlDrvTid_) next;
    char name[];
};

/* Ids of ended threads that were not driver threads. */
static SLIST_HEAD(, ErlDrvTid_) ended = SLIST_HEAD_INITIALIZER(ended);
static pthread_mutex_t ended_lock = PTHREAD_MUTEX_INITIALIZER;

/* Key 0 is never given out: the VM has it for itself, so drivers may take 0 for "no key yet". */
static atomic_bool key_used[KEYS_MAX];
static pthread_mutex_t keys_lock = PTHREAD_MUTEX_INITIALIZER; /* creating and destroying; reading needs none */

/* What this thread has; ended_thread gives it back. */
static _Thread_local struct {
    ErlDrvTid tid;
    void **values; /* by key */
    int count;
} mine;

static pthread_key_t at_end;
static pthread_once_t at_end_once = PTHREAD_ONCE_INIT;

static ErlDrvTid new_tid(const char *name)
{
    size_t len = strlen(name) + 1;
    ErlDrvTid tid = ph_alloc_try(sizeof *tid + len);
    if (tid != NULL) {
        *tid = (struct ErlDrvTid_){.joinable = false};
        memcpy(tid->name, name, len);
    }
    return tid;
}

static void ended_thread(void *unused)
{
    (void)unused;
    if (mine.tid != NULL && !mine.tid->joinable) {
        pthread_mutex_lock(&ended_lock);
        SLIST_INSERT_HEAD(&ended, mine.tid, next);
        pthread_mutex_unlock(&ended_lock);
    }
    ph_free(mine.values);
    mine.tid = NULL;
    mine.values = NULL;
    mine.count = 0;
}

static void make_at_end(void)
{
    int err = pthread_key_create(&at_end, ended_thread);
    if (err != 0) {
        ph_fatal("pthread_key_create: %s", strerror(err));
    }
}

/* To be called before `mine` gets something: from then on the end of this thread is noticed. */
static void watch_end(void)
{
    pthread_once(&at_end_once, make_at_end);
    pthread_setspecific(at_end, &mine);
}

static void *thread_main(void *p)
{
    ErlDrvTid tid = p;
    ph_self.kind = PH_THREAD_DRIVER;
    ph_self.driver = tid->driver;
    watch_end();
    mine.tid = tid;
    return tid->func(tid->args);
}

/* In the checking mode, which reports it: true, and the call is not to be done. */
static bool refused(const char *function, const char *why)
{
    if (ph_checking())
        ph_violation(PH_VIOLATION_THREAD_MISUSE, "%s: %s", function, why);
    return ph_checking();
}

/* erl_driver(3), erl_drv_thread_opts_create. The name is the driver's own business. */
ErlDrvThreadOpts *erl_drv_thread_opts_create(char *name)
{
    (void)name;
    ErlDrvThreadOpts *opts = ph_alloc_try(sizeof *opts);
    if (opts != NULL) {
        opts->suggested_stack_size = -1;
    }
    return opts;
}

/* erl_driver(3), erl_drv_thread_opts_destroy */
void erl_drv_thread_opts_destroy(ErlDrvThreadOpts *opts)
{
    if (opts == NULL && refused(__func__, "there are no options"))
        return;
    if (opts == NULL) {
        ph_misuse(__func__, EINVAL);
    }
    ph_free(opts);
}

/* Bytes, 0 for the default. */
static size_t stack_size(const ErlDrvThreadOpts *opts)
{
    if (opts == NULL || opts->suggested_stack_size < 0) {
        return 0;
    }
    size_t words = (size_t)opts->suggested_stack_size;
    words = words < STACK_WORDS_MIN ? STACK_WORDS_MIN : words;
    words = words > STACK_WORDS_MAX ? STACK_WORDS_MAX : words;
    return words * 1024 * sizeof(void *);
}

/* A copy that outlives the driver, as a thread may. */
static const char *running_driver(void)
{
    const char *name = ph_self.port ? ph_self.port->driver->name : ph_self.driver;
    return name ? ph_driver_lasting_name(name) : NULL;
}

/* erl_driver(3), erl_drv_thread_create. *tid is set before the thread runs; after a failure it is undefined. */
int erl_drv_thread_create(char *name, ErlDrvTid *tid, void *(*func)(void *), void *args, ErlDrvThreadOpts *opts)
{
    if (tid == NULL || func == NULL) {
        return EINVAL;
    }
    ErlDrvTid t = new_tid(name == NULL ? NO_NAME : name);
    if (t == NULL) {
        return ENOMEM;
    }
    t->joinable = true;
    t->func = func;
    t->args = args;
    t->driver = running_driver();
    *tid = t;
    if (ph_checking())
        ph_thing_made(PH_THING_THREAD, t, t->name);
    int err = ph_thread_start(&t->pthread, t->name, stack_size(opts), thread_main, t);
    if (err != 0) {
        if (ph_checking())
            ph_thing_ended(PH_THING_THREAD, t);
        ph_free(t);
    }
    return err;
}

static ErlDrvTid other_thread(void)
{
    pthread_mutex_lock(&ended_lock);
    ErlDrvTid tid = SLIST_FIRST(&ended);
    if (tid != NULL) {
        SLIST_REMOVE_HEAD(&ended, next);
    }
    pthread_mutex_unlock(&ended_lock);
    return tid != NULL ? tid : new_tid(NO_NAME);
}

/* erl_driver(3), erl_drv_thread_self */
ErlDrvTid erl_drv_thread_self(void)
{
    if (mine.tid == NULL) {
        watch_end();
        mine.tid = other_thread();
        if (mine.tid == NULL) {
            ph_misuse(__func__, ENOMEM);
        }
    }
    return mine.tid;
}

/* erl_driver(3), erl_drv_equal_tids */
int erl_drv_equal_tids(ErlDrvTid tid1, ErlDrvTid tid2)
{
    if ((tid1 == NULL || tid2 == NULL) && refused(__func__, "there is no such thread"))
        return 0;
    if (tid1 == NULL || tid2 == NULL) {
        ph_misuse(__func__, EINVAL);
    }
    return tid1 == tid2;
}

/* erl_driver(3), erl_drv_thread_name */
char *erl_drv_thread_name(ErlDrvTid tid)
{
    return tid == NULL ? NULL : tid->name;
}

/* erl_driver(3), erl_drv_thread_exit */
void erl_drv_thread_exit(void *resp)
{
    if ((mine.tid == NULL || !mine.tid->joinable) && refused(__func__, "this thread is not the driver's"))
        return;
    if (mine.tid == NULL || !mine.tid->joinable) {
        ph_misuse(__func__, EACCES);
    }
    pthread_exit(resp);
}

static bool may_join(ErlDrvTid tid)
{
    if (!ph_thing_is_known(PH_THING_THREAD, tid))
        return !refused("erl_drv_thread_join", "that is no thread of a driver's, or it has been joined");
    return tid != mine.tid || !refused("erl_drv_thread_join", "a thread cannot join itself");
}

/* erl_driver(3), erl_drv_thread_join */
int erl_drv_thread_join(ErlDrvTid tid, void **respp)
{
    if (ph_checking() && !may_join(tid))
        return EINVAL;
    if (tid == NULL || !tid->joinable) {
        return EINVAL;
    }
    if (tid == mine.tid) {
        return EDEADLK;
    }
    int err = pthread_join(tid->pthread, respp);
    if (err == 0) {
        if (ph_checking())
            ph_thing_ended(PH_THING_THREAD, tid);
        ph_free(tid);
    }
    return err;
}

/* By which the checking mode knows it. */
static const void *key_address(ErlDrvTSDKey key)
{
    return (const void *)(uintptr_t)key;
}

static bool key_refused(const char *function, const char *why)
{
    if (ph_checking())
        ph_violation(PH_VIOLATION_TSD_KEY, "%s: %s", function, why);
    return ph_checking();
}

static void clear_left(void *key)
{
    mine.values[(uintptr_t)key] = NULL;
}

static void say_how_to_clear(void)
{
    ph_lock_on_left(PH_THING_KEY, clear_left);
}

static void key_made(ErlDrvTSDKey key, const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, say_how_to_clear);
    ph_thing_made(PH_THING_KEY, key_address(key), name);
}

/* erl_driver(3), erl_drv_tsd_key_create. The name is for reports. */
int erl_drv_tsd_key_create(char *name, ErlDrvTSDKey *key)
{
    if (key == NULL && key_refused(__func__, "there is no place for the key"))
        return EINVAL;
    if (key == NULL) {
        ph_misuse(__func__, EINVAL);
    }
    int k = 1;
    pthread_mutex_lock(&keys_lock);
    while (k < KEYS_MAX && atomic_load_explicit(&key_used[k], memory_order_relaxed)) {
        k++;
    }
    if (k < KEYS_MAX) {
        atomic_store_explicit(&key_used[k], true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&keys_lock);
    *key = k < KEYS_MAX ? k : -1;
    if (ph_checking() && k < KEYS_MAX)
        key_made(k, name);
    return k < KEYS_MAX ? 0 : ENOMEM;
}

/* Relaxed: whoever uses a key learned of it from its creator, by means that order more than this flag. */
static bool is_key(ErlDrvTSDKey key)
{
    return key >= 1 && key < KEYS_MAX && atomic_load_explicit(&key_used[key], memory_order_relaxed);
}

/* False: reported, in the checking mode. */
static bool must_be_key(const char *function, ErlDrvTSDKey key)
{
    if (is_key(key))
        return true;
    if (!key_refused(function, "there is no such key"))
        ph_misuse(function, EINVAL);
    return false;
}

/* erl_driver(3), erl_drv_tsd_key_destroy. Values are not cleared: they show again under the next key of that number. */
void erl_drv_tsd_key_destroy(ErlDrvTSDKey key)
{
    pthread_mutex_lock(&keys_lock);
    bool found = must_be_key(__func__, key);
    if (found)
        atomic_store_explicit(&key_used[key], false, memory_order_relaxed);
    pthread_mutex_unlock(&keys_lock);
    if (found && ph_checking())
        ph_tsd_destroyed(key_address(key), __func__);
}

static void make_room_for(const char *function, ErlDrvTSDKey key)
{
    int count = key < 8 ? 8 : key * 2;
    watch_end();
    void **values = ph_realloc_try(mine.values, (size_t)count * sizeof *values);
    if (values == NULL) {
        ph_misuse(function, ENOMEM);
    }
    memset(values + mine.count, 0, (size_t)(count - mine.count) * sizeof *values);
    mine.values = values;
    mine.count = count;
}

/* erl_driver(3), erl_drv_tsd_set */
void erl_drv_tsd_set(ErlDrvTSDKey key, void *data)
{
    if (!must_be_key(__func__, key))
        return;
    if (key >= mine.count) {
        make_room_for(__func__, key);
    }
    mine.values[key] = data;
    if (ph_checking())
        ph_tsd_set(key_address(key), data != NULL, __func__);
}

/* erl_driver(3), erl_drv_tsd_get */
void *erl_drv_tsd_get(ErlDrvTSDKey key)
{
    return must_be_key(__func__, key) && key < mine.count ? mine.values[key] : NULL;
}
