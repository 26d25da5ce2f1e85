/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/sched: locks, reactors, workers, async threads. What goes wrong on other threads is noted in `wrong` and asserted
 * at the end by the test's own thread, which is reactor 0. */
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "runner.h"
#include "sched/sched.h"

#define SLOW_US 2000u      /* of a job that is heavy without doubt */
#define PATIENCE 2000      /* tries, a millisecond apart, until the pace must have been noticed */
#define LIMIT_NS 10000000000u /* after which a reactor counts as starved */

struct step { /* a job with a number; what else it does is in `then` */
    struct ph_job job;
    int n;
    void (*then)(struct step *step);
};

static struct ph_lock *lock, *other;
static struct ph_lane own = {.jobs = STAILQ_HEAD_INITIALIZER(own.jobs)}, others = {.jobs = STAILQ_HEAD_INITIALIZER(others.jobs)};
static const char *_Atomic wrong;    /* the first thing that went wrong */
static int seen[8192], seen_count;   /* numbers of the steps of `lock`, as they ran; under it */
static enum ph_thread_kind ran_on;   /* where the last step ran; under it */
static struct ph_reactor *ran_in;    /* likewise */
static atomic_bool inside;

static void run_step(struct ph_job *job)
{
    struct step *step = (struct step *)job;
    if (atomic_exchange(&inside, true)) {
        wrong = "two jobs of one lock at a time";
    }
    if (ph_self.lock != lock) {
        wrong = "the thread does not know its lock";
    }
    seen[seen_count++] = step->n;
    ran_on = ph_self.kind;
    ran_in = ph_self.reactor;
    void (*then)(struct step *) = step->then;
    if (then) {
        then(step);
    }
    atomic_store(&inside, false);
    ph_free(step);
}

static struct ph_job *new_step(int n, void (*then)(struct step *step))
{
    struct step *step = ph_calloc(1, sizeof *step);
    step->job.run = run_step;
    step->n = n;
    step->then = then;
    return &step->job;
}

static void submit(int n, void (*then)(struct step *step))
{
    ph_lock_submit(lock, &own, new_step(n, then));
}

static void submit_all(int from, int to)
{
    for (int n = from; n < to; n++) {
        submit(n, NULL);
    }
}

static void stop(struct step *step)
{
    (void)step;
    ph_reactors_stop();
}

static void start(unsigned reactors, unsigned workers)
{
    evthread_use_pthreads();
    ck_assert_int_eq(ph_reactors_start(reactors, 0), 0);
    ck_assert_int_eq(ph_workers_start(workers, 0), 0);
    lock = ph_lock_new(ph_reactor_first(), NULL);
}

/* Until a step or a task stops the reactors; then everything has run. The threads are those of the test that submit or stop:
 * they must be through with it before the reactors are gone. */
static void run_with(const pthread_t *threads, int count)
{
    ph_reactor_main();
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    ph_workers_stop();
    ph_reactors_join();
    ph_lock_unref(lock);
    ck_assert_msg(!wrong, "%s", wrong);
}

static void run(void)
{
    run_with(NULL, 0);
}

static void check_order(int count)
{
    ck_assert_int_eq(seen_count, count);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(seen[i], i);
    }
}

/* --- order --- */

#define SUBMITTERS 4 /* threads; as many tasks on each of two reactors */
#define EACH 400
#define ALL (3 * SUBMITTERS * EACH)

static pthread_mutex_t ticket_mu = PTHREAD_MUTEX_INITIALIZER;
static int tickets;

/* Some steps sleep, so that others submit, and would run theirs, meanwhile. */
static void stop_after_all(struct step *step)
{
    if (step->n % 16 == 0) {
        usleep(50);
    }
    if (seen_count == ALL) {
        ph_reactors_stop();
    }
}

/* Who has the mutex submits next, so that there is one order over all submitters. */
static void submit_ticket(void)
{
    pthread_mutex_lock(&ticket_mu);
    submit(tickets++, stop_after_all);
    pthread_mutex_unlock(&ticket_mu);
}

static void *submit_tickets(void *p)
{
    for (int i = 0; i < EACH; i++) {
        submit_ticket();
    }
    return p;
}

