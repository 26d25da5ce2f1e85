/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks the rules about locks, threads and thread-specific data, one for each action (probe.h), for the test of the checking mode. */
#include <pthread.h>

#include "probe.h"

static ErlDrvMutex *mutex, *dead;
static ErlDrvRWLock *rwlock;
static ErlDrvCond *cond;
static ErlDrvTSDKey key;

struct offender {
    ErlDrvPort port;
    ErlDrvPDL pdl;
};

static int init(void)
{
    mutex = erl_drv_mutex_create((char *)"mine");
    rwlock = erl_drv_rwlock_create((char *)"mine");
    cond = erl_drv_cond_create((char *)"mine");
    dead = erl_drv_mutex_create((char *)"dead");
    erl_drv_mutex_destroy(dead);
    return erl_drv_tsd_key_create((char *)"mine", &key);
}

static void finish(void)
{
    erl_drv_mutex_destroy(mutex);
    erl_drv_rwlock_destroy(rwlock);
    erl_drv_cond_destroy(cond);
    erl_drv_tsd_key_destroy(key);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct offender *o = driver_alloc(sizeof *o);
    (void)command;
    *o = (struct offender){.port = port, .pdl = driver_pdl_create(port)};
    return (ErlDrvData)o;
}

static void stop(ErlDrvData d)
{
    driver_free((void *)d);
}

static void run(void *(*fn)(void *), void *arg)
{
    ErlDrvTid tid;
    erl_drv_thread_create((char *)"offender", &tid, fn, arg, NULL);
    erl_drv_thread_join(tid, NULL);
}

static void *set_here(void *unused)
{
    erl_drv_tsd_set(key, &key);
    return unused;
}

ACTION(none)
{
    struct offender *o = self;
    run(set_here, NULL); /* the data end with the thread */
    erl_drv_tsd_set(key, a);
    erl_drv_tsd_set(key, o);
    driver_pdl_lock(o->pdl);
    erl_drv_mutex_lock(mutex);
    erl_drv_rwlock_rlock(rwlock);
    erl_drv_rwlock_runlock(rwlock);
    erl_drv_rwlock_rwlock(rwlock);
    say(a, "%d", erl_drv_rwlock_tryrlock(rwlock) != 0);
    erl_drv_rwlock_rwunlock(rwlock);
    say(a, "%d", erl_drv_mutex_trylock(mutex) != 0);
    erl_drv_mutex_unlock(mutex);
    driver_pdl_unlock(o->pdl);
    driver_pdl_inc_refc(o->pdl);
    driver_pdl_dec_refc(o->pdl);
    erl_drv_tsd_set(key, NULL);
}

ACTION(null_mutex)
{
    erl_drv_mutex_lock(NULL);
}

ACTION(dead_mutex)
{
    erl_drv_mutex_lock(dead);
    erl_drv_mutex_unlock(dead);
    erl_drv_mutex_destroy(dead);
}

ACTION(null_cond)
{
    erl_drv_cond_signal(NULL);
}

ACTION(lock_twice)
{
    erl_drv_mutex_lock(mutex);
    erl_drv_mutex_lock(mutex);
    erl_drv_mutex_unlock(mutex);
}

ACTION(read_twice)
{
    erl_drv_rwlock_rlock(rwlock);
    erl_drv_rwlock_rlock(rwlock);
    erl_drv_rwlock_runlock(rwlock);
}

ACTION(pdl_twice)
{
    struct offender *o = self;
    driver_pdl_lock(o->pdl);
    driver_pdl_lock(o->pdl);
    driver_pdl_unlock(o->pdl);
}

ACTION(unlock)
{
    erl_drv_mutex_unlock(mutex);
}

static void *unlock_here(void *unused)
{
    (void)unused;
    erl_drv_mutex_unlock(mutex);
    return NULL;
}

ACTION(unlock_elsewhere)
{
    erl_drv_mutex_lock(mutex);
    run(unlock_here, NULL);
    erl_drv_mutex_unlock(mutex);
}

ACTION(unlock_otherwise)
{
    erl_drv_rwlock_rlock(rwlock);
    erl_drv_rwlock_rwunlock(rwlock);
    erl_drv_rwlock_runlock(rwlock);
}

ACTION(unlock_pdl)
{
    driver_pdl_unlock(((struct offender *)self)->pdl);
}

ACTION(wait_unlocked)
{
    erl_drv_cond_wait(cond, mutex);
}

ACTION(destroy_held)
{
    erl_drv_mutex_lock(mutex);
    erl_drv_mutex_destroy(mutex);
    erl_drv_mutex_unlock(mutex);
}

static void *destroy_here(void *unused)
{
    (void)unused;
    erl_drv_rwlock_destroy(rwlock);
    return NULL;
}

ACTION(destroy_elsewhere)
{
    erl_drv_rwlock_rlock(rwlock);
    run(destroy_here, NULL);
    erl_drv_rwlock_runlock(rwlock);
}

ACTION(leave_locked)
{
    erl_drv_mutex_lock(mutex);
}

