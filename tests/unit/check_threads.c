/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/api/threads.c: driver threads, their ids, and thread-specific data. */
#include <erl_driver.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/thread.h"
#include "runner.h"

static ErlDrvTid from_inside;
static enum ph_thread_kind kind;
static char os_name[16];
static size_t stack;

static void *look_around(void *p)
{
    pthread_attr_t attr;
    from_inside = erl_drv_thread_self();
    kind = ph_self.kind;
    pthread_getname_np(pthread_self(), os_name, sizeof os_name);
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstacksize(&attr, &stack);
    pthread_attr_destroy(&attr);
    return p;
}

START_TEST(a_driver_thread_has_its_name_and_gives_its_result)
{
    char name[] = "a name that is long";
    ErlDrvTid tid;
    void *result = NULL;
    ck_assert_int_eq(erl_drv_thread_create(name, &tid, look_around, &tid, NULL), 0);
    memset(name, '#', 6);
    ck_assert_str_eq(erl_drv_thread_name(tid), "a name that is long");
    ck_assert(!erl_drv_equal_tids(tid, erl_drv_thread_self()));
    ErlDrvTid before = tid;
    ck_assert_int_eq(erl_drv_thread_join(tid, &result), 0);
    ck_assert_ptr_eq(result, &tid);
    ck_assert_ptr_eq(from_inside, before);
    ck_assert_int_eq(kind, PH_THREAD_DRIVER);
    ck_assert_str_eq(os_name, "a name that is ");
    ck_assert_ptr_null(erl_drv_thread_name(NULL));
}
END_TEST

static void *leave_early(void *p)
{
    erl_drv_thread_exit(p);
    return NULL;
}

START_TEST(thread_exit_ends_the_thread_with_a_result)
{
    ErlDrvTid tid;
    void *result = NULL;
    ck_assert_int_eq(erl_drv_thread_create(NULL, &tid, leave_early, &result, NULL), 0);
    ck_assert_str_eq(erl_drv_thread_name(tid), "unknown");
    ck_assert_int_eq(erl_drv_thread_join(tid, &result), 0);
    ck_assert_ptr_eq(result, &result);
    ck_assert_int_eq(erl_drv_thread_create("t", &tid, leave_early, NULL, NULL), 0);
    ck_assert_int_eq(erl_drv_thread_join(tid, NULL), 0);
}
END_TEST

static size_t stack_for(int suggested)
{
    ErlDrvThreadOpts *opts = erl_drv_thread_opts_create("opts");
    ck_assert_int_eq(opts->suggested_stack_size, -1);
    opts->suggested_stack_size = suggested;
    ErlDrvTid tid;
    ck_assert_int_eq(erl_drv_thread_create("t", &tid, look_around, NULL, opts), 0);
    erl_drv_thread_opts_destroy(opts);
    ck_assert_int_eq(erl_drv_thread_join(tid, NULL), 0);
    return stack;
}

START_TEST(the_suggested_stack_is_in_kilowords_and_within_limits)
{
    ck_assert_uint_ge(stack_for(INT_MAX), 60u << 20);
    ck_assert_uint_ge(stack_for(4000), 4000u * 1024 * sizeof(void *) - 65536);
    ck_assert_uint_ge(stack_for(-1), 100000);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they need more than that */
    ck_assert_uint_ge(stack_for(0), 16384);
#endif
}
END_TEST

static void *join_myself(void *p)
{
    *(int *)p = erl_drv_thread_join(erl_drv_thread_self(), NULL);
    return NULL;
}

START_TEST(only_driver_threads_and_others_than_oneself_can_be_joined)
{
    ErlDrvTid tid;
    int result = 0;
    ck_assert_int_eq(erl_drv_thread_create("t", &tid, join_myself, &result, NULL), 0);
    ck_assert_int_eq(erl_drv_thread_join(tid, NULL), 0);
    ck_assert_int_eq(result, EDEADLK);
    ck_assert_int_eq(erl_drv_thread_join(erl_drv_thread_self(), NULL), EINVAL);
    ck_assert_int_eq(erl_drv_thread_join(NULL, NULL), EINVAL);
}
END_TEST

START_TEST(a_thread_without_function_or_place_for_its_id_is_refused)
{
    ErlDrvTid tid;
    ck_assert_int_eq(erl_drv_thread_create("t", NULL, look_around, NULL, NULL), EINVAL);
    ck_assert_int_eq(erl_drv_thread_create("t", &tid, NULL, NULL, NULL), EINVAL);
}
END_TEST