static void submit_tickets_task(struct ph_task *task)
{
    submit_tickets(NULL);
    ph_free(task);
}

static atomic_int next_submitter;

/* Without the mutex: numbers by submitter, each submitter's in order. */
static void *submit_own(void *p)
{
    int base = EACH * atomic_fetch_add(&next_submitter, 1);
    for (int i = 0; i < EACH; i++) {
        submit(base + i, stop_after_all);
    }
    return p;
}

static void submit_own_task(struct ph_task *task)
{
    submit_own(NULL);
    ph_free(task);
}

static void post(struct ph_reactor *r, void (*fn)(struct ph_task *task))
{
    struct ph_task *task = ph_calloc(1, sizeof *task);
    task->run = fn;
    ph_reactor_post(r, task);
}

static void submit_from_everywhere(void *(*thread)(void *), void (*task)(struct ph_task *))
{
    pthread_t tid[SUBMITTERS];
    start(2, 2);
    struct ph_reactor *a = ph_reactor_next(), *b = ph_reactor_next();
    for (int i = 0; i < SUBMITTERS; i++) {
        post(a, task);
        post(b, task);
        ck_assert_int_eq(pthread_create(&tid[i], NULL, thread, NULL), 0);
    }
    run_with(tid, SUBMITTERS);
    ck_assert_int_eq(seen_count, ALL);
}

START_TEST(jobs_run_one_at_a_time_in_the_order_submitted_whoever_submits)
{
    submit_from_everywhere(submit_tickets, submit_tickets_task);
    check_order(ALL);
}
END_TEST

START_TEST(jobs_that_are_submitted_at_once_run_in_each_submitters_order)
{
    int expected[3 * SUBMITTERS];
    submit_from_everywhere(submit_own, submit_own_task);
    for (int i = 0; i < 3 * SUBMITTERS; i++) {
        expected[i] = i * EACH;
    }
    for (int i = 0; i < ALL; i++) {
        ck_assert_int_eq(seen[i], expected[seen[i] / EACH]++);
    }
}
END_TEST

static struct ph_lane lane = {.jobs = STAILQ_HEAD_INITIALIZER(lane.jobs)};

static void requeue(struct step *step)
{
    struct ph_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
    ph_lock_submit(lock, &lane, new_step(1200, NULL));
    for (int n = step->n + 1; n < 1000; n++) {
        struct ph_job *job = new_step(n, NULL);
        STAILQ_INSERT_TAIL(&jobs, job, link);
    }
    ph_lock_requeue(lock, &lane, &jobs);
    if (!STAILQ_EMPTY(&jobs)) {
        wrong = "the requeued jobs were not taken";
    }
    ph_lock_submit(lock, &lane, new_step(1201, stop));
}

static void submit_to(struct ph_lane *to, int n, void (*then)(struct step *step))
{
    ph_lock_submit(lock, to, new_step(n, then));
}

START_TEST(requeued_jobs_come_before_all_that_wait_and_keep_their_order)
{
    start(1, 1);
    submit_to(&lane, 0, requeue);
    for (int n = 1000; n < 1200; n++)
        submit_to(&lane, n, NULL);
    run();
    check_order(1202);
}
END_TEST

/* From another lane of the lock: first in their own lane, which waits its turn. */
static void requeue_elsewhere(struct step *step)
{
    struct ph_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
    struct ph_job *job = new_step(1, NULL);
    (void)step;
    STAILQ_INSERT_TAIL(&jobs, job, link);
    ph_lock_requeue(lock, &lane, &jobs);
}

START_TEST(jobs_are_requeued_from_another_lane)
{
    start(1, 1);
    submit(0, requeue_elsewhere);
    submit_to(&lane, 2, NULL);
    submit_to(&lane, 3, stop);
    run();
    check_order(4);
}
END_TEST

START_TEST(jobs_that_came_before_the_lock_was_known_are_adopted)
{
    start(1, 1);
    ph_lock_adopt(lock, &lane);
    for (int n = 0; n < 3; n++) {
        struct ph_job *job = new_step(n, n == 2 ? stop : NULL);
        STAILQ_INSERT_TAIL(&lane.jobs, job, link);
    }
    ph_lock_adopt(lock, &lane);
    run();
    check_order(3);
}
END_TEST

