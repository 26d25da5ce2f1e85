/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/driver/counts: sums over threads of the host and of drivers, gauges, more names than slots, buckets. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "driver/counts.h"
#include "runner.h"

#define THREADS 4
#define TIMES 20000u

static unsigned slot;

static uint64_t sum(unsigned of, unsigned count)
{
    uint64_t sums[PH_DRIVER_COUNT_COUNT];
    ck_assert_ptr_nonnull(ph_driver_slot_sums(of, sums));
    return sums[count];
}

static void *count(void *kind)
{
    ph_self.kind = *(enum ph_thread_kind *)kind;
    for (unsigned i = 0; i < TIMES; i++) {
        ph_driver_count(slot, PH_DRIVER_OPENS, 1);
        ph_driver_count(slot, PH_DRIVER_TIMERS, i % 2 ? 1 : UINT64_MAX);
    }
    return NULL;
}

static void count_in_threads(enum ph_thread_kind kind)
{
    pthread_t tid[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&tid[i], NULL, count, &kind), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(tid[i], NULL);
}

START_TEST(what_all_kinds_of_threads_count_is_added_up)
{
    slot = ph_driver_slot("a_drv");
    count_in_threads(PH_THREAD_WORKER);
    ck_assert_uint_eq(sum(slot, PH_DRIVER_OPENS), THREADS * TIMES);
    count_in_threads(PH_THREAD_DRIVER);
    ck_assert_uint_eq(sum(slot, PH_DRIVER_OPENS), 2 * THREADS * TIMES);
    count_in_threads(PH_THREAD_REACTOR);
    ck_assert_uint_eq(sum(slot, PH_DRIVER_OPENS), 3 * THREADS * TIMES);
    ck_assert_uint_eq(sum(slot, PH_DRIVER_TIMERS), 0);
    ck_assert_uint_eq(sum(slot, PH_DRIVER_CLOSES), 0);
}
END_TEST

static void *take_one(void *arg)
{
    ph_self.kind = PH_THREAD_WORKER;
    ph_driver_count(slot, PH_DRIVER_QUEUE_BYTES, (uint64_t)-70);
    return arg;
}

START_TEST(what_one_thread_adds_another_may_take_away)
{
    pthread_t tid;
    ph_self.kind = PH_THREAD_REACTOR;
    slot = ph_driver_slot("a_drv");
    ph_driver_count(slot, PH_DRIVER_QUEUE_BYTES, 100);
    ck_assert_int_eq(pthread_create(&tid, NULL, take_one, NULL), 0);
    pthread_join(tid, NULL);
    ck_assert_uint_eq(sum(slot, PH_DRIVER_QUEUE_BYTES), 30);
}
END_TEST

START_TEST(a_driver_that_comes_again_counts_on)
{
    uint64_t sums[PH_DRIVER_COUNT_COUNT];
    unsigned a = ph_driver_slot("a_drv"), b = ph_driver_slot("b_drv");
    ck_assert_uint_ne(a, b);
    ck_assert_uint_eq(ph_driver_slot("a_drv"), a);
    ck_assert_str_eq(ph_driver_slot_sums(b, sums), "b_drv");
    ck_assert_ptr_null(ph_driver_slot_sums(b + 1, sums));
}
END_TEST

START_TEST(names_beyond_the_last_slot_share_it)
{
    char name[32];
    uint64_t sums[PH_DRIVER_COUNT_COUNT];
    for (unsigned i = 0; i < 2 * PH_DRIVER_SLOTS; i++) {
        snprintf(name, sizeof name, "d%u", i);
        ck_assert_uint_eq(ph_driver_slot(name), i < PH_DRIVER_SLOTS ? i : PH_DRIVER_SLOTS - 1);
    }
    ck_assert_str_eq(ph_driver_slot_sums(PH_DRIVER_SLOTS - 1, sums), "(others)");
    ck_assert_str_eq(ph_driver_slot_sums(PH_DRIVER_SLOTS - 2, sums), "d1022");
}
END_TEST

START_TEST(a_time_is_in_the_first_bucket_whose_bound_it_does_not_exceed)
{
    ck_assert_uint_eq(ph_run_bucket(0), 0);
    for (unsigned i = 0; i + 1 < PH_RUN_BUCKETS; i++) {
        ck_assert_uint_eq(ph_run_bucket(PH_RUN_BUCKET_NS(i)), i);
        ck_assert_uint_eq(ph_run_bucket(PH_RUN_BUCKET_NS(i) + 1), i + 1);
    }
    ck_assert_uint_eq(ph_run_bucket(UINT64_MAX), PH_RUN_BUCKETS - 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("driver_counts");
    TCase *tc = runner_case(s, "driver_counts");
    tcase_add_test(tc, what_all_kinds_of_threads_count_is_added_up);
    tcase_add_test(tc, what_one_thread_adds_another_may_take_away);
    tcase_add_test(tc, a_driver_that_comes_again_counts_on);
    tcase_add_test(tc, names_beyond_the_last_slot_share_it);
    tcase_add_test(tc, a_time_is_in_the_first_bucket_whose_bound_it_does_not_exceed);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
