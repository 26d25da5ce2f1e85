/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/base/handle: handles and the objects behind them. A table is never freed, so each test keeps its own in `table`. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "base/handle.h"
#include "runner.h"

#define MANY 10000 /* slots come by thousands: these are several of such steps */
#define ADDERS 4

static struct ph_handles *table;
static char objects[MANY];
static uint64_t handles[MANY];
static int refs;
static void *referenced;

static void count_ref(void *obj)
{
    refs++;
    referenced = obj;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void check_distinct(void)
{
    qsort(handles, MANY, sizeof handles[0], compare);
    for (int i = 1; i < MANY; i++) {
        ck_assert_uint_ne(handles[i - 1], handles[i]);
    }
}

START_TEST(a_handle_is_60_bits_not_0_and_gives_its_object)
{
    table = ph_handles_new();
    for (int i = 0; i < MANY; i++) {
        handles[i] = ph_handle_add(table, &objects[i]);
        ck_assert_uint_ne(handles[i], 0);
        ck_assert_uint_eq(handles[i] >> 60, 0);
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_ptr_eq(ph_handle_get(table, handles[i], NULL), &objects[i]);
    }
    check_distinct();
}
END_TEST

START_TEST(a_handle_that_was_never_given_is_refused)
{
    static const uint64_t invented[] = {0, 1, UINT64_MAX, UINT64_C(1) << 60, UINT64_C(1) << 28, (UINT64_C(1) << 28) - 1, UINT32_MAX};
    table = ph_handles_new();
    for (size_t i = 0; i < sizeof invented / sizeof invented[0]; i++) {
        ck_assert_ptr_null(ph_handle_get(table, invented[i], count_ref));
        ck_assert(!ph_handle_was_given(table, invented[i]));
    }
    uint64_t handle = ph_handle_add(table, objects);
    for (size_t i = 0; i < sizeof invented / sizeof invented[0]; i++) {
        if (invented[i] != handle) {
            ck_assert_ptr_null(ph_handle_get(table, invented[i], count_ref));
            ck_assert(!ph_handle_was_given(table, invented[i]));
        }
    }
    for (int bit = 0; bit < 64; bit++) {
        ck_assert_ptr_null(ph_handle_get(table, handle ^ (UINT64_C(1) << bit), count_ref));
    }
    ck_assert_int_eq(refs, 0);
}
END_TEST

START_TEST(a_removed_handle_is_refused_also_when_its_slot_is_used_again)
{
    table = ph_handles_new();
    for (int i = 0; i < MANY; i++) {
        handles[i] = ph_handle_add(table, &objects[i]);
        ck_assert_ptr_eq(ph_handle_get(table, handles[i], NULL), &objects[i]);
        ph_handle_remove(table, handles[i]);
        ck_assert_ptr_null(ph_handle_get(table, handles[i], count_ref));
        ck_assert(ph_handle_was_given(table, handles[i]));
        ck_assert(!ph_handle_was_given(table, handles[i] + (UINT64_C(1) << 28))); /* the next of that slot */
    }
    ck_assert(ph_handle_was_given(table, ph_handle_add(table, objects)));
    for (int i = 0; i < MANY; i++) {
        ck_assert_ptr_null(ph_handle_get(table, handles[i], count_ref));
    }
    ck_assert_int_eq(refs, 0);
    check_distinct();
}
END_TEST

START_TEST(a_removed_slot_is_used_again)
{
    table = ph_handles_new();
    uint64_t a = ph_handle_add(table, &objects[0]), b = ph_handle_add(table, &objects[1]);
    ph_handle_remove(table, a);
    ph_handle_remove(table, b);
    uint64_t c = ph_handle_add(table, &objects[2]), d = ph_handle_add(table, &objects[3]);
    const uint64_t slot = (UINT64_C(1) << 28) - 1;
    ck_assert((c & slot) == (a & slot) || (c & slot) == (b & slot));
    ck_assert((d & slot) == (a & slot) || (d & slot) == (b & slot));
    ck_assert_ptr_eq(ph_handle_get(table, c, NULL), &objects[2]);
    ck_assert_ptr_eq(ph_handle_get(table, d, NULL), &objects[3]);
}
END_TEST

static void note_met(void *obj, void *arg)
{
    unsigned *met = arg;
    met[(char *)obj - objects]++;
}

START_TEST(each_meets_every_object_once_and_none_that_is_gone)
{
    enum { N = 5000 }; /* more than a chunk */
    static unsigned met[N];
    uint64_t gone[3];
    table = ph_handles_new();
    uint32_t at = 0;
    ck_assert(!ph_handles_some(table, &at, 100, note_met, met));
    for (int i = 0; i < N; i++) {
        uint64_t handle = ph_handle_add(table, &objects[i]);
        if (i % 2000 == 0)
            gone[i / 2000] = handle;
    }
    for (int i = 0; i < 3; i++)
        ph_handle_remove(table, gone[i]);
    for (at = 0; ph_handles_some(table, &at, 100, note_met, met);)
        ck_assert_uint_eq(at % 100, 0);
    for (int i = 0; i < N; i++)
        ck_assert_uint_eq(met[i], i % 2000 != 0);
}
END_TEST

START_TEST(get_takes_one_reference_of_the_object)
{
    table = ph_handles_new();
    ph_handle_add(table, &objects[0]);
    uint64_t handle = ph_handle_add(table, &objects[1]);
    ck_assert_ptr_eq(ph_handle_get(table, handle, count_ref), &objects[1]);
    ck_assert_int_eq(refs, 1);
    ck_assert_ptr_eq(referenced, &objects[1]);
    ph_handle_get(table, handle, NULL);
    ck_assert_int_eq(refs, 1);
}
END_TEST

static uint64_t contended;
static atomic_bool in_ref, removed, removed_within_ref;

static void *remove_when_referenced(void *p)
{
    while (!atomic_load(&in_ref)) {
        usleep(100);
    }
    ph_handle_remove(table, contended);
    atomic_store(&removed, true);
    return p;
}

static void slow_ref(void *obj)
{
    (void)obj;
    atomic_store(&in_ref, true);
    usleep(50000);
    atomic_store(&removed_within_ref, atomic_load(&removed));
}

START_TEST(an_object_cannot_be_removed_while_its_reference_is_taken)
{
    pthread_t tid;
    table = ph_handles_new();
    contended = ph_handle_add(table, objects);
    ck_assert_int_eq(pthread_create(&tid, NULL, remove_when_referenced, NULL), 0);
    ck_assert_ptr_eq(ph_handle_get(table, contended, slow_ref), objects);
    pthread_join(tid, NULL);
    ck_assert(!atomic_load(&removed_within_ref));
    ck_assert_ptr_null(ph_handle_get(table, contended, NULL));
}
END_TEST

/* Each adder's part of `objects` and `handles`; every second one is removed and added once more. */
static void *add_part(void *p)
{
    int part = (int)((char *)p - objects);
    for (int i = part; i < MANY; i += ADDERS) {
        handles[i] = ph_handle_add(table, &objects[i]);
        if (i % (2 * ADDERS) < ADDERS) {
            ph_handle_remove(table, handles[i]);
            handles[i] = ph_handle_add(table, &objects[i]);
        }
    }
    return NULL;
}

START_TEST(threads_that_add_and_remove_at_once_get_handles_of_their_own)
{
    pthread_t tid[ADDERS];
    table = ph_handles_new();
    for (int i = 0; i < ADDERS; i++) {
        ck_assert_int_eq(pthread_create(&tid[i], NULL, add_part, &objects[i]), 0);
    }
    for (int i = 0; i < ADDERS; i++) {
        pthread_join(tid[i], NULL);
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_ptr_eq(ph_handle_get(table, handles[i], NULL), &objects[i]);
    }
    check_distinct();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("handle");
    TCase *tc = runner_case(s, "handle");
    tcase_add_test(tc, a_handle_is_60_bits_not_0_and_gives_its_object);
    tcase_add_test(tc, a_handle_that_was_never_given_is_refused);
    tcase_add_test(tc, a_removed_handle_is_refused_also_when_its_slot_is_used_again);
    tcase_add_test(tc, a_removed_slot_is_used_again);
    tcase_add_test(tc, each_meets_every_object_once_and_none_that_is_gone);
    tcase_add_test(tc, get_takes_one_reference_of_the_object);
    tcase_add_test(tc, an_object_cannot_be_removed_while_its_reference_is_taken);
    tcase_add_test(tc, threads_that_add_and_remove_at_once_get_handles_of_their_own);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