/* A lane with very many jobs, then one with two: the second waits for a share of the first, not for all of it. */
START_TEST(lanes_take_turns)
{
    start(1, 1);
    for (int n = 0; n < 5000; n++)
        submit_to(&lane, n, NULL);
    submit(5000, NULL);
    submit(5001, stop);
    run();
    int at = 0, expected = 0;
    while (seen[at] < 5000)
        ck_assert_int_eq(seen[at++], expected++);
    ck_assert_int_le(at, 64);
    ck_assert_int_eq(seen[at + 1], 5001);
    for (at += 2; at < seen_count; at++)
        ck_assert_int_eq(seen[at], expected++);
}
END_TEST

START_TEST(a_lock_lives_until_its_jobs_have_run)
{
    start(1, 1);
    ph_lock_ref(lock);
    submit_all(0, 600);
    submit(600, stop);
    ph_lock_unref(lock);
    ph_lock_unref(lock);
    ph_reactor_main();
    ph_workers_stop();
    ph_reactors_join();
    check_order(601);
}
END_TEST

/* --- budget --- */

static int seen_at_other; /* steps of `lock` that had run when the job of `other` did */

static void note_the_other(struct ph_job *job)
{
    seen_at_other = seen_count; /* both on the one runner */
    ph_free(job);
}

static void submit_other(void)
{
    struct ph_job *job = ph_calloc(1, sizeof *job);
    job->run = note_the_other;
    ph_lock_submit(other, &others, job);
}

START_TEST(many_jobs_give_way_to_another_lock)
{
    start(1, 1);
    other = ph_lock_new(ph_reactor_first(), NULL);
    submit_all(0, 1000);
    submit(1000, stop);
    submit_other();
    run();
    ph_lock_unref(other);
    check_order(1001);
    ck_assert_int_gt(seen_at_other, 0);
    ck_assert_int_le(seen_at_other, 256);
}
END_TEST

static void be_slow(struct step *step)
{
    (void)step;
    usleep(SLOW_US);
}

START_TEST(long_jobs_give_way_to_another_lock)
{
    start(1, 1);
    other = ph_lock_new(ph_reactor_first(), NULL);
    ph_lock_force_worker(lock);
    ph_lock_force_worker(other);
    submit(0, be_slow); /* the worker may have it before the others are there */
    submit(1, be_slow);
    submit_other();
    for (int n = 2; n < 30; n++) {
        submit(n, be_slow);
    }
    submit(30, stop);
    run();
    ph_lock_unref(other);
    check_order(31);
    ck_assert_int_le(seen_at_other, 2);
}
END_TEST

/* --- very many locks --- */

#define LOCKS 300
#define HOG_NS 700000u /* of a job that takes more time than there is for locks in a turn */
#define HOGS 2

static struct place { /* a lock with one lane and, at a time, one job */
    struct ph_job job;
    struct ph_lock *lock;
    struct ph_lane lane;
} places[LOCKS];
static int places_run, hogs_run, places_run_by_task, hogs_run_by_last;

static void spin(uint64_t ns)
{
    for (uint64_t since = ph_now_ns(); ph_now_ns() - since < ns;)
        continue;
}

static void note_places(struct ph_task *task)
{
    (void)task;
    places_run_by_task = places_run;
}

static void run_place(struct ph_job *job)
{
    static struct ph_task task = {.run = note_places};
    (void)job;
    if (places_run == 0)
        ph_reactor_post(ph_reactor_first(), &task);
    spin(100000);
    if (++places_run == LOCKS - HOGS) {
        hogs_run_by_last = hogs_run;
        ph_reactors_stop();
    }
}

static void run_hog(struct ph_job *job)
{
    struct place *p = (struct place *)job;
    hogs_run++;
    spin(HOG_NS);
    if (places_run < LOCKS - HOGS)
        ph_lock_submit(p->lock, &p->lane, &p->job);
}

