/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: mutexes, condition variables and read/write locks. Thin over pthreads; each object is one block of memory,
 * owned by the driver between create and destroy, its name behind it. May be called from any thread. */
#include <erl_driver.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#include "api/misuse.h"
#include "base/mem.h"
#include "check/lock.h"

struct ErlDrvMutex_ {
    pthread_mutex_t lock;
    char name[];
};

struct ErlDrvCond_ {
    pthread_cond_t cond;
    char name[];
};

struct ErlDrvRWLock_ {
    pthread_rwlock_t lock;
    char name[];
};

/* new: room for an object whose name starts at head, the name in place. NULL: out of memory. */
static void *new_named(size_t head, const char *name)
{
    if (name == NULL) {
        name = "unknown";
    }
    size_t len = strlen(name) + 1;
    char *p = ph_alloc_try(head + len);
    if (p != NULL) {
        memcpy(p + head, name, len);
    }
    return p;
}

static void unlock_mutex(void *mtx)
{
    pthread_mutex_unlock(&((ErlDrvMutex *)mtx)->lock);
}

static void unlock_rwlock(void *rwlck)
{
    pthread_rwlock_unlock(&((ErlDrvRWLock *)rwlck)->lock);
}

static void say_how_to_unlock(void)
{
    ph_lock_on_left(PH_THING_MUTEX, unlock_mutex);
    ph_lock_on_left(PH_THING_RWLOCK, unlock_rwlock);
}

static void made(enum ph_thing_kind kind, const void *object, const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, say_how_to_unlock);
    ph_lock_made(kind, object, name);
}

/* What create returns: the object, or NULL with its memory freed when the system refused to make it. */
static void *created(enum ph_thing_kind kind, void *object, const char *name, int err)
{
    if (err == 0) {
        if (ph_checking())
            made(kind, object, name);
        return object;
    }
    ph_free(object);
    return NULL;
}

static void must(const char *function, int err)
{
    if (err != 0) {
        ph_misuse(function, err);
    }
}

static void must_exist(const char *function, const void *object)
{
    must(function, object == NULL ? EINVAL : 0);
}

/* Of a try function: 0 or EBUSY. */
static int tried(const char *function, const void *lock, enum ph_hold how, int err)
{
    if (err != EBUSY) {
        must(function, err);
    } else if (ph_checking()) {
        ph_lock_not_taken(lock, how);
    }
    return err;
}

/* erl_driver(3), erl_drv_mutex_create */
ErlDrvMutex *erl_drv_mutex_create(char *name)
{
    ErlDrvMutex *m = new_named(offsetof(ErlDrvMutex, name), name);
    return m == NULL ? NULL : created(PH_THING_MUTEX, m, name, pthread_mutex_init(&m->lock, NULL));
}

/* Of a destroy function in the checking mode, before the object goes; err: from the system, which refuses if it is held. True: go on. */
static bool may_end(enum ph_thing_kind kind, const void *object, const char *function, int err)
{
    if (err == 0)
        ph_thing_ended(kind, object);
    else
        ph_lock_is_busy(kind, object, function);
    return err == 0;
}

/* erl_driver(3), erl_drv_mutex_destroy */
void erl_drv_mutex_destroy(ErlDrvMutex *mtx)
{
    if (ph_checking() && !ph_lock_may_end(PH_THING_MUTEX, mtx, __func__))
        return;
    must_exist(__func__, mtx);
    int err = pthread_mutex_destroy(&mtx->lock);
    if (ph_checking() && !may_end(PH_THING_MUTEX, mtx, __func__, err))
        return;
    must(__func__, err);
    ph_free(mtx);
}

/* erl_driver(3), erl_drv_mutex_name */
char *erl_drv_mutex_name(ErlDrvMutex *mtx)
{
    return mtx == NULL ? NULL : mtx->name;
}

