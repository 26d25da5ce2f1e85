/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/sched/alarm.h: order, never early, cancelling, setting again. The test's own thread is the reactor's. */
#include <event2/thread.h>
#include <stddef.h>
#include <stdlib.h>

#include "runner.h"
#include "sched/alarm.h"

#define MANY 2000

static struct test_alarm {
    struct ph_alarm alarm;
    int n;
    uint64_t due_ns;
} alarms[MANY];
static int rung[MANY], rung_count, expected;
static bool early;

static void ring(struct ph_alarm *a)
{
    struct test_alarm *t = (struct test_alarm *)((char *)a - offsetof(struct test_alarm, alarm));
    early = early || ph_now_ns() < t->due_ns;
    rung[rung_count++] = t->n;
    if (rung_count == expected)
        ph_reactors_stop();
}

static void start(void)
{
    evthread_use_pthreads();
    ck_assert_int_eq(ph_reactors_start(1, 0), 0);
    for (int n = 0; n < MANY; n++)
        alarms[n] = (struct test_alarm){.alarm.ring = ring, .n = n};
}

static void set(int n, uint64_t due_ns)
{
    alarms[n].due_ns = due_ns;
    ph_alarm_set(ph_reactor_first(), &alarms[n].alarm, due_ns);
}

static void run(int count)
{
    expected = count;
    ph_reactor_main();
    ph_reactors_join();
    ck_assert_int_eq(rung_count, count);
    ck_assert(!early);
}

START_TEST(alarms_ring_by_time_and_never_early)
{
    start();
    uint64_t now = ph_now_ns();
    for (int i = 0; i < MANY; i++) { /* 7919 is prime to MANY: every time once, in no order */
        int n = i * 7919 % MANY;
        set(n, now + 1000000 + (uint64_t)n * 20000);
    }
    run(MANY);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(rung[i], i);
}
END_TEST

START_TEST(alarms_of_one_time_ring_in_the_order_they_were_set)
{
    start();
    uint64_t due = ph_now_ns() + 2000000;
    for (int n = 0; n < MANY; n++)
        set(n, due);
    run(MANY);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(rung[i], i);
}
END_TEST

static int rung_by_task;

static void note_rung(struct ph_task *task)
{
    (void)task;
    rung_by_task = rung_count;
}

static void ring_and_post(struct ph_alarm *a)
{
    static struct ph_task task = {.run = note_rung};
    ph_reactor_post(ph_reactor_first(), &task);
    ring(a);
}

START_TEST(very_many_of_one_time_let_the_reactor_do_other_things_between)
{
    start();
    uint64_t due = ph_now_ns() + 2000000;
    for (int n = 0; n < MANY; n++)
        set(n, due);
    alarms[0].alarm.ring = ring_and_post;
    run(MANY);
    ck_assert_int_le(rung_by_task, MANY / 2);
}
END_TEST

START_TEST(a_cancelled_alarm_does_not_ring)
{
    start();
    uint64_t now = ph_now_ns();
    for (int n = 0; n < MANY; n++)
        set(n, now + 1000000 + (uint64_t)(n * 7919 % MANY) * 1000);
    for (int n = 0; n < MANY; n++)
        if (n % 3)
            ph_alarm_cancel(ph_reactor_first(), &alarms[n].alarm);
    ph_alarm_cancel(ph_reactor_first(), &alarms[1].alarm); /* once more: nothing happens */
    run((MANY + 2) / 3);
    for (int i = 0; i < rung_count; i++)
        ck_assert_int_eq(rung[i] % 3, 0);
}
END_TEST

START_TEST(an_alarm_that_is_set_again_rings_once_at_the_new_time)
{
    start();
    uint64_t now = ph_now_ns();
    set(0, now + 1000000);
    set(1, now + 500000000000u);
    set(2, now + 3000000);
    set(0, now + 5000000); /* later */
    set(1, now + 2000000); /* sooner */
    run(3);
    ck_assert_int_eq(rung[0], 1);
    ck_assert_int_eq(rung[1], 2);
    ck_assert_int_eq(rung[2], 0);
}
END_TEST

START_TEST(an_alarm_in_the_past_rings_at_once)
{
    start();
    set(0, 0);
    run(1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("alarm");
    TCase *tc = runner_case(s, "alarm");
    tcase_add_test(tc, alarms_ring_by_time_and_never_early);
    tcase_add_test(tc, alarms_of_one_time_ring_in_the_order_they_were_set);
    tcase_add_test(tc, very_many_of_one_time_let_the_reactor_do_other_things_between);
    tcase_add_test(tc, a_cancelled_alarm_does_not_ring);
    tcase_add_test(tc, an_alarm_that_is_set_again_rings_once_at_the_new_time);
    tcase_add_test(tc, an_alarm_in_the_past_rings_at_once);
    return runner_main(s);
}