static void submit_places(int from, int to, void (*run_job)(struct ph_job *job))
{
    for (struct place *p = places + from; p < places + to; p++) {
        p->job.run = run_job;
        ph_lane_init(&p->lane);
        p->lock = ph_lock_new(ph_reactor_first(), NULL);
        ph_lock_run_by(p->lock, PH_RUN_NEVER_BY_WORKER);
        ph_lock_submit(p->lock, &p->lane, &p->job);
    }
}

static void unref_places(int to)
{
    for (int i = 0; i < to; i++)
        ph_lock_unref(places[i].lock);
}

START_TEST(very_many_locks_that_are_ready_let_the_reactor_look_at_events_between)
{
    start(1, 1);
    submit_places(0, LOCKS - HOGS, run_place);
    run();
    unref_places(LOCKS - HOGS);
    ck_assert_int_gt(places_run_by_task, 0);
    ck_assert_int_le(places_run_by_task, LOCKS / 3);
}
END_TEST

/* In each turn there is time for one or two of those that always want more, and for some of the others. */
START_TEST(locks_that_had_no_time_in_their_turn_do_not_wait_for_those_that_are_ready_in_each)
{
    start(1, 1);
    submit_places(LOCKS - HOGS, LOCKS, run_hog);
    submit_places(0, LOCKS - HOGS, run_place);
    run();
    unref_places(LOCKS);
    ck_assert_int_le(hogs_run_by_last, HOGS * LOCKS);
}
END_TEST

static atomic_bool timer_fired, task_ran;
static uint64_t begin;

static void again(struct step *step)
{
    seen_count = 0;
    bool starved = ph_now_ns() - begin > LIMIT_NS;
    if (starved) {
        wrong = "events or tasks were starved";
    }
    submit(step->n, starved || (timer_fired && task_ran) ? stop : again);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    timer_fired = true;
}

static void note_task(struct ph_task *task)
{
    task_ran = true;
    ph_free(task);
}

static void post_and_go_on(struct step *step)
{
    post(ph_reactor_first(), note_task);
    again(step);
}

START_TEST(a_lock_that_is_never_done_starves_neither_events_nor_tasks)
{
    static const struct timeval soon = {.tv_usec = 10000};
    start(1, 1);
    struct event *timer = evtimer_new(ph_reactor_base(ph_reactor_first()), on_timer, NULL);
    evtimer_add(timer, &soon);
    begin = ph_now_ns();
    submit(0, post_and_go_on);
    ph_reactor_main();
    event_free(timer);
    ph_workers_stop();
    ph_reactors_join();
    ph_lock_unref(lock);
    ck_assert_msg(!wrong, "%s", wrong);
    ck_assert(timer_fired && task_ran);
}
END_TEST

/* --- where jobs run --- */

static sem_t done; /* posted by a step that somebody waits for */

static void post_done(struct step *step)
{
    (void)step;
    sem_post(&done);
}

static void be_slow_and_post(struct step *step)
{
    be_slow(step);
    sem_post(&done);
}

/* Submits a step, waits for it and a little longer, so that the lock is idle again; where it ran. */
static enum ph_thread_kind run_one(struct ph_lock *l, void (*then)(struct step *step))
{
    lock = l;
    seen_count = 0;
    submit(1, then);
    sem_wait(&done);
    usleep(1000);
    return ran_on;
}

/* How many steps it takes until one runs there. */
static int steps_until(enum ph_thread_kind kind, struct ph_lock *l, void (*then)(struct step *step))
{
    int n = 1;
    while (run_one(l, then) != kind && n < PATIENCE) {
        n++;
    }
    return n;
}

/* Runs the test on a thread that is no reactor, while this one is. */
static void run_beside(void *(*test)(void *))
{
    pthread_t tid;
    sem_init(&done, 0, 0);
    ck_assert_int_eq(pthread_create(&tid, NULL, test, NULL), 0);
    run_with(&tid, 1);
    sem_destroy(&done);
}

