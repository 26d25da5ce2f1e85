/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/port/ioq.h, the driver queue. */
#include <stdint.h>
#include <string.h>

#include "base/bin.h"
#include "port/ioq.h"
#include "runner.h"

static struct ph_ioq q;

static ErlDrvBinary *bin(const char *text)
{
    ErlDrvBinary *b = ph_bin_new(strlen(text));
    memcpy(b->orig_bytes, text, strlen(text));
    return b;
}

/* The queue as text, a bar after each element. */
static const char *shown(void)
{
    static char text[1000];
    int n;
    size_t len = 0;
    SysIOVec *v = ph_ioq_peek(&q, &n);
    for (int i = 0; i < n; i++) {
        memcpy(text + len, v[i].iov_base, v[i].iov_len);
        len += v[i].iov_len;
        text[len++] = '|';
    }
    text[len] = '\0';
    return text;
}

START_TEST(an_empty_queue_has_no_memory_and_answers_so)
{
    int n = -7;
    ErlIOVec ev = {.vsize = -7, .size = 7};
    ck_assert_ptr_null(ph_ioq_peek(&q, &n));
    ck_assert_int_eq(n, 0);
    ck_assert_uint_eq(ph_ioq_peekv(&q, &ev), 0);
    ck_assert(ev.vsize == 0 && ev.size == 0 && ev.iov == NULL && ev.binv == NULL);
    ck_assert_uint_eq(ph_ioq_deq(&q, 0), 0);
    ck_assert_uint_eq(ph_ioq_deq(&q, 1), SIZE_MAX);
    ck_assert(ph_ioq_enq(&q, NULL, 0) == 0 && ph_ioq_pushq(&q, "x", 0) == 0);
    ck_assert_ptr_null(q.v);
    ph_ioq_clear(&q);
}
END_TEST

START_TEST(bytes_are_copied_and_go_to_the_end_they_are_sent_to)
{
    char text[] = "middle";
    ck_assert_int_eq(ph_ioq_enq(&q, text, 6), 0);
    memset(text, '#', 6);
    ck_assert(ph_ioq_enq(&q, "last", 4) == 0 && ph_ioq_pushq(&q, "first", 5) == 0);
    ck_assert_str_eq(shown(), "first|middle|last|");
    ck_assert_uint_eq(q.size, 15);
    ph_ioq_clear(&q);
    ck_assert(q.v == NULL && q.size == 0 && q.n == 0);
}
END_TEST

START_TEST(deq_frees_whole_elements_and_advances_inside_one)
{
    ErlDrvBinary *b = bin("abcdef");
    ph_ioq_enq_bin(&q, b, 0, 6);
    ph_ioq_enq(&q, "ghi", 3);
    ck_assert_int_eq(ph_bin_refc(b), 2);
    ck_assert_uint_eq(ph_ioq_deq(&q, 2), 7);
    ck_assert_str_eq(shown(), "cdef|ghi|");
    ck_assert_uint_eq(ph_ioq_deq(&q, 5), 2);
    ck_assert_int_eq(ph_bin_refc(b), 1);
    ck_assert_str_eq(shown(), "hi|");
    ck_assert_uint_eq(ph_ioq_deq(&q, 2), 0);
    ck_assert_str_eq(shown(), "");
    ph_ioq_clear(&q);
    ph_bin_unref(b);
}
END_TEST

START_TEST(deq_of_more_than_there_is_removes_nothing)
{
    ph_ioq_enq(&q, "abc", 3);
    ck_assert_uint_eq(ph_ioq_deq(&q, 4), SIZE_MAX);
    ck_assert_uint_eq(ph_ioq_deq(&q, SIZE_MAX), SIZE_MAX);
    ck_assert_str_eq(shown(), "abc|");
    ck_assert_uint_eq(ph_ioq_deq(&q, 0), 3);
    ph_ioq_clear(&q);
}
END_TEST

