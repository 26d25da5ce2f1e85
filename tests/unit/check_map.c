/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/base/map. Values are addresses in `objects`, so that each tells its key's index. */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/map.h"
#include "runner.h"

#define KEYS 512
#define STEPS 50000

static struct ph_map map;
static char objects[KEYS];
static int visits[KEYS];

/* Small and neighbouring, large, and with equal low halves: what ids and handles look like. */
static uint64_t key(int i)
{
    switch (i % 4) {
    case 0:
        return (uint64_t)i;
    case 1:
        return UINT64_MAX - (uint64_t)i;
    case 2:
        return (uint64_t)i << 32;
    default:
        return (uint64_t)i << 28 | 7;
    }
}

static unsigned random_below(unsigned n)
{
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(state >> 33) % n;
}

static void put(int from, int to)
{
    for (int i = from; i < to; i++) {
        ph_map_put(&map, key(i), &objects[i]);
    }
}

static void visit(void *value, void *arg)
{
    visits[(char *)value - objects]++;
    ck_assert_ptr_eq(arg, visits);
}

START_TEST(an_empty_map_has_nothing_and_no_memory)
{
    ck_assert_ptr_null(ph_map_get(&map, 0));
    ck_assert_ptr_null(ph_map_del(&map, 0));
    ph_map_each(&map, visit, NULL);
    ph_map_clear(&map);
    ck_assert(map.entries == NULL && map.cap == 0);
}
END_TEST

START_TEST(what_was_put_is_found_until_it_is_deleted)
{
    put(0, KEYS);
    ck_assert_uint_eq(map.n, KEYS);
    for (int i = 0; i < KEYS; i++) {
        ck_assert_ptr_eq(ph_map_get(&map, key(i)), &objects[i]);
        ck_assert_ptr_eq(ph_map_del(&map, key(i)), &objects[i]);
        ck_assert_ptr_null(ph_map_get(&map, key(i)));
        ck_assert_ptr_null(ph_map_del(&map, key(i)));
    }
}
END_TEST

START_TEST(a_key_that_was_not_put_is_not_found)
{
    put(0, 100);
    for (int i = 100; i < KEYS; i++) {
        ck_assert_ptr_null(ph_map_get(&map, key(i)));
        ck_assert_ptr_null(ph_map_del(&map, key(i)));
    }
    ck_assert_uint_eq(map.n, 100);
    ph_map_clear(&map);
}
END_TEST

/* A few hundred keys at most at a time, so that long chains, chains around the end and both resizings come often. */
START_TEST(whatever_the_order_it_has_what_a_plain_array_has)
{
    void *model[KEYS] = {NULL};
    size_t n = 0;
    for (int step = 0; step < STEPS; step++) {
        unsigned range = (step / 1000) % 2 ? KEYS : KEYS / 16;
        int i = (int)random_below(range);
        if (model[i]) {
            ck_assert_ptr_eq(ph_map_del(&map, key(i)), model[i]);
            model[i] = NULL;
            n--;
        } else {
            ph_map_put(&map, key(i), model[i] = &objects[i]);
            n++;
        }
        ck_assert_uint_eq(map.n, n);
        i = (int)random_below(KEYS);
        ck_assert_ptr_eq(ph_map_get(&map, key(i)), model[i]);
        for (i = 0; step % 64 == 0 && i < KEYS; i++) {
            ck_assert_ptr_eq(ph_map_get(&map, key(i)), model[i]);
        }
    }
    ph_map_clear(&map);
}
END_TEST

START_TEST(each_value_is_visited_once)
{
    put(0, 300);
    for (int i = 100; i < 200; i++) {
        ph_map_del(&map, key(i));
    }
    ph_map_each(&map, visit, visits);
    for (int i = 0; i < KEYS; i++) {
        ck_assert_int_eq(visits[i], i < 100 || (i >= 200 && i < 300));
    }
    ph_map_clear(&map);
}
END_TEST