static void *slow_and_quick(void *p)
{
    if (run_one(lock, be_slow_and_post) != PH_THREAD_REACTOR) {
        wrong = "a new lock is not a reactor's";
    }
    if (steps_until(PH_THREAD_WORKER, lock, be_slow_and_post) == PATIENCE) {
        wrong = "slow jobs stay on the reactor";
    }
    for (int i = 0; i < 10; i++) {
        if (run_one(lock, be_slow_and_post) != PH_THREAD_WORKER) {
            wrong = "slow jobs come back to the reactor";
        }
    }
    int quick = steps_until(PH_THREAD_REACTOR, lock, post_done);
    if (quick == PATIENCE) {
        wrong = "quick jobs stay on the worker";
    }
    if (quick < 3) {
        wrong = "one quick job brings a heavy lock back";
    }
    ph_reactors_stop();
    return p;
}

START_TEST(slow_jobs_move_a_lock_to_the_workers_and_quick_ones_bring_it_back)
{
    start(1, 1);
    run_beside(slow_and_quick);
}
END_TEST

static void *slow_in_one_of_two(void *p)
{
    struct ph_lock *a = lock, *driver = ph_lock_new(ph_reactor_first(), NULL);
    struct ph_lock *b = ph_lock_new(ph_reactor_first(), driver), *c = ph_lock_new(ph_reactor_first(), driver);
    ph_lock_unref(driver);
    if (steps_until(PH_THREAD_WORKER, b, be_slow_and_post) == PATIENCE) {
        wrong = "slow jobs stay on the reactor";
    }
    if (run_one(c, post_done) != PH_THREAD_WORKER) {
        wrong = "the pace is not shared";
    }
    if (run_one(a, post_done) != PH_THREAD_REACTOR) {
        wrong = "the pace of one driver is another's";
    }
    ph_lock_unref(b);
    ph_lock_unref(c);
    ph_reactors_stop();
    return p;
}

START_TEST(locks_of_one_driver_share_their_pace)
{
    start(1, 1);
    run_beside(slow_in_one_of_two);
}
END_TEST

static void *forced(void *p)
{
    if (run_one(lock, post_done) != PH_THREAD_REACTOR) {
        wrong = "a new lock is not a reactor's";
    }
    ph_lock_force_worker(lock);
    if (steps_until(PH_THREAD_WORKER, lock, post_done) == PATIENCE) {
        wrong = "the lock is not forced to the worker";
    }
    for (int i = 0; i < 200; i++) {
        if (run_one(lock, post_done) != PH_THREAD_WORKER) {
            wrong = "quick jobs bring a forced lock back";
        }
    }
    ph_reactors_stop();
    return p;
}

START_TEST(a_forced_lock_runs_on_workers_however_quick_it_is)
{
    start(1, 1);
    run_beside(forced);
}
END_TEST

static struct ph_reactor *second;

static void *from_elsewhere(void *p)
{
    if (run_one(lock, post_done) != PH_THREAD_REACTOR || ran_in != second) {
        wrong = "a job from elsewhere did not run on the home reactor";
    }
    ph_reactors_stop();
    return p;
}

START_TEST(jobs_from_elsewhere_run_on_the_home_reactor)
{
    start(2, 1);
    ck_assert_ptr_eq(ph_reactor_next(), ph_reactor_first());
    second = ph_reactor_next();
    ck_assert_ptr_ne(second, ph_reactor_first());
    ck_assert_ptr_eq(ph_reactor_next(), ph_reactor_first());
    ph_lock_unref(lock);
    lock = ph_lock_new(second, NULL);
    run_beside(from_elsewhere);
}
END_TEST

static void end_turn(struct ph_task *task)
{
    if (seen_count != 1 || ran_in != ph_reactor_first()) {
        wrong = "the job did not run in the turn that brought it";
    }
    ph_reactors_stop();
    ph_free(task);
}

static void submit_in_turn(struct ph_task *task)
{
    task->run = end_turn;
    ph_reactor_at_turn_end(ph_reactor_first(), task);
    submit(0, NULL);
    if (seen_count != 0) {
        wrong = "submitting has run the job";
    }
}

START_TEST(a_job_runs_in_the_turn_that_brings_it_not_within_submit)
{
    start(2, 1);
    ph_lock_unref(lock);
    ph_reactor_next();
    lock = ph_lock_new(ph_reactor_next(), NULL);
    post(ph_reactor_first(), submit_in_turn);
    run();
    check_order(1);
}
END_TEST