START_TEST(a_binary_is_shared_and_a_part_of_it_will_do)
{
    ErlDrvBinary *b = bin("0123456789");
    ck_assert(ph_ioq_enq_bin(&q, b, 4, 3) == 0 && ph_ioq_pushq_bin(&q, b, 9, 1) == 0);
    ck_assert_str_eq(shown(), "9|456|");
    ck_assert_int_eq(ph_bin_refc(b), 3);
    ck_assert(ph_ioq_enq_bin(&q, b, 4, 0) == 0 && ph_ioq_pushq_bin(&q, b, 99, 0) == 0);
    ck_assert_int_eq(ph_bin_refc(b), 3);
    int n;
    ck_assert_ptr_eq(ph_ioq_peek(&q, &n)[1].iov_base, b->orig_bytes + 4);
    ph_ioq_clear(&q);
    ck_assert_int_eq(ph_bin_refc(b), 1);
    ph_bin_unref(b);
}
END_TEST

START_TEST(a_part_outside_the_binary_is_refused)
{
    ErlDrvBinary *b = bin("0123456789");
    ck_assert_int_eq(ph_ioq_enq_bin(&q, b, 4, 7), -1);
    ck_assert_int_eq(ph_ioq_pushq_bin(&q, b, 11, 1), -1);
    ck_assert_int_eq(ph_ioq_enq_bin(&q, b, 5, SIZE_MAX - 2), -1);
    ck_assert_int_eq(ph_bin_refc(b), 1);
    ck_assert_uint_eq(q.size, 0);
    ph_bin_unref(b);
}
END_TEST

/* "ab" shared, "" and "cdef" of nobody, "ghi" shared. */
struct vec {
    ErlDrvBinary *b;
    char loose[4];
    SysIOVec iov[5];
    ErlDrvBinary *binv[5];
    ErlIOVec ev;
};

static void make_vec(struct vec *v)
{
    v->b = bin("abghi");
    memcpy(v->loose, "cdef", 4);
    SysIOVec iov[5] = {{NULL, 0}, {v->b->orig_bytes, 2}, {v->loose, 0}, {v->loose, 4}, {v->b->orig_bytes + 2, 3}};
    ErlDrvBinary *binv[5] = {NULL, v->b, NULL, NULL, v->b};
    memcpy(v->iov, iov, sizeof iov);
    memcpy(v->binv, binv, sizeof binv);
    v->ev = (ErlIOVec){.vsize = 5, .size = 9, .iov = v->iov, .binv = v->binv};
}

START_TEST(a_vector_goes_in_as_a_block_sharing_what_it_can)
{
    struct vec v;
    make_vec(&v);
    ph_ioq_enq(&q, "X", 1);
    ck_assert_int_eq(ph_ioq_enqv(&q, &v.ev, 0), 0);
    ck_assert_int_eq(ph_ioq_pushqv(&q, &v.ev, 0), 0);
    memset(v.loose, '#', 4);
    ck_assert_str_eq(shown(), "ab|cdef|ghi|X|ab|cdef|ghi|");
    ck_assert_uint_eq(q.size, 19);
    ck_assert_int_eq(ph_bin_refc(v.b), 5);
    ErlIOVec ev;
    ck_assert_uint_eq(ph_ioq_peekv(&q, &ev), 19);
    ck_assert(ev.vsize == 7 && ev.size == 19 && ev.binv[0] == v.b && ev.binv[1] != NULL && ev.binv[1] != v.b);
    ph_ioq_clear(&q);
    ck_assert_int_eq(ph_bin_refc(v.b), 1);
    ph_bin_unref(v.b);
}
END_TEST

