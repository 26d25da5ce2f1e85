/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/base/walk. */
#include <string.h>

#include "base/walk.h"
#include "runner.h"

#define OBJECTS 100

static struct ph_members list = TAILQ_HEAD_INITIALIZER(list);
static struct ph_member members[OBJECTS];
static char objects[OBJECTS];
static int visits[OBJECTS], order[2 * OBJECTS], visited;

static void add(int from, int to)
{
    for (int i = from; i < to; i++)
        ph_member_add(&list, &members[i], &objects[i]);
}

static void visit(void *object, void *arg)
{
    ck_assert_ptr_eq(arg, &list);
    order[visited++] = (int)((char *)object - objects);
    visits[order[visited - 1]]++;
}

static bool some(struct ph_walk *w, size_t n)
{
    return ph_walk_some(&list, w, n, visit, &list);
}

START_TEST(each_is_visited_once_in_the_order_in_which_they_came)
{
    for (size_t n = 1; n <= 2 * OBJECTS; n = n * 3 - 1 + (n == 1)) {
        struct ph_walk w;
        int pieces = 1;
        TAILQ_INIT(&list);
        visited = 0;
        add(0, OBJECTS);
        ph_walk_begin(&list, &w);
        for (; some(&w, n); pieces++)
            ck_assert_int_eq(visited, pieces * (int)n);
        ck_assert_int_eq(visited, OBJECTS);
        for (int i = 0; i < OBJECTS; i++)
            ck_assert_int_eq(order[i], i);
    }
}
END_TEST

START_TEST(of_those_that_come_and_go_meanwhile_none_is_visited_that_is_not_there)
{
    struct ph_walk w;
    add(0, 50);
    ph_walk_begin(&list, &w);
    ck_assert(some(&w, 10));
    for (int i = 8; i < 13; i++) /* before and behind where it has come */
        ph_member_remove(&list, &members[i]);
    add(50, OBJECTS);
    add(8, 9);
    while (some(&w, 10))
        continue;
    for (int i = 0; i < OBJECTS; i++)
        ck_assert_int_eq(visits[i], i < 10 || (i >= 13 && i < 50));
}
END_TEST

/* Each adds two for each that it visits. */
START_TEST(it_ends_however_many_are_added)
{
    struct ph_walk w;
    int next = 10;
    add(0, next);
    ph_walk_begin(&list, &w);
    for (; some(&w, 1); next += 2)
        add(next, next + 2);
    ck_assert_int_eq(visited, 10);
}
END_TEST

START_TEST(several_walks_at_a_time_do_not_see_each_other)
{
    struct ph_walk w[3];
    add(0, 20);
    for (int i = 0; i < 3; i++)
        ph_walk_begin(&list, &w[i]);
    ck_assert(some(&w[0], 5));
    ck_assert(some(&w[1], 10));
    ph_walk_give_up(&list, &w[0]);
    for (bool second = true, third = true; second || third;) {
        second = second && some(&w[1], 3);
        third = third && some(&w[2], 4);
    }
    for (int i = 0; i < 20; i++) {
        ck_assert_int_ge(visits[i], 2);
        ph_member_remove(&list, &members[i]);
    }
    ck_assert(TAILQ_EMPTY(&list));
}
END_TEST

START_TEST(of_nothing_it_is_over_at_once)
{
    struct ph_walk w;
    ph_walk_begin(&list, &w);
    ck_assert(!some(&w, 1));
    ck_assert(TAILQ_EMPTY(&list));
    ck_assert_int_eq(visited, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("walk");
    TCase *tc = runner_case(s, "walk");
    tcase_add_test(tc, each_is_visited_once_in_the_order_in_which_they_came);
    tcase_add_test(tc, of_those_that_come_and_go_meanwhile_none_is_visited_that_is_not_there);
    tcase_add_test(tc, it_ends_however_many_are_added);
    tcase_add_test(tc, several_walks_at_a_time_do_not_see_each_other);
    tcase_add_test(tc, of_nothing_it_is_over_at_once);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
