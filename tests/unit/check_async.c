/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/sched/async: which thread runs a job, in which order, and taking jobs back. ph_async_stop joins the threads, so what
 * they have written can be looked at after it. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "runner.h"
#include "sched/sched.h"

#define THREADS 3
#define JOBS 900

static struct note {
    struct ph_async_job job;
    int turn; /* how many had begun before, on this thread; -1: has not run */
    pthread_t thread;
    enum ph_thread_kind kind;
} notes[JOBS];

static _Thread_local int turns;

static void note(struct ph_async_job *job)
{
    struct note *n = (struct note *)job;
    n->turn = turns++;
    n->thread = pthread_self();
    n->kind = ph_self.kind;
}

static struct ph_async_job *job(int i)
{
    notes[i] = (struct note){.job.invoke = note, .turn = -1};
    return &notes[i].job;
}

static void start(unsigned count)
{
    ck_assert_int_eq(ph_async_start(count, 0), 0);
    ck_assert_uint_eq(ph_async_threads(), count);
}

START_TEST(jobs_with_one_key_run_in_order_on_one_thread)
{
    start(THREADS);
    for (int i = 0; i < JOBS; i++) {
        unsigned given = (unsigned)i % 7, key = given;
        ck_assert_int_gt(ph_async_submit(&key, job(i)), 0);
        ck_assert_uint_eq(key, given % THREADS);
    }
    ph_async_stop();
    int last[THREADS];
    for (int i = 0; i < JOBS; i++) {
        int first = i % 7 % THREADS;
        ck_assert_int_eq(notes[i].kind, PH_THREAD_ASYNC);
        ck_assert_int_ge(notes[i].turn, 0);
        ck_assert(pthread_equal(notes[i].thread, notes[first].thread));
        ck_assert(i < THREADS || notes[i].turn > last[first]);
        last[first] = notes[i].turn;
    }
    ck_assert(!pthread_equal(notes[0].thread, notes[1].thread) && !pthread_equal(notes[1].thread, notes[2].thread) &&
              !pthread_equal(notes[0].thread, notes[2].thread));
}
END_TEST

START_TEST(jobs_without_a_key_go_round)
{
    start(THREADS);
    for (int i = 0; i < JOBS; i++) {
        ph_async_submit(NULL, job(i));
    }
    ph_async_stop();
    for (int i = THREADS; i < JOBS; i++) {
        ck_assert(pthread_equal(notes[i].thread, notes[i - THREADS].thread));
        ck_assert(!pthread_equal(notes[i].thread, notes[i - 1].thread));
        ck_assert_int_eq(notes[i].turn, i / THREADS);
    }
}
END_TEST

START_TEST(each_job_has_an_id_of_its_own)
{
    static long ids[JOBS];
    start(THREADS);
    for (int i = 0; i < JOBS; i++) {
        ids[i] = ph_async_submit(NULL, job(i));
        ck_assert_int_gt(ids[i], 0);
        ck_assert(i == 0 || ids[i] > ids[i - 1]);
    }
    ph_async_stop();
    for (int i = 0; i < JOBS; i++) {
        ck_assert_int_eq(notes[i].job.id, ids[i]);
    }
}
END_TEST

static sem_t begun, go_on;

static void wait_inside(struct ph_async_job *j)
{
    sem_post(&begun);
    sem_wait(&go_on);
    note(j);
}

/* Begins a job that keeps thread 0 until go_on is posted; its id. */
static long keep_the_thread(int i)
{
    unsigned key = 0;
    sem_init(&begun, 0, 0);
    sem_init(&go_on, 0, 0);
    job(i)->invoke = wait_inside;
    long id = ph_async_submit(&key, &notes[i].job);
    sem_wait(&begun);
    return id;
}

START_TEST(a_job_that_has_not_begun_can_be_taken_back_once)
{
    long ids[6];
    unsigned key = 0;
    start(2);
    ids[0] = keep_the_thread(0);
    for (int i = 1; i < 5; i++) {
        ids[i] = ph_async_submit(&key, job(i));
    }
    ck_assert_ptr_null(ph_async_cancel(ids[0]));
    ck_assert_ptr_eq(ph_async_cancel(ids[2]), &notes[2].job);
    ck_assert_ptr_null(ph_async_cancel(ids[2]));
    ck_assert_ptr_eq(ph_async_cancel(ids[4]), &notes[4].job);
    ids[5] = ph_async_submit(&key, job(5));
    ck_assert_ptr_null(ph_async_cancel(ids[5] + 1));
    ck_assert_ptr_null(ph_async_cancel(0));
    ck_assert_ptr_null(ph_async_cancel(-1));
    sem_post(&go_on);
    ph_async_stop();
    static const int turn[] = {0, 1, -1, 2, -1, 3};
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(notes[i].turn, turn[i]);
    }
}
END_TEST

START_TEST(a_job_on_any_thread_can_be_taken_back_and_one_that_has_run_cannot)
{
    unsigned key = 1;
    start(2);
    keep_the_thread(0);
    long ran = ph_async_submit(&key, job(1));
    job(2)->invoke = wait_inside;
    ph_async_submit(&key, &notes[2].job);
    sem_wait(&begun);
    long waits = ph_async_submit(&key, job(3));
    ck_assert_ptr_null(ph_async_cancel(ran));
    ck_assert_ptr_eq(ph_async_cancel(waits), &notes[3].job);
    sem_post(&go_on);
    sem_post(&go_on);
    ph_async_stop();
    ck_assert_int_eq(notes[1].turn, 0);
    ck_assert_int_eq(notes[3].turn, -1);
}
END_TEST

START_TEST(a_busy_thread_does_not_keep_the_others)
{
    unsigned key = 1;
    start(2);
    keep_the_thread(0);
    job(1)->invoke = wait_inside;
    sem_post(&go_on); /* for whichever comes first */
    ph_async_submit(&key, &notes[1].job);
    sem_wait(&begun);
    sem_post(&go_on);
    ph_async_stop();
    ck_assert(notes[0].turn == 0 && notes[1].turn == 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("async");
    TCase *tc = runner_case(s, "async");
    tcase_add_test(tc, jobs_with_one_key_run_in_order_on_one_thread);
    tcase_add_test(tc, jobs_without_a_key_go_round);
    tcase_add_test(tc, each_job_has_an_id_of_its_own);
    tcase_add_test(tc, a_job_that_has_not_begun_can_be_taken_back_once);
    tcase_add_test(tc, a_job_on_any_thread_can_be_taken_back_and_one_that_has_run_cannot);
    tcase_add_test(tc, a_busy_thread_does_not_keep_the_others);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
