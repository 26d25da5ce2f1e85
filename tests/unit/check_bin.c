/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/base/bin.h, daemon/base/pool.h and daemon/api/alloc.c: driver memory and binaries. */
#include <erl_driver.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "base/bin.h"
#include "base/mem.h"
#include "base/pool.h"
#include "runner.h"

static volatile size_t huge[] = {(size_t)1 << 62, PTRDIFF_MAX, SIZE_MAX, SIZE_MAX - 8};

START_TEST(a_new_binary_has_its_size_one_reference_and_aligned_data)
{
    static const size_t sizes[] = {0, 1, 7, 8, 64, 65, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ErlDrvBinary *b = driver_alloc_binary(sizes[i]);
        ck_assert_ptr_nonnull(b);
        ck_assert_int_eq(b->orig_size, (ErlDrvSInt)sizes[i]);
        ck_assert_int_eq(driver_binary_get_refc(b), 1);
        ck_assert_uint_eq((uintptr_t)b->orig_bytes % 8, 0);
        memset(b->orig_bytes, 'x', sizes[i]);
        driver_free_binary(b);
    }
}
END_TEST

START_TEST(a_binary_that_cannot_be_is_refused)
{
    ErlDrvBinary *b = driver_alloc_binary(3);
    memcpy(b->orig_bytes, "abc", 3);
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        ck_assert_ptr_null(driver_alloc_binary(huge[i]));
        ck_assert_ptr_null(driver_realloc_binary(b, huge[i]));
    }
    ck_assert(b->orig_size == 3 && memcmp(b->orig_bytes, "abc", 3) == 0);
    driver_free_binary(b);
}
END_TEST

START_TEST(realloc_keeps_the_bytes_and_sets_the_size)
{
    ErlDrvBinary *b = driver_realloc_binary(NULL, 4);
    ck_assert_int_eq(driver_binary_get_refc(b), 1);
    memcpy(b->orig_bytes, "abcd", 4);
    b = driver_realloc_binary(b, 100000);
    ck_assert(b->orig_size == 100000 && memcmp(b->orig_bytes, "abcd", 4) == 0);
    b->orig_bytes[99999] = 'z';
    b = driver_realloc_binary(b, 2);
    ck_assert(b->orig_size == 2 && memcmp(b->orig_bytes, "ab", 2) == 0);
    b = driver_realloc_binary(b, 0);
    ck_assert_int_eq(b->orig_size, 0);
    ck_assert_int_eq(driver_binary_get_refc(b), 1);
    driver_free_binary(b);
}
END_TEST

START_TEST(references_are_counted_and_the_count_is_answered)
{
    ErlDrvBinary *b = driver_alloc_binary(8);
    ck_assert_int_eq(driver_binary_inc_refc(b), 2);
    ck_assert_ptr_eq(ph_bin_ref(b), b);
    ck_assert_int_eq(driver_binary_get_refc(b), 3);
    ck_assert_int_eq(driver_binary_dec_refc(b), 2);
    ph_bin_unref(b);
    ck_assert_int_eq(driver_binary_get_refc(b), 1);
    driver_free_binary(b);
    driver_free_binary(NULL);
    ph_bin_unref(NULL);
}
END_TEST

START_TEST(dec_refc_to_zero_does_not_free)
{
    ErlDrvBinary *b = driver_alloc_binary(4);
    memcpy(b->orig_bytes, "abcd", 4);
    ck_assert_int_eq(driver_binary_dec_refc(b), 0);
    ck_assert_int_eq(memcmp(b->orig_bytes, "abcd", 4), 0);
    ck_assert_int_eq(driver_binary_inc_refc(b), 1);
    driver_free_binary(b);
}
END_TEST

static void *hold_and_drop(void *p)
{
    for (int i = 0; i < 10000; i++) {
        ph_bin_ref(p);
        ph_bin_unref(p);
    }
    ph_bin_unref(p);
    return NULL;
}

