/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/api/sync.c: the mutexes, condition variables and read/write locks of drivers. */
#include <erl_driver.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

static ErlDrvMutex *mutex;
static ErlDrvCond *cond;
static ErlDrvRWLock *rwlock;
static int shared;

START_TEST(names_are_copied_and_unknown_by_default)
{
    char name[] = "queue";
    mutex = erl_drv_mutex_create(name);
    cond = erl_drv_cond_create(name);
    rwlock = erl_drv_rwlock_create(name);
    memset(name, '#', 5);
    ck_assert_str_eq(erl_drv_mutex_name(mutex), "queue");
    ck_assert_str_eq(erl_drv_cond_name(cond), "queue");
    ck_assert_str_eq(erl_drv_rwlock_name(rwlock), "queue");
    erl_drv_mutex_destroy(mutex);
    erl_drv_cond_destroy(cond);
    erl_drv_rwlock_destroy(rwlock);
    mutex = erl_drv_mutex_create(NULL);
    ck_assert_str_eq(erl_drv_mutex_name(mutex), "unknown");
    erl_drv_mutex_destroy(mutex);
    ck_assert(erl_drv_mutex_name(NULL) == NULL && erl_drv_cond_name(NULL) == NULL && erl_drv_rwlock_name(NULL) == NULL);
}
END_TEST

START_TEST(trylock_of_a_held_mutex_is_ebusy)
{
    mutex = erl_drv_mutex_create("m");
    ck_assert_int_eq(erl_drv_mutex_trylock(mutex), 0);
    ck_assert_int_eq(erl_drv_mutex_trylock(mutex), EBUSY);
    erl_drv_mutex_unlock(mutex);
    erl_drv_mutex_lock(mutex);
    ck_assert_int_eq(erl_drv_mutex_trylock(mutex), EBUSY);
    erl_drv_mutex_unlock(mutex);
    erl_drv_mutex_destroy(mutex);
}
END_TEST

static void *count(void *p)
{
    for (int i = 0; i < 20000; i++) {
        erl_drv_mutex_lock(mutex);
        shared++;
        erl_drv_mutex_unlock(mutex);
    }
    return p;
}

START_TEST(a_mutex_lets_one_thread_in_at_a_time)
{
    pthread_t t[3];
    mutex = erl_drv_mutex_create("m");
    for (int i = 0; i < 3; i++) {
        pthread_create(&t[i], NULL, count, NULL);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
    }
    ck_assert_int_eq(shared, 60000);
    erl_drv_mutex_destroy(mutex);
}
END_TEST

static void *wait_for_go(void *p)
{
    erl_drv_mutex_lock(mutex);
    shared++;
    while (shared < 100) {
        erl_drv_cond_wait(cond, mutex);
    }
    shared++;
    erl_drv_cond_signal(cond);
    erl_drv_mutex_unlock(mutex);
    return p;
}

START_TEST(waiting_releases_the_mutex_and_a_broadcast_wakes_all)
{
    pthread_t t[3];
    mutex = erl_drv_mutex_create("m");
    cond = erl_drv_cond_create("c");
    for (int i = 0; i < 3; i++) {
        pthread_create(&t[i], NULL, wait_for_go, NULL);
    }
    erl_drv_mutex_lock(mutex);
    while (shared < 3) {
        erl_drv_mutex_unlock(mutex);
        usleep(1000);
        erl_drv_mutex_lock(mutex);
    }
    shared = 100;
    erl_drv_cond_broadcast(cond);
    while (shared < 103) {
        erl_drv_cond_wait(cond, mutex);
    }
    erl_drv_mutex_unlock(mutex);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
    }
    erl_drv_cond_destroy(cond);
    erl_drv_mutex_destroy(mutex);
}
END_TEST

START_TEST(readers_share_and_a_writer_does_not)
{
    rwlock = erl_drv_rwlock_create("rw");
    erl_drv_rwlock_rlock(rwlock);
    ck_assert_int_eq(erl_drv_rwlock_tryrlock(rwlock), 0);
    ck_assert_int_eq(erl_drv_rwlock_tryrwlock(rwlock), EBUSY);
    erl_drv_rwlock_runlock(rwlock);
    erl_drv_rwlock_runlock(rwlock);
    erl_drv_rwlock_rwlock(rwlock);
    ck_assert_int_eq(erl_drv_rwlock_tryrlock(rwlock), EBUSY);
    ck_assert_int_eq(erl_drv_rwlock_tryrwlock(rwlock), EBUSY);
    erl_drv_rwlock_rwunlock(rwlock);
    ck_assert_int_eq(erl_drv_rwlock_tryrwlock(rwlock), 0);
    erl_drv_rwlock_rwunlock(rwlock);
    erl_drv_rwlock_destroy(rwlock);
}
END_TEST

static void *write_once(void *p)
{
    erl_drv_rwlock_rwlock(rwlock);
    shared = 1;
    erl_drv_rwlock_rwunlock(rwlock);
    return p;
}

START_TEST(a_waiting_writer_holds_new_readers_off)
{
    pthread_t writer;
    rwlock = erl_drv_rwlock_create("rw");
    erl_drv_rwlock_rlock(rwlock);
    pthread_create(&writer, NULL, write_once, NULL);
    while (erl_drv_rwlock_tryrlock(rwlock) == 0) {
        erl_drv_rwlock_runlock(rwlock);
        usleep(1000);
    }
    erl_drv_rwlock_runlock(rwlock);
    pthread_join(writer, NULL);
    ck_assert_int_eq(shared, 1);
    erl_drv_rwlock_destroy(rwlock);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("sync");
    TCase *tc = runner_case(s, "sync");
    tcase_add_test(tc, names_are_copied_and_unknown_by_default);
    tcase_add_test(tc, trylock_of_a_held_mutex_is_ebusy);
    tcase_add_test(tc, a_mutex_lets_one_thread_in_at_a_time);
    tcase_add_test(tc, waiting_releases_the_mutex_and_a_broadcast_wakes_all);
    tcase_add_test(tc, readers_share_and_a_writer_does_not);
    tcase_add_test(tc, a_waiting_writer_holds_new_readers_off);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