START_TEST(workers_run_what_is_queued_before_they_stop)
{
    start(1, 2);
    ph_lock_force_worker(lock);
    for (int n = 0; n < 1000; n++) {
        submit(n, n < 20 ? be_slow : NULL);
    }
    ph_reactors_stop();
    run();
    check_order(1000);
}
END_TEST

/* --- the watch --- */

static atomic_int watch_times; /* how often the watch must still ask for the time; then a callback begins that does not come back */
static atomic_bool started, went_on;

static void be_stuck(struct step *step)
{
    (void)step;
    sem_post(&done);
    for (int ms = 0; !went_on && ms < PATIENCE; ms++) {
        usleep(1000);
    }
    if (!went_on) {
        wrong = "nobody goes on with the reactor";
    }
    ph_reactors_stop();
}

static void go_on(struct ph_task *task)
{
    went_on = true;
    ph_free(task);
}

/* On the watch, between two looks: a callback begins, and does not come back before its reactor has done something else. */
static void begin_stuck_callback(void)
{
    submit(1, be_stuck);
    sem_wait(&done);
    post(ph_reactor_first(), go_on);
}

/* The watch asks for the time before it waits for its next look. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
    char name[16] = "";
    if (watch_times > 0 && pthread_getname_np(pthread_self(), name, sizeof name) == 0 && strcmp(name, "watch") == 0 && --watch_times == 0 && started) {
        begin_stuck_callback();
    }
    return (int)syscall(SYS_clock_gettime, clock, ts);
}

#define WATCH_SLEEPS_AT 52 /* it has had 51 quiet looks then */

START_TEST(a_callback_that_is_stuck_is_noticed_also_while_the_watch_falls_asleep)
{
    sem_init(&done, 0, 0);
    watch_times = WATCH_SLEEPS_AT + _i;
    start(1, 1);
    started = true; /* what `start` has made can be used by the watch */
    run();
    sem_destroy(&done);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("lock");
    TCase *tc = runner_case(s, "order");
    tcase_add_test(tc, jobs_run_one_at_a_time_in_the_order_submitted_whoever_submits);
    tcase_add_test(tc, jobs_that_are_submitted_at_once_run_in_each_submitters_order);
    tcase_add_test(tc, requeued_jobs_come_before_all_that_wait_and_keep_their_order);
    tcase_add_test(tc, jobs_are_requeued_from_another_lane);
    tcase_add_test(tc, jobs_that_came_before_the_lock_was_known_are_adopted);
    tcase_add_test(tc, lanes_take_turns);
    tcase_add_test(tc, a_lock_lives_until_its_jobs_have_run);
    tc = runner_case(s, "budget");
    tcase_add_test(tc, many_jobs_give_way_to_another_lock);
    tcase_add_test(tc, long_jobs_give_way_to_another_lock);
    tcase_add_test(tc, very_many_locks_that_are_ready_let_the_reactor_look_at_events_between);
    tcase_add_test(tc, locks_that_had_no_time_in_their_turn_do_not_wait_for_those_that_are_ready_in_each);
    tcase_add_test(tc, a_lock_that_is_never_done_starves_neither_events_nor_tasks);
    tc = runner_case(s, "place");
    tcase_add_test(tc, slow_jobs_move_a_lock_to_the_workers_and_quick_ones_bring_it_back);
    tcase_add_test(tc, locks_of_one_driver_share_their_pace);
    tcase_add_test(tc, a_forced_lock_runs_on_workers_however_quick_it_is);
    tcase_add_test(tc, jobs_from_elsewhere_run_on_the_home_reactor);
    tcase_add_test(tc, a_job_runs_in_the_turn_that_brings_it_not_within_submit);
    tcase_add_test(tc, workers_run_what_is_queued_before_they_stop);
    tc = runner_case(s, "watch");
    tcase_add_loop_test(tc, a_callback_that_is_stuck_is_noticed_also_while_the_watch_falls_asleep, -1, 1);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
