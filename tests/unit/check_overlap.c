/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the assertion in daemon/sched/overlap.h, as callbacks meet it: daemon/port/callback.c is compiled here as a debug build
 * has it. A test that breaks the rule ends by SIGABRT, in its own process. */
#undef PH_DEBUG
#define PH_DEBUG 1
#include "port/callback.c"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "runner.h"

static sem_t begun, go_on;
static struct ph_lock *lock;
static struct ph_driver driver;
static struct ph_port port, sister, stranger; /* two with one lock, one with another */
static int calls;

static void wait_inside(ErlDrvData data)
{
    (void)data;
    sem_post(&begun);
    sem_wait(&go_on);
}

static void count(ErlDrvData data)
{
    (void)data;
    calls++;
}

/* As driver_failure does for the port of the callback that runs. */
static void stop_inside(ErlDrvData data, char *buf, ErlDrvSizeT len)
{
    (void)data;
    (void)buf;
    (void)len;
    ph_callback_stop(ph_self.port);
}

/* As large as it is in a debug build; nothing but the assertion looks at it. */
static struct ph_lock *new_lock(void)
{
    return ph_calloc(1, sizeof(struct ph_lock));
}

static void init_port(struct ph_port *p, struct ph_lock *l)
{
    atomic_init(&p->state, PH_PORT_LIVE);
    atomic_init(&p->lock, l);
    p->driver = &driver;
}

static void prepare(void (*timeout)(ErlDrvData))
{
    sem_init(&begun, 0, 0);
    sem_init(&go_on, 0, 0);
    lock = new_lock();
    driver.entry.timeout = timeout;
    driver.entry.stop = count;
    driver.entry.output = stop_inside;
    init_port(&port, lock);
    init_port(&sister, lock);
    init_port(&stranger, new_lock());
    ph_self.lock = lock;
}

static void *time_out(void *p)
{
    ph_self.lock = ((struct ph_port *)p)->lock;
    ph_callback_timeout(p);
    return NULL;
}

static void *call_stop(void *p)
{
    ph_self.lock = ((struct ph_port *)p)->lock;
    ph_callback_stop(p);
    return NULL;
}

/* While another thread is in a callback of `port`, a third enters one of `second`. */
static void meet(struct ph_port *second)
{
    pthread_t first, third;
    prepare(wait_inside);
    pthread_create(&first, NULL, time_out, &port);
    sem_wait(&begun);
    pthread_create(&third, NULL, call_stop, second);
    pthread_join(third, NULL);
    sem_post(&go_on);
    pthread_join(first, NULL);
}

START_TEST(callbacks_of_one_port_that_overlap_abort)
{
    meet(&port);
}
END_TEST

START_TEST(callbacks_of_two_ports_of_one_lock_that_overlap_abort)
{
    meet(&sister);
}
END_TEST

START_TEST(callbacks_of_two_locks_may_overlap)
{
    meet(&stranger);
    ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(a_callback_outside_of_its_lock_aborts)
{
    prepare(count);
    ph_callback_timeout(&stranger);
}
END_TEST

START_TEST(callbacks_of_one_lock_may_nest_and_follow_each_other_on_different_threads)
{
    pthread_t second;
    prepare(count);
    ph_callback_output(&port, PH_NIL, NULL, 0);
    pthread_create(&second, NULL, time_out, &sister);
    pthread_join(second, NULL);
    ph_callback_timeout(&port);
    ck_assert_int_eq(calls, 3);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("overlap");
    TCase *tc = runner_case(s, "overlap");
    tcase_add_test_raise_signal(tc, callbacks_of_one_port_that_overlap_abort, SIGABRT);
    tcase_add_test_raise_signal(tc, callbacks_of_two_ports_of_one_lock_that_overlap_abort, SIGABRT);
    tcase_add_test(tc, callbacks_of_two_locks_may_overlap);
    tcase_add_test_raise_signal(tc, a_callback_outside_of_its_lock_aborts, SIGABRT);
    tcase_add_test(tc, callbacks_of_one_lock_may_nest_and_follow_each_other_on_different_threads);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