/* erl_driver(3), erl_drv_mutex_trylock */
int erl_drv_mutex_trylock(ErlDrvMutex *mtx)
{
    if (ph_checking() && !ph_lock_try(PH_THING_MUTEX, mtx, PH_HOLD, __func__))
        return EBUSY;
    must_exist(__func__, mtx);
    return tried(__func__, mtx, PH_HOLD, pthread_mutex_trylock(&mtx->lock));
}

/* erl_driver(3), erl_drv_mutex_lock */
void erl_drv_mutex_lock(ErlDrvMutex *mtx)
{
    if (ph_checking() && !ph_lock_take(PH_THING_MUTEX, mtx, PH_HOLD, __func__))
        return;
    must_exist(__func__, mtx);
    must(__func__, pthread_mutex_lock(&mtx->lock));
}

/* erl_driver(3), erl_drv_mutex_unlock */
void erl_drv_mutex_unlock(ErlDrvMutex *mtx)
{
    if (ph_checking() && !ph_lock_drop(PH_THING_MUTEX, mtx, PH_HOLD, __func__))
        return;
    must_exist(__func__, mtx);
    must(__func__, pthread_mutex_unlock(&mtx->lock));
}

/* erl_driver(3), erl_drv_cond_create */
ErlDrvCond *erl_drv_cond_create(char *name)
{
    ErlDrvCond *c = new_named(offsetof(ErlDrvCond, name), name);
    return c == NULL ? NULL : created(PH_THING_COND, c, name, pthread_cond_init(&c->cond, NULL));
}

/* erl_driver(3), erl_drv_cond_destroy */
void erl_drv_cond_destroy(ErlDrvCond *cnd)
{
    if (ph_checking() && !ph_lock_may_end(PH_THING_COND, cnd, __func__))
        return;
    must_exist(__func__, cnd);
    int err = pthread_cond_destroy(&cnd->cond);
    if (ph_checking() && !may_end(PH_THING_COND, cnd, __func__, err))
        return;
    must(__func__, err);
    ph_free(cnd);
}

/* erl_driver(3), erl_drv_cond_name */
char *erl_drv_cond_name(ErlDrvCond *cnd)
{
    return cnd == NULL ? NULL : cnd->name;
}

/* erl_driver(3), erl_drv_cond_signal */
void erl_drv_cond_signal(ErlDrvCond *cnd)
{
    if (ph_checking() && !ph_lock_is_known(PH_THING_COND, cnd, __func__))
        return;
    must_exist(__func__, cnd);
    must(__func__, pthread_cond_signal(&cnd->cond));
}

/* erl_driver(3), erl_drv_cond_broadcast */
void erl_drv_cond_broadcast(ErlDrvCond *cnd)
{
    if (ph_checking() && !ph_lock_is_known(PH_THING_COND, cnd, __func__))
        return;
    must_exist(__func__, cnd);
    must(__func__, pthread_cond_broadcast(&cnd->cond));
}

/* erl_driver(3), erl_drv_cond_wait */
void erl_drv_cond_wait(ErlDrvCond *cnd, ErlDrvMutex *mtx)
{
    if (ph_checking() && !(ph_lock_is_known(PH_THING_COND, cnd, __func__) && ph_lock_is_held(PH_THING_MUTEX, mtx, __func__)))
        return;
    must_exist(__func__, cnd);
    must_exist(__func__, mtx);
    must(__func__, pthread_cond_wait(&cnd->cond, &mtx->lock));
}

/* A stream of readers must not keep a writer out for ever; in return a thread may not read-lock twice, as documented. */
static int init_rwlock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attr;
    int err = pthread_rwlockattr_init(&attr);
    if (err == 0) {
        pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        err = pthread_rwlock_init(lock, &attr);
        pthread_rwlockattr_destroy(&attr);
    }
    return err;
}

/* erl_driver(3), erl_drv_rwlock_create */
ErlDrvRWLock *erl_drv_rwlock_create(char *name)
{
    ErlDrvRWLock *l = new_named(offsetof(ErlDrvRWLock, name), name);
    return l == NULL ? NULL : created(PH_THING_RWLOCK, l, name, init_rwlock(&l->lock));
}

