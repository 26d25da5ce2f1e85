/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/check/: the memory, references and locks of drivers in the checking mode, without ports. What each kind of report looks like is in tests/e2e/checking_test.sh. */
#include <erl_driver.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bin.h"
#include "base/thread.h"
#include "check/memory.h"
#include "runner.h"

#define QUARANTINE 10000 /* blocks */

static const struct ph_where *where_of(const struct ph_port *p, struct ph_where *where)
{
    (void)p;
    return where;
}

static void begin(void)
{
    ph_self.kind = PH_THREAD_DRIVER;
    ph_self.driver = "unit_drv";
    ph_check_start(where_of);
}

static uint64_t reports(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < PH_VIOLATION_COUNT; i++)
        sum += ph_violations_of((enum ph_violation)i);
    return sum;
}

/* True: so many of that kind, and no others. */
static bool only(enum ph_violation kind, uint64_t n)
{
    return ph_violations_of(kind) == n && reports() == n;
}

START_TEST(memory_is_as_it_is_without_checks)
{
    static volatile size_t huge = SIZE_MAX - 8;
    begin();
    ck_assert_ptr_null(driver_alloc(huge));
    ck_assert_ptr_null(driver_alloc_binary(huge));
    char *p = driver_alloc(0);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_null(driver_realloc(p, huge));
    p = driver_realloc(p, 3);
    ck_assert_uint_eq((uintptr_t)p % 16, 0);
    memcpy(p, "abc", 3);
    p = driver_realloc(p, 100000);
    ck_assert_int_eq(memcmp(p, "abc", 3), 0);
    driver_free(driver_realloc(p, 1));
    driver_free(driver_realloc(NULL, 5));
    driver_free(NULL);
    driver_free_binary(NULL);
    ck_assert_uint_eq(reports(), 0);
}
END_TEST

START_TEST(binaries_are_as_they_are_without_checks)
{
    begin();
    ErlDrvBinary *b = driver_alloc_binary(3);
    ck_assert(b->orig_size == 3 && (uintptr_t)b->orig_bytes % 8 == 0 && driver_binary_get_refc(b) == 1);
    memcpy(b->orig_bytes, "abc", 3);
    b = driver_realloc_binary(b, 100000);
    ck_assert(b->orig_size == 100000 && memcmp(b->orig_bytes, "abc", 3) == 0);
    ck_assert_int_eq(driver_binary_inc_refc(b), 2);
    ck_assert_int_eq(driver_binary_dec_refc(b), 1);
    b->orig_size = 2; /* an answer may be shortened so */
    driver_free_binary(b);
    driver_free_binary(driver_realloc_binary(NULL, 0));
    ck_assert_uint_eq(reports(), 0);
}
END_TEST

static void fill_quarantine(void)
{
    for (int i = 0; i <= QUARANTINE; i++)
        driver_free(driver_alloc(1));
}

START_TEST(what_was_written_after_the_free_is_seen_when_the_block_is_given_back)
{
    begin();
    char *volatile p = driver_alloc(1000);
    driver_free(p);
    p[999] = 1;
    fill_quarantine();
    ck_assert(only(PH_VIOLATION_USE_AFTER_FREE, 1));
    driver_free(p);
    ck_assert_uint_eq(ph_violations_of(PH_VIOLATION_UNKNOWN_FREE), 1);
}
END_TEST

START_TEST(each_byte_of_the_guards_and_of_the_poison_is_looked_at)
{
    begin();
    uint64_t n = 0;
    for (int at = -32; at < 5 + 32; at++) {
        char *volatile p = driver_alloc(5);
        if (at >= 0 && at < 5) {
            driver_free(p);
            p[at] = 0;
            ph_blocks_look_recent();
        } else {
            p[at] = 0;
            driver_free(p);
        }
        ck_assert_uint_eq(reports(), ++n);
    }
}
END_TEST

START_TEST(damage_is_told_once)
{
    begin();
    char *volatile p = driver_alloc(5);
    p[5] = 0;
    ph_blocks_look_recent();
    ph_blocks_look_recent();
    driver_free(p);
    fill_quarantine();
    ph_things_left("unit_drv");
    ck_assert(only(PH_VIOLATION_OVERWRITE, 1));
}
END_TEST

START_TEST(what_is_left_is_told_once_and_only_of_that_driver)
{
    begin();
    void *volatile p = driver_alloc(5);
    ErlDrvBinary *volatile b = driver_alloc_binary(5);
    ErlDrvMutex *volatile m = erl_drv_mutex_create((char *)"left");
    ph_self.driver = "other_drv";
    void *volatile q = driver_alloc(5);
    ph_things_left("unit_drv");
    ph_things_left("unit_drv");
    ck_assert(only(PH_VIOLATION_LEAK, 3));
    driver_free(p);
    driver_free_binary(b);
    erl_drv_mutex_destroy(m);
    driver_free(q);
    ph_things_left("other_drv");
    ck_assert(only(PH_VIOLATION_LEAK, 3));
}
END_TEST

