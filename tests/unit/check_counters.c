/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/base/counters: sums over threads, those that have ended included. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/counters.h"
#include "runner.h"

#define THREADS 4
#define TIMES 20000u

static atomic_int ended;

static void *count_opens(void *p)
{
    for (unsigned i = 0; i < TIMES; i++) {
        ph_count(PH_COUNT_OPENS, 1);
        ph_count(PH_COUNT_BYTES_IN, 3);
    }
    atomic_fetch_add(&ended, 1);
    return p;
}

static void start(pthread_t *tid)
{
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&tid[i], NULL, count_opens, NULL), 0);
    }
}

static void join(const pthread_t *tid)
{
    for (int i = 0; i < THREADS; i++) {
        pthread_join(tid[i], NULL);
    }
}

START_TEST(counters_are_0_at_first)
{
    for (int i = 0; i < PH_COUNTER_COUNT; i++) {
        ck_assert_uint_eq(ph_counter_sum((enum ph_counter)i), 0);
    }
}
END_TEST

START_TEST(a_counter_has_the_sum_of_what_was_added_and_the_others_stay)
{
    ph_count(PH_COUNT_FRAMES_IN, 1);
    ph_count(PH_COUNT_FRAMES_IN, 41);
    ph_count(PH_COUNT_FAULTS, UINT64_C(1) << 40);
    for (int i = 0; i < PH_COUNTER_COUNT; i++) {
        uint64_t sum = i == PH_COUNT_FRAMES_IN ? 42 : i == PH_COUNT_FAULTS ? UINT64_C(1) << 40 : 0;
        ck_assert_uint_eq(ph_counter_sum((enum ph_counter)i), sum);
    }
}
END_TEST

START_TEST(what_threads_have_counted_stays_when_they_end)
{
    pthread_t tid[THREADS];
    ph_count(PH_COUNT_OPENS, 5);
    for (unsigned round = 1; round <= 2; round++) {
        start(tid);
        join(tid);
        ck_assert_uint_eq(ph_counter_sum(PH_COUNT_OPENS), 5 + round * THREADS * TIMES);
        ck_assert_uint_eq(ph_counter_sum(PH_COUNT_BYTES_IN), round * THREADS * TIMES * 3);
    }
}
END_TEST

static void *count_once(void *block)
{
    ph_count(PH_COUNT_OPENS, 1);
    *(struct ph_counters **)block = ph_counters_mine;
    return NULL;
}

START_TEST(a_thread_goes_on_with_the_block_of_one_that_has_ended)
{
    struct ph_counters *first = NULL, *second = NULL;
    pthread_t tid;
    ck_assert_int_eq(pthread_create(&tid, NULL, count_once, &first), 0);
    pthread_join(tid, NULL);
    ck_assert_int_eq(pthread_create(&tid, NULL, count_once, &second), 0);
    pthread_join(tid, NULL);
    ck_assert_ptr_eq(first, second);
    ck_assert_uint_eq(ph_counter_sum(PH_COUNT_OPENS), 2);
}
END_TEST

START_TEST(a_sum_that_is_asked_for_meanwhile_only_grows)
{
    pthread_t tid[THREADS];
    uint64_t last = 0;
    start(tid);
    while (atomic_load(&ended) < THREADS) {
        uint64_t sum = ph_counter_sum(PH_COUNT_OPENS);
        ck_assert_uint_ge(sum, last);
        ck_assert_uint_le(sum, THREADS * TIMES);
        last = sum;
    }
    join(tid);
    ck_assert_uint_eq(ph_counter_sum(PH_COUNT_OPENS), THREADS * TIMES);
}
END_TEST

START_TEST(each_counter_has_a_name_of_its_own)
{
    static const char *const names[] = {
#define X(name, atom) [PH_COUNT_##name] = atom,
        PH_COUNTERS(X)
#undef X
    };
    for (int i = 0; i < PH_COUNTER_COUNT; i++) {
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(names[i], names[j]);
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("counters");
    TCase *tc = runner_case(s, "counters");
    tcase_add_test(tc, counters_are_0_at_first);
    tcase_add_test(tc, a_counter_has_the_sum_of_what_was_added_and_the_others_stay);
    tcase_add_test(tc, what_threads_have_counted_stays_when_they_end);
    tcase_add_test(tc, a_thread_goes_on_with_the_block_of_one_that_has_ended);
    tcase_add_test(tc, a_sum_that_is_asked_for_meanwhile_only_grows);
    tcase_add_test(tc, each_counter_has_a_name_of_its_own);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
