/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/api/clock.c: the time functions of drivers. */
#include <erl_driver.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "base/thread.h"
#include "runner.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* driver_get_now */

static const ErlDrvTimeUnit no_units[] = {(ErlDrvTimeUnit)-1, (ErlDrvTimeUnit)4};

START_TEST(conversion_rounds_towards_minus_infinity)
{
    static const struct {
        ErlDrvTime val;
        ErlDrvTimeUnit from, to;
        ErlDrvTime result;
    } cases[] = {
        {-1, ERL_DRV_MSEC, ERL_DRV_SEC, -1},
        {-1000, ERL_DRV_MSEC, ERL_DRV_SEC, -1},
        {-1001, ERL_DRV_MSEC, ERL_DRV_SEC, -2},
        {1999, ERL_DRV_MSEC, ERL_DRV_SEC, 1},
        {-1500000001, ERL_DRV_NSEC, ERL_DRV_USEC, -1500001},
        {7, ERL_DRV_USEC, ERL_DRV_USEC, 7},
        {-3, ERL_DRV_SEC, ERL_DRV_NSEC, -3000000000},
        {INT64_MAX, ERL_DRV_NSEC, ERL_DRV_SEC, 9223372036},
        {INT64_MIN, ERL_DRV_NSEC, ERL_DRV_SEC, -9223372037},
        {INT64_MAX, ERL_DRV_SEC, ERL_DRV_NSEC, -1000000000}, /* wraps */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(erl_drv_convert_time_unit(cases[i].val, cases[i].from, cases[i].to), cases[i].result);
    }
}
END_TEST

START_TEST(an_unknown_unit_is_an_error)
{
    ph_self.kind = PH_THREAD_REACTOR;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(erl_drv_convert_time_unit(1, no_units[i], ERL_DRV_SEC), ERL_DRV_TIME_ERROR);
        ck_assert_int_eq(erl_drv_convert_time_unit(1, ERL_DRV_SEC, no_units[i]), ERL_DRV_TIME_ERROR);
        ck_assert_int_eq(erl_drv_monotonic_time(no_units[i]), ERL_DRV_TIME_ERROR);
        ck_assert_int_eq(erl_drv_time_offset(no_units[i]), ERL_DRV_TIME_ERROR);
    }
}
END_TEST

START_TEST(clocks_are_read_in_host_threads_only)
{
    static const enum ph_thread_kind kinds[] = {PH_THREAD_FOREIGN, PH_THREAD_ASYNC, PH_THREAD_DRIVER};
    for (int i = 0; i < 3; i++) {
        ph_self.kind = kinds[i];
        ck_assert_int_eq(erl_drv_monotonic_time(ERL_DRV_SEC), ERL_DRV_TIME_ERROR);
        ck_assert_int_eq(erl_drv_time_offset(ERL_DRV_SEC), ERL_DRV_TIME_ERROR);
    }
    ph_self.kind = PH_THREAD_WORKER;
    ck_assert_int_ne(erl_drv_monotonic_time(ERL_DRV_SEC), ERL_DRV_TIME_ERROR);
}
END_TEST

START_TEST(monotonic_time_and_offset_make_system_time)
{
    ph_self.kind = PH_THREAD_REACTOR;
    ErlDrvTime before = erl_drv_monotonic_time(ERL_DRV_NSEC);
    ErlDrvTime system = before + erl_drv_time_offset(ERL_DRV_NSEC);
    ErlDrvTime after = erl_drv_monotonic_time(ERL_DRV_NSEC);
    ck_assert_int_le(before, after);
    ErlDrvTime difference = system / 1000000000 - time(NULL);
    ck_assert(difference >= -2 && difference <= 2);
    ErlDrvTime ms = erl_drv_monotonic_time(ERL_DRV_MSEC);
    ck_assert(ms >= after / 1000000 && ms < after / 1000000 + 10000);
}
END_TEST

START_TEST(the_offset_does_not_jitter)
{
    ph_self.kind = PH_THREAD_REACTOR;
    ErlDrvTime offset = erl_drv_time_offset(ERL_DRV_NSEC);
    for (int i = 0; i < 10000; i++) {
        ck_assert_int_eq(erl_drv_time_offset(ERL_DRV_NSEC), offset);
    }
}
END_TEST

static int64_t now_us(void)
{
    ErlDrvNowData now;
    ck_assert_int_eq(driver_get_now(&now), 0);
    ck_assert(now.secs < 1000000 && now.microsecs < 1000000);
    return (int64_t)(now.megasecs * 1000000 + now.secs) * 1000000 + (int64_t)now.microsecs;
}

#define READINGS 20000
static int64_t readings[2][READINGS];

static void *read_now(void *p)
{
    int64_t *r = p;
    for (int i = 0; i < READINGS; i++) {
        r[i] = now_us();
    }
    return p;
}

START_TEST(now_increases_strictly_and_no_two_threads_get_the_same)
{
    pthread_t t;
    pthread_create(&t, NULL, read_now, readings[0]);
    read_now(readings[1]);
    pthread_join(t, NULL);
    int j = 0;
    for (int i = 1; i < READINGS; i++) {
        ck_assert(readings[0][i] > readings[0][i - 1] && readings[1][i] > readings[1][i - 1]);
        while (j < READINGS && readings[1][j] < readings[0][i]) {
            j++;
        }
        ck_assert(j == READINGS || readings[1][j] != readings[0][i]);
    }
    int64_t difference = now_us() / 1000000 - time(NULL);
    ck_assert(difference >= -2 && difference <= 2);
    ck_assert_int_eq(driver_get_now(NULL), -1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("clock");
    TCase *tc = runner_case(s, "clock");
    tcase_add_test(tc, conversion_rounds_towards_minus_infinity);
    tcase_add_test(tc, an_unknown_unit_is_an_error);
    tcase_add_test(tc, clocks_are_read_in_host_threads_only);
    tcase_add_test(tc, monotonic_time_and_offset_make_system_time);
    tcase_add_test(tc, the_offset_does_not_jitter);
    tcase_add_test(tc, now_increases_strictly_and_no_two_threads_get_the_same);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