/* glibc destroys a read/write lock that is held without a word, so whether it is free is tried first. */
static int destroy_rwlock(pthread_rwlock_t *lock)
{
    int err = pthread_rwlock_trywrlock(lock);
    if (err != 0) {
        return err;
    }
    pthread_rwlock_unlock(lock);
    return pthread_rwlock_destroy(lock);
}

/* erl_driver(3), erl_drv_rwlock_destroy */
void erl_drv_rwlock_destroy(ErlDrvRWLock *rwlck)
{
    if (ph_checking() && !ph_lock_may_end(PH_THING_RWLOCK, rwlck, __func__))
        return;
    must_exist(__func__, rwlck);
    int err = destroy_rwlock(&rwlck->lock);
    if (ph_checking() && !may_end(PH_THING_RWLOCK, rwlck, __func__, err))
        return;
    must(__func__, err);
    ph_free(rwlck);
}

/* erl_driver(3), erl_drv_rwlock_name */
char *erl_drv_rwlock_name(ErlDrvRWLock *rwlck)
{
    return rwlck == NULL ? NULL : rwlck->name;
}

/* erl_driver(3), erl_drv_rwlock_tryrlock */
int erl_drv_rwlock_tryrlock(ErlDrvRWLock *rwlck)
{
    if (ph_checking() && !ph_lock_try(PH_THING_RWLOCK, rwlck, PH_HOLD_READ, __func__))
        return EBUSY;
    must_exist(__func__, rwlck);
    return tried(__func__, rwlck, PH_HOLD_READ, pthread_rwlock_tryrdlock(&rwlck->lock));
}

/* erl_driver(3), erl_drv_rwlock_rlock */
void erl_drv_rwlock_rlock(ErlDrvRWLock *rwlck)
{
    if (ph_checking() && !ph_lock_take(PH_THING_RWLOCK, rwlck, PH_HOLD_READ, __func__))
        return;
    must_exist(__func__, rwlck);
    must(__func__, pthread_rwlock_rdlock(&rwlck->lock));
}

/* erl_driver(3), erl_drv_rwlock_runlock */
void erl_drv_rwlock_runlock(ErlDrvRWLock *rwlck)
{
    if (ph_checking() && !ph_lock_drop(PH_THING_RWLOCK, rwlck, PH_HOLD_READ, __func__))
        return;
    must_exist(__func__, rwlck);
    must(__func__, pthread_rwlock_unlock(&rwlck->lock));
}

/* erl_driver(3), erl_drv_rwlock_tryrwlock */
int erl_drv_rwlock_tryrwlock(ErlDrvRWLock *rwlck)
{
    if (ph_checking() && !ph_lock_try(PH_THING_RWLOCK, rwlck, PH_HOLD_WRITE, __func__))
        return EBUSY;
    must_exist(__func__, rwlck);
    return tried(__func__, rwlck, PH_HOLD_WRITE, pthread_rwlock_trywrlock(&rwlck->lock));
}

/* erl_driver(3), erl_drv_rwlock_rwlock */
void erl_drv_rwlock_rwlock(ErlDrvRWLock *rwlck)
{
    if (ph_checking() && !ph_lock_take(PH_THING_RWLOCK, rwlck, PH_HOLD_WRITE, __func__))
        return;
    must_exist(__func__, rwlck);
    must(__func__, pthread_rwlock_wrlock(&rwlck->lock));
}

/* erl_driver(3), erl_drv_rwlock_rwunlock */
void erl_drv_rwlock_rwunlock(ErlDrvRWLock *rwlck)
{
    if (ph_checking() && !ph_lock_drop(PH_THING_RWLOCK, rwlck, PH_HOLD_WRITE, __func__))
        return;
    must_exist(__func__, rwlck);
    must(__func__, pthread_rwlock_unlock(&rwlck->lock));
}