static void *foreign(void *p)
{
    ErlDrvTid tid = erl_drv_thread_self();
    ck_assert(erl_drv_equal_tids(tid, erl_drv_thread_self()));
    ck_assert_str_eq(erl_drv_thread_name(tid), "unknown");
    *(ErlDrvTid *)p = tid;
    return NULL;
}

START_TEST(a_foreign_thread_has_a_stable_id_that_is_given_to_a_later_one)
{
    pthread_t t;
    ErlDrvTid mine = erl_drv_thread_self(), first = NULL, second = NULL;
    pthread_create(&t, NULL, foreign, &first);
    pthread_join(t, NULL);
    ck_assert_int_eq(erl_drv_thread_join(first, NULL), EINVAL);
    ck_assert_str_eq(erl_drv_thread_name(first), "unknown");
    ck_assert(!erl_drv_equal_tids(first, mine));
    pthread_create(&t, NULL, foreign, &second);
    pthread_join(t, NULL);
    ck_assert(erl_drv_equal_tids(second, first));
    ck_assert(erl_drv_equal_tids(mine, erl_drv_thread_self()));
}
END_TEST

START_TEST(keys_are_small_and_the_lowest_free_one_is_given)
{
    ErlDrvTSDKey a, b, c;
    ck_assert(erl_drv_tsd_key_create("a", &a) == 0 && erl_drv_tsd_key_create(NULL, &b) == 0);
    ck_assert(a == 1 && b == 2);
    erl_drv_tsd_key_destroy(a);
    ck_assert_int_eq(erl_drv_tsd_key_create("c", &c), 0);
    ck_assert_int_eq(c, a);
    ck_assert_int_eq(erl_drv_tsd_key_create("d", &a), 0);
    ck_assert_int_eq(a, 3);
}
END_TEST

START_TEST(without_a_free_key_the_answer_is_enomem)
{
    ErlDrvTSDKey key;
    int last = 0, err;
    while ((err = erl_drv_tsd_key_create("k", &key)) == 0) {
        last = key;
    }
    ck_assert_int_eq(err, ENOMEM);
    ck_assert_int_eq(key, -1);
    erl_drv_tsd_set(last, &last);
    ck_assert_ptr_eq(erl_drv_tsd_get(last), &last);
    ck_assert_ptr_null(erl_drv_tsd_get(1));
}
END_TEST

static ErlDrvTSDKey keys[40];

static void *set_own_values(void *p)
{
    for (int i = 0; i < 40; i++) {
        ck_assert_ptr_null(erl_drv_tsd_get(keys[i]));
        erl_drv_tsd_set(keys[i], (char *)p + i);
    }
    for (int i = 0; i < 40; i++) {
        ck_assert_ptr_eq(erl_drv_tsd_get(keys[i]), (char *)p + i);
    }
    return p;
}

START_TEST(values_are_per_thread_in_threads_of_any_kind)
{
    static char mine[40], drivers[40], foreigns[40];
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(erl_drv_tsd_key_create("k", &keys[i]), 0);
    }
    ErlDrvTid tid;
    pthread_t t;
    ck_assert_int_eq(erl_drv_thread_create("t", &tid, set_own_values, drivers, NULL), 0);
    pthread_create(&t, NULL, set_own_values, foreigns);
    set_own_values(mine);
    pthread_join(t, NULL);
    ck_assert_int_eq(erl_drv_thread_join(tid, NULL), 0);
    ck_assert_ptr_eq(erl_drv_tsd_get(keys[39]), mine + 39);
    erl_drv_tsd_set(keys[39], NULL);
    ck_assert_ptr_null(erl_drv_tsd_get(keys[39]));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("threads");
    TCase *tc = runner_case(s, "threads");
    tcase_add_test(tc, a_driver_thread_has_its_name_and_gives_its_result);
    tcase_add_test(tc, thread_exit_ends_the_thread_with_a_result);
    tcase_add_test(tc, the_suggested_stack_is_in_kilowords_and_within_limits);
    tcase_add_test(tc, only_driver_threads_and_others_than_oneself_can_be_joined);
    tcase_add_test(tc, a_thread_without_function_or_place_for_its_id_is_refused);
    tcase_add_test(tc, a_foreign_thread_has_a_stable_id_that_is_given_to_a_later_one);
    tcase_add_test(tc, keys_are_small_and_the_lowest_free_one_is_given);
    tcase_add_test(tc, without_a_free_key_the_answer_is_enomem);
    tcase_add_test(tc, values_are_per_thread_in_threads_of_any_kind);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
