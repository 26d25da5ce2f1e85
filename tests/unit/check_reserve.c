/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "base/reserve.h"
#include "runner.h"

START_TEST(blocks_are_apart_aligned_and_whole)
{
    char *blocks[PH_RESERVE_BLOCKS];
    for (size_t i = 0; i < PH_RESERVE_BLOCKS; i++) {
        blocks[i] = ph_reserve_take(PH_RESERVE_BLOCK);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i % 251), PH_RESERVE_BLOCK);
    }
    ck_assert_uint_eq(ph_reserve_used(), PH_RESERVE_BLOCKS);
    ck_assert_ptr_null(ph_reserve_take(1));
    for (size_t i = 0; i < PH_RESERVE_BLOCKS; i++)
        for (size_t k = 0; k < PH_RESERVE_BLOCK; k += 97)
            ck_assert_int_eq((unsigned char)blocks[i][k], (int)(i % 251));
    for (size_t i = 0; i < PH_RESERVE_BLOCKS; i++)
        ph_free(blocks[i]);
    ck_assert_uint_eq(ph_reserve_used(), 0);
}
END_TEST

START_TEST(what_was_given_back_is_given_out_again)
{
    void *first = ph_reserve_take(1);
    ph_reserve_give(first);
    ck_assert_ptr_eq(ph_reserve_take(PH_RESERVE_BLOCK), first);
}
END_TEST

START_TEST(more_than_a_block_is_not_to_be_had)
{
    ck_assert_ptr_null(ph_reserve_take(PH_RESERVE_BLOCK + 1));
    ck_assert_uint_eq(ph_reserve_used(), 0);
}
END_TEST

START_TEST(a_block_that_grows_goes_to_malloc_with_what_is_in_it)
{
    char *p = ph_reserve_take(100);
    memset(p, 7, PH_RESERVE_BLOCK);
    p = ph_realloc_try(p, 3 * PH_RESERVE_BLOCK);
    ck_assert_ptr_nonnull(p);
    ck_assert(!ph_reserve_has(p));
    ck_assert_uint_eq(ph_reserve_used(), 0);
    for (size_t i = 0; i < PH_RESERVE_BLOCK; i++)
        ck_assert_int_eq(p[i], 7);
    ph_free(p);
}
END_TEST

START_TEST(what_lies_beside_it_is_not_in_it)
{
    int here;
    ck_assert(!ph_reserve_has(NULL));
    ck_assert(!ph_reserve_has(&here));
    ck_assert(!ph_reserve_has((char *)ph_reserve - 1));
    ck_assert(ph_reserve_has(ph_reserve));
    ck_assert(ph_reserve_has((char *)ph_reserve + sizeof ph_reserve - 1));
    ck_assert(!ph_reserve_has((char *)ph_reserve + sizeof ph_reserve));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reserve");
    TCase *tc = runner_case(s, "reserve");
    tcase_add_test(tc, blocks_are_apart_aligned_and_whole);
    tcase_add_test(tc, what_was_given_back_is_given_out_again);
    tcase_add_test(tc, more_than_a_block_is_not_to_be_had);
    tcase_add_test(tc, a_block_that_grows_goes_to_malloc_with_what_is_in_it);
    tcase_add_test(tc, what_lies_beside_it_is_not_in_it);
    return runner_main(s);
}