START_TEST(twenty_reports_of_a_kind_are_written_and_all_are_counted)
{
    static char text[100000];
    FILE *log = tmpfile();
    int err = dup(STDERR_FILENO);
    ck_assert_ptr_nonnull(log);
    begin();
    dup2(fileno(log), STDERR_FILENO);
    for (int i = 0; i < 30; i++)
        ph_violation(PH_VIOLATION_BAD_TERM, "number %d", i);
    ph_violation(PH_VIOLATION_BAD_FD, "another kind");
    dup2(err, STDERR_FILENO);
    close(err);
    rewind(log);
    text[fread(text, 1, sizeof text - 1, log)] = '\0';
    fclose(log);
    ck_assert(strstr(text, "check: bad_term in a thread of its own: number 19\n") != NULL && strstr(text, "number 20") == NULL);
    ck_assert(strstr(text, "bad_term: more of these are only counted") != NULL && strstr(text, "another kind") != NULL);
    ck_assert_uint_eq(ph_violations_of(PH_VIOLATION_BAD_TERM), 30);
    uint64_t counts[PH_VIOLATION_COUNT];
    ck_assert_str_eq(ph_violations_by(0, counts), "unit_drv");
    ck_assert_uint_eq(counts[PH_VIOLATION_BAD_TERM], 30);
    ck_assert_ptr_null(ph_violations_by(1, counts));
}
END_TEST

/* --- what was sent: the test has the host's reference --- */

static ErlDrvBinary *new_sent(size_t size, size_t offset, size_t len)
{
    ErlDrvBinary *b = driver_alloc_binary(size);
    memset(b->orig_bytes, 0, size);
    ck_assert(ph_binary_is_live(b, "test"));
    ph_binary_sent(b, offset, len);
    ph_bin_ref(b);
    return b;
}

/* Whether a change of that byte is told, and only once; all is as before afterwards. */
static bool is_seen(ErlDrvBinary *b, size_t at)
{
    uint64_t before = reports();
    b->orig_bytes[at]++;
    ph_blocks_look_recent();
    ph_blocks_look_recent();
    b->orig_bytes[at]--;
    ck_assert_uint_le(reports(), before + 1);
    return reports() == before + 1;
}

START_TEST(each_range_that_was_sent_is_looked_at)
{
    static const struct { size_t offset, len; } sent[] = {{100, 50}, {150, 50}, {90, 10}, {10, 20}, {300, 1}, {110, 5}};
    begin();
    for (size_t at = 0; at < 320; at++) {
        bool expected = (at >= 90 && at < 200) || (at >= 10 && at < 30) || at == 300;
        ErlDrvBinary *b = new_sent(320, 0, 0);
        for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
            ph_binary_sent(b, sent[i].offset, sent[i].len);
        ck_assert(is_seen(b, at) == expected);
        ph_bin_unref(b);
        driver_free_binary(b);
    }
}
END_TEST

START_TEST(a_change_is_not_forgotten_when_more_is_sent)
{
    begin();
    ErlDrvBinary *b = new_sent(320, 0, 100);
    b->orig_bytes[50] = 1;
    ph_binary_sent(b, 100, 100);
    ph_binary_sent(b, 40, 20);
    ph_blocks_look_recent();
    ck_assert(only(PH_VIOLATION_DATA_CHANGED, 1));
}
END_TEST

START_TEST(of_many_ranges_the_last_are_looked_at)
{
    begin();
    ErlDrvBinary *b = new_sent(320, 0, 0);
    for (size_t i = 0; i < 100; i++)
        ph_binary_sent(b, 3 * i, 2);
    ck_assert(!is_seen(b, 299) && !is_seen(b, 150));
    ck_assert(is_seen(b, 298));
}
END_TEST

START_TEST(what_is_skipped_of_a_vector_is_not_sent)
{
    begin();
    ErlDrvBinary *b = new_sent(320, 0, 0);
    SysIOVec iov[] = {{b->orig_bytes, 10}, {b->orig_bytes + 10, 100}, {b->orig_bytes + 200, 50}};
    ErlDrvBinary *binv[] = {b, b, b};
    ErlIOVec ev = {.vsize = 3, .size = 160, .iov = iov, .binv = binv};
    ph_vector_sent(&ev, 30);
    ck_assert(!is_seen(b, 9) && !is_seen(b, 29) && !is_seen(b, 110) && !is_seen(b, 250));
    ck_assert(is_seen(b, 30));
    ph_vector_sent(&ev, 30);
    ck_assert(is_seen(b, 249));
}
END_TEST