START_TEST(threads_share_a_binary_and_the_last_one_frees_it)
{
    pthread_t t[4];
    ErlDrvBinary *b = ph_bin_new(1000);
    for (int i = 0; i < 4; i++) {
        ph_bin_ref(b);
        pthread_create(&t[i], NULL, hold_and_drop, b);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    ck_assert_int_eq(ph_bin_refc(b), 1);
    ph_bin_unref(b);
}
END_TEST

START_TEST(freed_blocks_are_kept_to_a_limit_until_threads_are_to_be_tidy)
{
    enum { SIZE = 200, BLOCKS = 2000 };
    void *blocks[BLOCKS];
    size_t class = (SIZE - 1) / PH_POOL_STEP;
    if (ph_mem_is_watched())
        return; /* then none are kept */
    for (int i = 0; i < BLOCKS; i++)
        ck_assert_ptr_nonnull(blocks[i] = ph_pool_alloc(SIZE));
    for (int i = 0; i < BLOCKS; i++)
        ph_pool_free(blocks[i], SIZE);
    ck_assert_uint_eq(ph_pool_mine->kept[class], PH_POOL_KEPT);
    ck_assert(ph_pool_is_tidy());
    ph_pools_tidy();
    ck_assert(!ph_pool_is_tidy());
    ph_pool_tidy();
    ck_assert(ph_pool_is_tidy());
    ck_assert_uint_eq(ph_pool_mine->kept[class], 0);
    ck_assert_ptr_null(SLIST_FIRST(&ph_pool_mine->blocks[class]));
}
END_TEST

START_TEST(driver_alloc_is_malloc_but_for_size_zero)
{
    void *p = driver_alloc(0), *q = driver_alloc(10);
    ck_assert(p != NULL && q != NULL);
    ck_assert_ptr_null(driver_alloc(huge[0]));
    void *r = driver_realloc(q, 0);
    ck_assert_ptr_nonnull(r);
    r = driver_realloc(r, 1000);
    memset(r, 'x', 1000);
    ck_assert_ptr_null(driver_realloc(r, huge[0]));
    void *s = driver_realloc(NULL, 5);
    ck_assert_ptr_nonnull(s);
    driver_free(p);
    driver_free(r);
    driver_free(s);
    driver_free(NULL);
}
END_TEST

START_TEST(driver_alloc_gives_zeroed_structs_but_where_drivers_are_watched)
{
    static const char zeros[1000];
    for (int i = 0; i < 10; i++) {
        char *p = driver_alloc(sizeof zeros);
        if (!ph_mem_is_watched())
            ck_assert_mem_eq(p, zeros, sizeof zeros);
        memset(p, 0xbe, sizeof zeros);
        driver_free(p);
    }
}
END_TEST

START_TEST(vec_to_buf_returns_the_bytes_copied)
{
    char one[] = "abc", two[] = "defg", out[16];
    SysIOVec iov[] = {{NULL, 0}, {one, 3}, {NULL, 0}, {two, 4}};
    ErlDrvBinary *binv[] = {NULL, NULL, NULL, NULL};
    ErlIOVec ev = {.vsize = 4, .size = 7, .iov = iov, .binv = binv};
    for (size_t len = 0; len <= 9; len++) {
        memset(out, '#', sizeof out);
        size_t n = len < 7 ? len : 7;
        ck_assert_uint_eq(driver_vec_to_buf(&ev, out, len), n);
        ck_assert_int_eq(memcmp(out, "abcdefg", n), 0);
        ck_assert_int_eq(out[n], '#');
    }
    ev.size = 2;
    ck_assert_uint_eq(driver_vec_to_buf(&ev, out, sizeof out), 7);
    ev.vsize = 0;
    ck_assert_uint_eq(driver_vec_to_buf(&ev, out, sizeof out), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("bin");
    TCase *tc = runner_case(s, "bin");
    tcase_add_test(tc, a_new_binary_has_its_size_one_reference_and_aligned_data);
    tcase_add_test(tc, a_binary_that_cannot_be_is_refused);
    tcase_add_test(tc, realloc_keeps_the_bytes_and_sets_the_size);
    tcase_add_test(tc, references_are_counted_and_the_count_is_answered);
    tcase_add_test(tc, dec_refc_to_zero_does_not_free);
    tcase_add_test(tc, threads_share_a_binary_and_the_last_one_frees_it);
    tcase_add_test(tc, freed_blocks_are_kept_to_a_limit_until_threads_are_to_be_tidy);
    tcase_add_test(tc, driver_alloc_is_malloc_but_for_size_zero);
    tcase_add_test(tc, driver_alloc_gives_zeroed_structs_but_where_drivers_are_watched);
    tcase_add_test(tc, vec_to_buf_returns_the_bytes_copied);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