START_TEST(skip_passes_bytes_and_shows_in_the_callers_vector)
{
    static const struct {
        size_t skip;
        const char *queue;
    } cases[] = {{0, "ab|cdef|ghi|"}, {1, "b|cdef|ghi|"}, {2, "cdef|ghi|"}, {4, "ef|ghi|"}, {8, "i|"}, {9, ""}, {99, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int front = 0; front < 2; front++) {
            struct vec v;
            make_vec(&v);
            int r = front ? ph_ioq_pushqv(&q, &v.ev, cases[i].skip) : ph_ioq_enqv(&q, &v.ev, cases[i].skip);
            ck_assert_int_eq(r, 0);
            ck_assert_str_eq(shown(), cases[i].queue);
            ck_assert(v.ev.vsize == 5 && v.ev.size == 9);
            ck_assert_uint_eq(v.iov[1].iov_len, cases[i].skip == 1 ? 1 : 2);
            ck_assert_ptr_eq(v.iov[3].iov_base, v.loose + (cases[i].skip == 4 ? 2 : 0));
            ph_ioq_clear(&q);
            ph_bin_unref(v.b);
        }
    }
}
END_TEST

START_TEST(a_vector_without_binaries_is_copied)
{
    struct vec v;
    make_vec(&v);
    v.ev.binv = NULL;
    ck_assert_int_eq(ph_ioq_enqv(&q, &v.ev, 1), 0);
    ck_assert_str_eq(shown(), "b|cdef|ghi|");
    ck_assert_int_eq(ph_bin_refc(v.b), 1);
    ph_ioq_clear(&q);
    ph_bin_unref(v.b);
}
END_TEST

START_TEST(a_vector_shorter_than_it_says_is_not_read_past)
{
    struct vec v;
    make_vec(&v);
    v.ev.size = 1000;
    ck_assert_int_eq(ph_ioq_enqv(&q, &v.ev, 500), 0);
    ck_assert_uint_eq(q.size, 0);
    ck_assert_int_eq(ph_ioq_enqv(&q, &v.ev, 0), 0);
    ck_assert_uint_eq(q.size, 9);
    ph_ioq_clear(&q);
    ph_bin_unref(v.b);
}
END_TEST

START_TEST(without_memory_all_of_a_vector_is_refused)
{
    struct vec v;
    make_vec(&v);
    v.iov[3].iov_len = (size_t)1 << 62;
    v.ev.size = v.iov[3].iov_len + 5;
    ph_ioq_enq(&q, "X", 1);
    ck_assert_int_eq(ph_ioq_enqv(&q, &v.ev, 0), -1);
    ck_assert_int_eq(ph_ioq_pushqv(&q, &v.ev, 0), -1);
    ck_assert_int_eq(ph_ioq_enq(&q, v.loose, SIZE_MAX), -1);
    ck_assert_str_eq(shown(), "X|");
    ck_assert_uint_eq(q.size, 1);
    ck_assert_int_eq(ph_bin_refc(v.b), 1);
    ph_ioq_clear(&q);
    ph_bin_unref(v.b);
}
END_TEST