START_TEST(what_the_host_has_no_more_may_be_changed)
{
    struct ph_report r;
    begin();
    ErlDrvBinary *b = new_sent(320, 0, 100);
    ph_bin_unref(b);
    b->orig_bytes[0] = 1;
    ck_assert(ph_binary_is_live(b, "test")); /* sent again: before the host gets its reference */
    ph_bin_ref(b);
    ph_blocks_look_recent();
    driver_binary_inc_refc(b);
    ph_binary_sent(b, 0, 100);
    ph_bin_unref(b);
    b->orig_bytes[0] = 2;
    driver_binary_dec_refc(b);
    ph_blocks_look_recent();
    ph_bin_ref(b);
    ph_binary_sent(b, 0, 100);
    ph_bin_unref(b);
    b->orig_bytes[0] = 3;
    ck_assert(ph_binary_take(b, &r)); /* an answer: it is the host's now */
    ph_blocks_look_recent();
    ph_bin_unref(b);
    ck_assert_uint_eq(reports(), 0);
}
END_TEST

static pthread_barrier_t ready;
static ErlDrvBinary *lent;

/* The host's part, and then the driver's, which sees that nobody else has it. */
static void *end_and_write(void *unused)
{
    pthread_barrier_wait(&ready);
    ph_bin_unref(lent);
    lent->orig_bytes[lent->orig_size - 1] = 1;
    return unused;
}

START_TEST(what_the_host_gives_back_while_it_is_looked_at_may_be_changed)
{
    begin();
    pthread_barrier_init(&ready, NULL, 2);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        lent = new_sent(1 << 20, 0, 1 << 20);
        ck_assert_int_eq(pthread_create(&thread, NULL, end_and_write, NULL), 0);
        pthread_barrier_wait(&ready);
        ph_blocks_look_recent();
        pthread_join(thread, NULL);
        driver_free_binary(lent);
    }
    ck_assert_uint_eq(reports(), 0);
}
END_TEST

#define KEYS 300
#define LOCKS 60 /* the thread sanitizer cannot follow more than 63 of a thread */

START_TEST(a_thread_may_hold_any_number_of_locks_and_data)
{
    ErlDrvMutex *m[LOCKS];
    ErlDrvTSDKey k[KEYS];
    begin();
    for (int i = 0; i < KEYS; i++) {
        ck_assert_int_eq(erl_drv_tsd_key_create((char *)"k", &k[i]), 0);
        erl_drv_tsd_set(k[i], &k[i]);
    }
    for (int i = 0; i < LOCKS; i++) {
        m[i] = erl_drv_mutex_create((char *)"m");
        erl_drv_mutex_lock(m[i]);
    }
    for (int i = 0; i < LOCKS; i++) {
        erl_drv_mutex_unlock(m[i]);
        erl_drv_mutex_destroy(m[i]);
    }
    for (int i = 0; i < KEYS; i++) {
        erl_drv_tsd_set(k[i], NULL);
        erl_drv_tsd_key_destroy(k[i]);
    }
    ph_things_left("unit_drv");
    ck_assert_uint_eq(reports(), 0);
}
END_TEST

static ErlDrvMutex *mutex;
static ErlDrvBinary *shared;

static void *work(void *unused)
{
    (void)unused;
    ph_self.kind = PH_THREAD_DRIVER;
    ph_self.driver = "unit_drv";
    for (int i = 0; i < 2000; i++) {
        void *p = driver_alloc((size_t)i);
        erl_drv_mutex_lock(mutex);
        driver_binary_inc_refc(shared);
        erl_drv_mutex_unlock(mutex);
        driver_free(driver_realloc(p, 10));
        driver_free_binary(shared);
        ph_blocks_look_recent();
    }
    return NULL;
}

START_TEST(threads_may_do_all_of_it_at_once)
{
    pthread_t threads[4];
    begin();
    mutex = erl_drv_mutex_create((char *)"m");
    shared = driver_alloc_binary(100);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(driver_binary_get_refc(shared), 1);
    driver_free_binary(shared);
    erl_drv_mutex_destroy(mutex);
    ph_things_left("unit_drv");
    ck_assert_uint_eq(reports(), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("checking");
    TCase *tc = runner_case(s, "checking");
    tcase_add_test(tc, memory_is_as_it_is_without_checks);
    tcase_add_test(tc, binaries_are_as_they_are_without_checks);
    tcase_add_test(tc, what_was_written_after_the_free_is_seen_when_the_block_is_given_back);
    tcase_add_test(tc, each_byte_of_the_guards_and_of_the_poison_is_looked_at);
    tcase_add_test(tc, damage_is_told_once);
    tcase_add_test(tc, what_is_left_is_told_once_and_only_of_that_driver);
    tcase_add_test(tc, twenty_reports_of_a_kind_are_written_and_all_are_counted);
    tcase_add_test(tc, each_range_that_was_sent_is_looked_at);
    tcase_add_test(tc, a_change_is_not_forgotten_when_more_is_sent);
    tcase_add_test(tc, of_many_ranges_the_last_are_looked_at);
    tcase_add_test(tc, what_is_skipped_of_a_vector_is_not_sent);
    tcase_add_test(tc, what_the_host_has_no_more_may_be_changed);
    tcase_add_test(tc, what_the_host_gives_back_while_it_is_looked_at_may_be_changed);
    tcase_add_test(tc, a_thread_may_hold_any_number_of_locks_and_data);
    tcase_add_test(tc, threads_may_do_all_of_it_at_once);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