START_TEST(memory_is_given_back)
{
    put(0, KEYS);
    ck_assert_uint_gt(map.cap, KEYS);
    for (int i = 8; i < KEYS; i++) {
        ph_map_del(&map, key(i));
    }
    ck_assert_uint_le(map.cap, 128);
    for (int i = 0; i < 8; i++) {
        ck_assert_ptr_eq(ph_map_del(&map, key(i)), &objects[i]);
    }
    ck_assert(map.entries == NULL && map.cap == 0 && map.n == 0);
}
END_TEST

START_TEST(a_map_that_served_many_keys_stays_small)
{
    for (int round = 0; round < 1000; round++) {
        int i = round % (KEYS - 4);
        put(i, i + 4);
        for (int j = i; j < i + 4; j++) {
            ck_assert_ptr_eq(ph_map_del(&map, key(j)), &objects[j]);
        }
    }
    put(0, 1);
    for (int round = 0; round < 10000; round++) {
        ph_map_put(&map, UINT64_C(1000000) + (uint64_t)round, objects);
        ck_assert_ptr_eq(ph_map_del(&map, UINT64_C(1000000) + (uint64_t)round), objects);
    }
    ck_assert_uint_le(map.cap, 8);
    ph_map_clear(&map);
}
END_TEST

START_TEST(a_cleared_map_can_be_used_again)
{
    put(0, 50);
    ph_map_clear(&map);
    ck_assert(map.entries == NULL && map.cap == 0 && map.n == 0);
    ck_assert_ptr_null(ph_map_get(&map, key(1)));
    put(0, 50);
    ck_assert_ptr_eq(ph_map_get(&map, key(1)), &objects[1]);
    ph_map_clear(&map);
}
END_TEST

#define CHOSEN 50000
#define TIMES 10 /* slower than with keys that nobody has chosen; with all of them in one chain it is a hundred times */

static clock_t time_of(const uint64_t *keys)
{
    clock_t begun = clock();
    for (int i = 0; i < CHOSEN; i++) {
        ph_map_put(&map, keys[i], objects);
    }
    for (int i = 0; i < CHOSEN; i++) {
        ck_assert_ptr_eq(ph_map_del(&map, keys[i]), objects);
    }
    return clock() - begun + 1;
}

/* Products with a constant, of which the middle bits or the low ones or the high ones are equal, and multiples of powers of two: the homes of the usual tables. */
START_TEST(keys_cannot_be_chosen_to_lie_together)
{
    static uint64_t keys[CHOSEN];
    uint64_t inverse = 1, constant = UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < 6; i++) {
        inverse *= 2 - constant * inverse;
    }
    for (int kind = -1; kind < 5; kind++) {
        for (uint64_t i = 0; i < CHOSEN; i++) {
            uint64_t products[] = {i, i << 52 | i, i << 32};
            keys[i] = kind < 0 ? i : kind < 3 ? products[kind] * inverse : i << (kind == 3 ? 32 : 48);
        }
        static clock_t plain;
        clock_t took = time_of(keys);
        plain = kind < 0 ? took : plain;
        ck_assert_msg(took < TIMES * plain, "kind %d: %ld, plain %ld", kind, (long)took, (long)plain);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("map");
    TCase *tc = runner_case(s, "map");
    tcase_add_test(tc, an_empty_map_has_nothing_and_no_memory);
    tcase_add_test(tc, what_was_put_is_found_until_it_is_deleted);
    tcase_add_test(tc, a_key_that_was_not_put_is_not_found);
    tcase_add_test(tc, whatever_the_order_it_has_what_a_plain_array_has);
    tcase_add_test(tc, each_value_is_visited_once);
    tcase_add_test(tc, memory_is_given_back);
    tcase_add_test(tc, a_map_that_served_many_keys_stays_small);
    tcase_add_test(tc, a_cleared_map_can_be_used_again);
    tcase_add_test(tc, keys_cannot_be_chosen_to_lie_together);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