/* What leave_locked has left. */
ACTION(unlock_left)
{
    erl_drv_mutex_unlock(mutex);
}

ACTION(leave_pdl)
{
    driver_pdl_lock(((struct offender *)self)->pdl);
}

static void *lock_here(void *unused)
{
    (void)unused;
    erl_drv_mutex_lock(mutex);
    return NULL;
}

ACTION(thread_leaves_locked)
{
    run(lock_here, NULL);
    erl_drv_mutex_unlock(mutex);
}

/* That the host does not know. */
ACTION(foreign_leaves_locked)
{
    pthread_t thread;
    pthread_create(&thread, NULL, lock_here, NULL);
    pthread_join(thread, NULL);
    say(a, "%d", erl_drv_mutex_trylock(mutex));
    erl_drv_mutex_unlock(mutex);
}

static void async_lock(void *unused)
{
    lock_here(unused);
}

ACTION(async_leaves_locked)
{
    driver_async(((struct offender *)self)->port, NULL, async_lock, NULL, NULL);
}

static void slowly(void *unused)
{
    (void)unused;
    usleep(300000);
}

/* The port has ended before, so it is freed. */
ACTION(free_leaves_locked)
{
    driver_async(((struct offender *)self)->port, NULL, slowly, &mutex, async_lock);
}

ACTION(pdl_refcount)
{
    driver_pdl_dec_refc(((struct offender *)self)->pdl);
}

ACTION(leave_pdl_reference)
{
    driver_pdl_inc_refc(((struct offender *)self)->pdl);
}

ACTION(queue_unlocked)
{
    struct offender *o = self;
    driver_enq(o->port, (char *)"x", 1);
    driver_pdl_lock(o->pdl);
    driver_deq(o->port, 1);
    driver_pdl_unlock(o->pdl);
}

ACTION(no_key)
{
    erl_drv_tsd_set(key + 1, a);
    say(a, "%d", erl_drv_tsd_get(0) == NULL);
    erl_drv_tsd_key_destroy(key + 1);
}

ACTION(leave_data)
{
    erl_drv_tsd_set(key, &key);
}

static void async_set(void *unused)
{
    set_here(unused);
}

ACTION(async_leaves_data)
{
    driver_async(((struct offender *)self)->port, NULL, async_set, NULL, NULL);
}

/* What was left is not there for others. */
ACTION(data_left)
{
    say(a, "%s", erl_drv_tsd_get(key) ? "left" : "none");
}

ACTION(destroy_set_key)
{
    ErlDrvTSDKey used;
    erl_drv_tsd_key_create((char *)"used", &used);
    erl_drv_tsd_set(used, &used);
    erl_drv_tsd_key_destroy(used);
}

ACTION(exit_here)
{
    erl_drv_thread_exit(NULL);
}

static void *nothing(void *unused)
{
    return unused;
}

ACTION(join_again)
{
    ErlDrvTid tid;
    erl_drv_thread_create((char *)"offender", &tid, nothing, NULL, NULL);
    erl_drv_thread_join(tid, NULL);
    say(a, "%d", erl_drv_thread_join(tid, NULL) != 0);
}

ACTION(no_thread)
{
    say(a, "%d", erl_drv_equal_tids(erl_drv_thread_self(), NULL));
    erl_drv_thread_opts_destroy(NULL);
}

ACTION(leave_thread)
{
    ErlDrvTid tid;
    erl_drv_thread_create((char *)"left behind", &tid, nothing, NULL, NULL);
}

ACTION(leave_mutex)
{
    dead = erl_drv_mutex_create((char *)"left behind");
}

ACTION(leave_key)
{
    ErlDrvTSDKey left;
    erl_drv_tsd_key_create((char *)"left behind", &left);
}

#define IS(name) {#name, name}
static const struct action actions[] = {
    IS(none), IS(free_leaves_locked), IS(null_mutex), IS(dead_mutex), IS(null_cond), IS(lock_twice), IS(read_twice), IS(pdl_twice), IS(unlock),
    IS(unlock_elsewhere), IS(unlock_otherwise), IS(unlock_pdl), IS(wait_unlocked), IS(destroy_held), IS(destroy_elsewhere), IS(leave_locked),
    IS(unlock_left), IS(leave_pdl), IS(thread_leaves_locked), IS(foreign_leaves_locked),
    IS(async_leaves_locked), IS(pdl_refcount), IS(leave_pdl_reference), IS(queue_unlocked),
    IS(no_key), IS(leave_data), IS(async_leaves_data), IS(data_left), IS(destroy_set_key), IS(exit_here), IS(join_again), IS(no_thread), IS(leave_thread), IS(leave_mutex), IS(leave_key), {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)op;
    return act(actions, (void *)d, buf, len, rbuf, rlen);
}

static ErlDrvEntry entry = {
    PROBE_VERSION,
    .driver_name = "offence_lock_drv",
    .init = init,
    .finish = finish,
    .start = start,
    .stop = stop,
    .control = control,
};

DRIVER_INIT(offence_lock_drv)
{
    return &entry;
}