static uint32_t rnd(uint32_t below)
{
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

/* One random operation on the queue and on a flat copy of it in the middle of a large buffer; the new bounds of the copy. */
static void one_operation(char *base, char **head, char **tail)
{
    char text[20];
    uint32_t len = rnd(20), op = rnd(4);
    for (uint32_t i = 0; i < len; i++) {
        text[i] = (char)('a' + rnd(26));
    }
    if (op == 0) {
        ck_assert_int_eq(ph_ioq_enq(&q, text, len), 0);
        memcpy(*tail, text, len);
        *tail += len;
    } else if (op == 1) {
        ck_assert_int_eq(ph_ioq_pushq(&q, text, len), 0);
        *head -= len;
        memcpy(*head, text, len);
    } else {
        size_t n = rnd(22), size = (size_t)(*tail - *head);
        ck_assert_uint_eq(ph_ioq_deq(&q, n), n > size ? SIZE_MAX : size - n);
        *head += n > size ? 0 : n;
    }
    ck_assert(*head > base);
}

START_TEST(the_queue_holds_what_was_put_in_whatever_the_order_of_operations)
{
    static char base[400000];
    char *head = base + 200000, *tail = head;
    for (int i = 0; i < 8000; i++) {
        one_operation(base, &head, &tail);
        int n;
        char *p = head;
        SysIOVec *v = ph_ioq_peek(&q, &n);
        for (int k = 0; k < n; k++) {
            ck_assert(v[k].iov_len > 0 && memcmp(p, v[k].iov_base, v[k].iov_len) == 0);
            p += v[k].iov_len;
        }
        ck_assert(p == tail && q.size == (size_t)(tail - head));
    }
    ph_ioq_clear(&q);
}
END_TEST

/* Counted, not timed: every move of the elements to another place touches all of them. */
static long moves;

static void counted(int (*put)(struct ph_ioq *, const char *, size_t), bool at_head)
{
    const SysIOVec *first = q.v + q.head;
    int n = q.n;
    ck_assert_int_eq(put(&q, "x", 1), 0);
    if (q.v + q.head + (at_head && n > 0) != first) {
        moves += n;
    }
}

START_TEST(putting_at_either_end_costs_the_same_however_long_the_queue)
{
    const int many = 200000;
    for (int i = 0; i < many; i++) {
        counted(ph_ioq_enq, false);
    }
    ck_assert_int_lt(moves, 2 * many);
    ph_ioq_clear(&q);
    moves = 0;
    for (int i = 0; i < many; i++) {
        counted(ph_ioq_pushq, true);
    }
    ck_assert_int_lt(moves, 2 * many);
    moves = 0;
    for (int i = 0; i < many; i++) { /* turn about, at a full queue, and a moving one */
        counted(i % 2 == 0 ? ph_ioq_enq : ph_ioq_pushq, i % 2 != 0);
        ph_ioq_deq(&q, 1);
    }
    ck_assert_int_lt(moves, 4 * many);
    ph_ioq_clear(&q);
}
END_TEST

START_TEST(a_queue_that_was_long_gives_its_memory_back_when_empty)
{
    for (int i = 0; i < 1000; i++) {
        ph_ioq_enq(&q, "x", 1);
    }
    ck_assert_uint_eq(ph_ioq_deq(&q, 1000), 0);
    ck_assert(q.v == NULL && q.b == NULL && q.cap == 0);
    ph_ioq_enq(&q, "x", 1);
    ph_ioq_deq(&q, 1);
    ck_assert_int_le(q.cap, 16);
    ph_ioq_clear(&q);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ioq");
    TCase *tc = runner_case(s, "ioq");
    tcase_add_test(tc, an_empty_queue_has_no_memory_and_answers_so);
    tcase_add_test(tc, bytes_are_copied_and_go_to_the_end_they_are_sent_to);
    tcase_add_test(tc, deq_frees_whole_elements_and_advances_inside_one);
    tcase_add_test(tc, deq_of_more_than_there_is_removes_nothing);
    tcase_add_test(tc, a_binary_is_shared_and_a_part_of_it_will_do);
    tcase_add_test(tc, a_part_outside_the_binary_is_refused);
    tcase_add_test(tc, a_vector_goes_in_as_a_block_sharing_what_it_can);
    tcase_add_test(tc, skip_passes_bytes_and_shows_in_the_callers_vector);
    tcase_add_test(tc, a_vector_without_binaries_is_copied);
    tcase_add_test(tc, a_vector_shorter_than_it_says_is_not_read_past);
    tcase_add_test(tc, without_memory_all_of_a_vector_is_refused);
    tcase_add_test(tc, the_queue_holds_what_was_put_in_whatever_the_order_of_operations);
    tcase_add_test(tc, putting_at_either_end_costs_the_same_however_long_the_queue);
    tcase_add_test(tc, a_queue_that_was_long_gives_its_memory_back_when_empty);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
