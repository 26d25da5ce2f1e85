/* SPDX-License-Identifier: Apache-2.0 */
/* Words for atoms, pids and ports. Every test runs in a process of its own, so the tables are empty at its start. */
#include <ei.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runner.h"
#include "term/words.h"

static struct ph_wbuf out;

static void setup(void)
{
    ph_wbuf_init(&out, NULL);
}

static void teardown(void)
{
    ph_wbuf_free(&out);
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* An encoded pid in memory of exactly its size, so that a checker sees a read beyond it. The caller frees .p. */
static struct ph_slice encode_pid(uint8_t tag, uint8_t atom_tag, const char *node, uint32_t id, uint32_t serial, uint32_t creation)
{
    size_t n = strlen(node), head = atom_tag == ERL_SMALL_ATOM_UTF8_EXT || atom_tag == ERL_SMALL_ATOM_EXT ? 2 : 3;
    size_t width = tag == ERL_PID_EXT ? 1 : 4;
    uint8_t c[4], *p = malloc(1 + head + n + 8 + width);

    p[0] = tag;
    p[1] = atom_tag;
    p[2] = 0;
    p[head] = (uint8_t)n;
    memcpy(p + 1 + head, node, n);
    put32(p + 1 + head + n, id);
    put32(p + 1 + head + n + 4, serial);
    put32(c, creation);
    memcpy(p + 1 + head + n + 8, c + 4 - width, width);
    return (struct ph_slice){p, 1 + head + n + 8 + width};
}

static int try_pid(struct ph_slice etf, ErlDrvTermData *word)
{
    int rc = ph_pid_word(etf, NULL, word);
    free((void *)(uintptr_t)etf.p);
    return rc;
}

static ErlDrvTermData pid_word(struct ph_slice etf)
{
    ErlDrvTermData word = 0;
    ck_assert_int_eq(try_pid(etf, &word), 0);
    ck_assert_int_eq(ph_word_kind(word), PH_WORD_PID);
    return word;
}

static ErlDrvTermData pid_of(const char *node, uint32_t id, uint32_t serial, uint32_t creation)
{
    return pid_word(encode_pid(ERL_NEW_PID_EXT, ERL_SMALL_ATOM_UTF8_EXT, node, id, serial, creation));
}

static void assert_writes_pid(ErlDrvTermData word, const char *node, uint32_t id, uint32_t serial, uint32_t creation)
{
    erlang_pid pid;
    int index = 0;

    ph_wbuf_reset(&out);
    ph_w_word(&out, word);
    ck_assert_int_eq(out.buf[0], ERL_NEW_PID_EXT);
    ck_assert_int_eq(ei_decode_pid((const char *)out.buf, &index, &pid), 0);
    ck_assert_uint_eq((size_t)index, out.len);
    ck_assert_str_eq(pid.node, node);
    ck_assert_uint_eq(pid.num, id);
    ck_assert_uint_eq(pid.serial, serial);
    ck_assert_uint_eq(pid.creation, creation);
}

static void assert_atom(ErlDrvTermData word, const char *utf8, size_t len)
{
    const char *text;
    size_t n;

    ck_assert_int_eq(ph_word_kind(word), PH_WORD_ATOM);
    ph_atom_text(word, &text, &n);
    ck_assert_uint_eq(n, len);
    ck_assert_mem_eq(text, utf8, len);
    ck_assert_int_eq(text[n], '\0');
}

START_TEST(equal_names_give_equal_words_and_different_ones_do_not)
{
    ErlDrvTermData ok = ph_atom_latin1("ok", 2);

    assert_atom(ok, "ok", 2);
    ck_assert_uint_eq(ok, ph_atom_latin1("okay", 2));
    ck_assert_uint_eq(ok, ph_atom_utf8("ok", 2));
    ck_assert_uint_ne(ok, ph_atom_utf8("oK", 2));
    ck_assert_uint_ne(ph_atom_utf8("", 0), ph_atom_utf8("\0", 1));
    assert_atom(ph_atom_utf8("", 0), "", 0);
    ck_assert_uint_eq(ph_atom_latin1("\xf6", 1), ph_atom_utf8("\xc3\xb6", 2));
    ck_assert_uint_ne(ph_atom_latin1("\xc3\xb6", 2), ph_atom_utf8("\xc3\xb6", 2));
}
END_TEST

START_TEST(of_a_longer_name_255_characters_are_kept)
{
    char latin1[300], utf8[600], wide[300 * 4];
    memset(latin1, 0xf6, sizeof latin1);
    for (size_t i = 0; i < sizeof utf8; i += 2)
        memcpy(utf8 + i, "\xc3\xb6", 2);
    for (size_t i = 0; i < sizeof wide; i += 4)
        memcpy(wide + i, "\xf0\x9f\x98\x80", 4);

    assert_atom(ph_atom_latin1(latin1, sizeof latin1), utf8, 510);
    ck_assert_uint_eq(ph_atom_utf8(utf8, sizeof utf8), ph_atom_latin1(latin1, 255));
    assert_atom(ph_atom_utf8(wide, sizeof wide), wide, 1020);
    memset(wide, 0x80, sizeof wide);
    assert_atom(ph_atom_utf8(wide, sizeof wide), wide, 1020);
}
END_TEST

START_TEST(an_atom_is_written_with_the_shorter_tag_if_it_fits)
{
    char text[256], decoded[MAXATOMLEN_UTF8];
    memset(text, 'x', sizeof text);

    ph_w_word(&out, ph_atom_latin1(text, 255));
    ck_assert_uint_eq(out.len, 257);
    ck_assert_int_eq(out.buf[0], ERL_SMALL_ATOM_UTF8_EXT);

    memcpy(text, "\xf6", 1);
    ph_wbuf_reset(&out);
    ph_w_word(&out, ph_atom_latin1(text, 255));
    ck_assert_uint_eq(out.len, 3 + 256);
    ck_assert_int_eq(out.buf[0], ERL_ATOM_UTF8_EXT);
    int index = 0;
    ck_assert_int_eq(ei_decode_atom_as((char *)out.buf, &index, decoded, sizeof decoded, ERLANG_LATIN1, NULL, NULL), 0);
    ck_assert_int_eq(index, (int)out.len);
    ck_assert_mem_eq(decoded, text, 255);
}
END_TEST

START_TEST(past_a_million_atoms_new_names_are_system_limit_and_old_ones_still_themselves)
{
    char name[16];
    ErlDrvTermData first = ph_atom_latin1("first", 5), full = ph_atom_latin1("system_limit", 12), w = 0;
    uint32_t made = 0;

    for (uint32_t i = 0; i < 1000100; i++) {
        int n = snprintf(name, sizeof name, "a%u", i);
        w = ph_atom_latin1(name, (size_t)n);
        made += w != full;
    }
    ck_assert_uint_eq(w, full);
    ck_assert_uint_eq(made, 1000000 - 2);
    ck_assert_uint_eq(ph_atom_latin1("first", 5), first);
    ck_assert_uint_ne(ph_atom_latin1("a77", 3), full);
    assert_atom(full, "system_limit", 12);
    ck_assert_int_eq(try_pid(encode_pid(ERL_NEW_PID_EXT, ERL_SMALL_ATOM_UTF8_EXT, "new@node", 1, 1, 1), &w), -1);
}
END_TEST

START_TEST(what_was_never_given_out_is_bad)
{
    ErlDrvTermData atom = ph_atom_latin1("x", 1), pid = pid_of("a@b", 1, 2, 3), far = pid_of("a@b", 1u << 28, 2, 3);

    ck_assert_int_eq(ph_word_kind(PH_NIL), PH_WORD_NIL);
    ck_assert_int_eq(ph_word_kind(0), PH_WORD_BAD);
    ck_assert_int_eq(ph_word_kind((ErlDrvTermData)-1), PH_WORD_BAD);
    ck_assert_int_eq(ph_word_kind((ErlDrvTermData)&atom), PH_WORD_BAD);
    ck_assert_int_eq(ph_word_kind(atom + (100 << 4)), PH_WORD_BAD);
    ck_assert_int_eq(ph_word_kind(atom | (ErlDrvTermData)1 << 63), PH_WORD_BAD);
    ck_assert_int_eq(ph_word_kind(pid + ((ErlDrvTermData)1 << 52)), PH_WORD_BAD);
    ck_assert_int_eq(ph_word_kind(far + 16), PH_WORD_BAD);
    ck_assert_uint_eq(ph_pid_origin(far + 16), PH_ORIGIN_NONE);
    ck_assert_uint_eq(ph_pid_origin(atom), PH_ORIGIN_NONE);
    ck_assert_uint_eq(ph_pid_origin(PH_NIL), PH_ORIGIN_NONE);
}
END_TEST

START_TEST(a_pid_comes_back_as_it_was)
{
    static const uint32_t values[] = {0, 1, (1u << 20) - 1, 1u << 20, (1u << 28) - 1, 1u << 28, UINT32_MAX};
    enum { N = sizeof values / sizeof values[0] };

    for (int i = 0; i < N; i++)
        for (int s = 0; s < N; s++)
            for (int c = 0; c < N; c++) {
                ErlDrvTermData w = pid_of("node@host", values[i], values[s], values[c]);
                assert_writes_pid(w, "node@host", values[i], values[s], values[c]);
                ck_assert_uint_eq(w, pid_of("node@host", values[i], values[s], values[c]));
            }
}
END_TEST

START_TEST(the_same_pid_in_any_encoding_is_the_same_word)
{
    ErlDrvTermData w = pid_of("a@b", 10, 20, 3);

    ck_assert_uint_eq(w, pid_word(encode_pid(ERL_PID_EXT, ERL_SMALL_ATOM_UTF8_EXT, "a@b", 10, 20, 3)));
    ck_assert_uint_eq(w, pid_word(encode_pid(ERL_NEW_PID_EXT, ERL_ATOM_EXT, "a@b", 10, 20, 3)));
    ck_assert_uint_eq(w, pid_word(encode_pid(ERL_PID_EXT, ERL_SMALL_ATOM_EXT, "a@b", 10, 20, 3)));
    ck_assert_uint_eq(w, pid_word(encode_pid(ERL_NEW_PID_EXT, ERL_ATOM_UTF8_EXT, "a@b", 10, 20, 3)));
    ck_assert_uint_eq(pid_of("\xc3\xb6@b", 1, 1, 1), pid_word(encode_pid(ERL_PID_EXT, ERL_ATOM_EXT, "\xf6@b", 1, 1, 1)));
    ck_assert_uint_ne(w, pid_of("a@b", 10, 20, 4));
    ck_assert_uint_ne(w, pid_of("a@b", 10, 21, 3));
    ck_assert_uint_ne(w, pid_of("a@b", 11, 20, 3));
    ck_assert_uint_ne(w, pid_of("a@c", 10, 20, 3));
    ck_assert_uint_eq(w, pid_of("a@b", 10, 20, 3));
}
END_TEST

START_TEST(origin_is_node_and_creation)
{
    char longer[201];
    memset(longer, 'n', 200);
    longer[200] = '\0';
    ErlDrvTermData a = pid_of("a@b", 1, 1, 1), far = pid_of("a@b", UINT32_MAX, 1, 1), b = pid_of("a@b", 1, 1, 2);

    ck_assert_uint_eq(ph_pid_origin(a), ph_pid_origin(far));
    ck_assert_uint_ne(ph_pid_origin(a), ph_pid_origin(b));
    ck_assert_uint_eq(ph_pid_origin(pid_of(longer, 1, 1, 1)), ph_pid_origin(pid_of(longer, 2, 1, 1)));
    assert_writes_pid(pid_of(longer, 1, 1, 1), longer, 1, 1, 1);
}
END_TEST

START_TEST(an_allowance_is_for_what_is_new)
{
    atomic_uint left = 3; /* node, origin; then one wide pid */
    ErlDrvTermData w;
    struct ph_slice known = encode_pid(ERL_NEW_PID_EXT, ERL_ATOM_EXT, "a@b", 1, 1, 1);
    struct ph_slice wide = encode_pid(ERL_NEW_PID_EXT, ERL_ATOM_EXT, "a@b", UINT32_MAX, 1, 1);
    struct ph_slice fresh = encode_pid(ERL_NEW_PID_EXT, ERL_ATOM_EXT, "a@b", 1, 1, 2);

    ck_assert_int_eq(ph_pid_word(known, &left, &w), 0);
    ck_assert_uint_eq(left, 1);
    ck_assert_int_eq(ph_pid_word(known, &left, &w), 0);
    ck_assert_int_eq(ph_pid_word(wide, &left, &w), 0);
    ck_assert_uint_eq(left, 0);
    ck_assert_int_eq(ph_pid_word(fresh, &left, &w), -1);
    ck_assert_int_eq(ph_pid_word(known, &left, &w), 0);
    ck_assert_int_eq(ph_pid_word(wide, &left, &w), 0);
    ck_assert_int_eq(ph_pid_word(fresh, NULL, &w), 0);
    free((void *)(uintptr_t)known.p);
    free((void *)(uintptr_t)wide.p);
    free((void *)(uintptr_t)fresh.p);
}
END_TEST

START_TEST(more_than_65536_origins_are_refused_and_the_known_ones_go_on)
{
    ErlDrvTermData w;

    for (uint32_t c = 0; c < 65536; c++)
        ck_assert_uint_eq(ph_pid_origin(pid_of("a@b", 1, 1, c)), c);
    ck_assert_int_eq(try_pid(encode_pid(ERL_NEW_PID_EXT, ERL_ATOM_EXT, "a@b", 1, 1, 65536), &w), -1);
    ck_assert_uint_eq(ph_pid_origin(pid_of("a@b", 7, 7, 65535)), 65535);
    assert_writes_pid(pid_of("a@b", 7, 8, 65535), "a@b", 7, 8, 65535);
}
END_TEST

START_TEST(pids_that_do_not_fit_are_kept_up_to_65536_of_them)
{
    ErlDrvTermData w;

    for (uint32_t i = 0; i < 65536; i++)
        pid_of("a@b", (1u << 28) + i, 0, 1);
    ck_assert_int_eq(try_pid(encode_pid(ERL_NEW_PID_EXT, ERL_ATOM_EXT, "a@b", 1, 1u << 20, 1), &w), -1);
    assert_writes_pid(pid_of("a@b", (1u << 28) + 65535, 0, 1), "a@b", (1u << 28) + 65535, 0, 1);
    assert_writes_pid(pid_of("a@b", 5, 0, 1), "a@b", 5, 0, 1);
}
END_TEST

START_TEST(bytes_that_are_no_pid_are_refused)
{
    struct ph_slice whole = encode_pid(ERL_NEW_PID_EXT, ERL_SMALL_ATOM_UTF8_EXT, "a@b", 1, 2, 3);
    ErlDrvTermData w;

    for (size_t len = 0; len < whole.len; len++) {
        uint8_t *cut = malloc(len + 1);
        memcpy(cut + 1, whole.p, len);
        ck_assert_int_eq(ph_pid_word((struct ph_slice){cut + 1, len}, NULL, &w), -1);
        free(cut);
    }
    free((void *)(uintptr_t)whole.p);
    ck_assert_int_eq(try_pid(encode_pid(ERL_V4_PORT_EXT, ERL_SMALL_ATOM_UTF8_EXT, "a@b", 1, 2, 3), &w), -1);
    ck_assert_int_eq(try_pid(encode_pid(ERL_NEW_PID_EXT, ERL_STRING_EXT, "a@b", 1, 2, 3), &w), -1);
    ck_assert_int_eq(try_pid(encode_pid(ERL_NEW_PID_EXT, ERL_SMALL_ATOM_UTF8_EXT, "\xff@b", 1, 2, 3), &w), -1);
}
END_TEST

START_TEST(a_port_word_carries_its_handle)
{
    static const uint64_t handles[] = {0, 1, 0x123456789abcdefu, (UINT64_C(1) << 60) - 1};

    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        ErlDrvTermData w = ph_port_word(handles[i]);
        ck_assert_int_eq(ph_word_kind(w), PH_WORD_PORT);
        ck_assert_uint_eq(ph_port_handle(w), handles[i]);
    }
}
END_TEST

enum { THREADS = 4, NAMES = 20000 };

static void *intern_names(void *arg)
{
    ErlDrvTermData *words = arg;
    char name[16];

    for (uint32_t i = 0; i < NAMES; i++) {
        int n = snprintf(name, sizeof name, "n%u", i);
        words[i] = i % 10 == 0 ? pid_of(name, i, 0, i) : ph_atom_latin1(name, (size_t)n);
        if (ph_word_kind(words[i]) == PH_WORD_BAD)
            return NULL;
    }
    return words;
}

START_TEST(threads_that_enter_the_same_names_get_the_same_words)
{
    static ErlDrvTermData words[THREADS][NAMES];
    pthread_t t[THREADS];
    void *result;

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, intern_names, words[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], &result);
        ck_assert_ptr_eq(result, words[i]);
    }
    for (int i = 1; i < THREADS; i++)
        ck_assert_mem_eq(words[0], words[i], sizeof words[0]);
}
END_TEST

#define PARTS 14 /* of a name, each one of two strings that leave the same sum: 2^14 names */
#define PART 8
#define TRIES 200000u

static uint32_t fnv(uint32_t sum, const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (uint8_t)p[i]) * 16777619u;
    return sum;
}

struct tried {
    uint32_t sum, n;
};

static int by_sum(const void *a, const void *b)
{
    uint32_t x = ((const struct tried *)a)->sum, y = ((const struct tried *)b)->sum;
    return (x > y) - (x < y);
}

static void text_of(uint32_t n, char part[PART])
{
    uint64_t left = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < PART; i++, left /= 26)
        part[i] = (char)('a' + left % 26);
}

/* Two different parts that take the sum to the same next one, which is returned. */
static uint32_t find_pair(uint32_t sum, char pair[2][PART])
{
    static struct tried tried[TRIES];
    for (uint32_t n = 0; n < TRIES; n++) {
        text_of(n, pair[0]);
        tried[n] = (struct tried){fnv(sum, pair[0], PART), n};
    }
    qsort(tried, TRIES, sizeof *tried, by_sum);
    uint32_t n = 1;
    while (n + 1 < TRIES && tried[n].sum != tried[n - 1].sum)
        n++;
    ck_assert_uint_eq(tried[n].sum, tried[n - 1].sum);
    text_of(tried[n - 1].n, pair[0]);
    text_of(tried[n].n, pair[1]);
    return tried[n].sum;
}

static clock_t time_of_names(char pairs[PARTS][2][PART], char last)
{
    clock_t begun = clock();
    for (unsigned n = 0; n < 2u << PARTS; n++) { /* each is made known, then met again */
        char name[PARTS * PART + 2];
        for (int i = 0; i < PARTS; i++)
            memcpy(name + i * PART, pairs[i][n >> i & 1], PART);
        name[PARTS * PART] = last;
        name[PARTS * PART + 1] = '\0';
        pid_word(encode_pid(ERL_NEW_PID_EXT, ERL_SMALL_ATOM_UTF8_EXT, name, 1, 1, 1));
    }
    return clock() - begun + 1;
}

/* Names that have the same FNV-1a sum, beside as many that were not chosen for anything. */
START_TEST(names_of_nodes_cannot_be_chosen_to_lie_together)
{
    static char chosen[PARTS][2][PART], plain[PARTS][2][PART];
    uint32_t sum = 2166136261u;
    for (int i = 0; i < PARTS; i++) {
        sum = find_pair(sum, chosen[i]);
        memset(plain[i], 'a', sizeof plain[i]);
        plain[i][1][0] = 'b';
    }
    clock_t usual = time_of_names(plain, 'p'), took = time_of_names(chosen, 'c');
    ck_assert_msg(took < 10 * usual, "%ld, usual %ld", (long)took, (long)usual);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("words");
    TCase *tc = runner_case(suite, "words");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, equal_names_give_equal_words_and_different_ones_do_not);
    tcase_add_test(tc, of_a_longer_name_255_characters_are_kept);
    tcase_add_test(tc, an_atom_is_written_with_the_shorter_tag_if_it_fits);
    tcase_add_test(tc, past_a_million_atoms_new_names_are_system_limit_and_old_ones_still_themselves);
    tcase_add_test(tc, what_was_never_given_out_is_bad);
    tcase_add_test(tc, a_pid_comes_back_as_it_was);
    tcase_add_test(tc, the_same_pid_in_any_encoding_is_the_same_word);
    tcase_add_test(tc, origin_is_node_and_creation);
    tcase_add_test(tc, an_allowance_is_for_what_is_new);
    tcase_add_test(tc, more_than_65536_origins_are_refused_and_the_known_ones_go_on);
    tcase_add_test(tc, pids_that_do_not_fit_are_kept_up_to_65536_of_them);
    tcase_add_test(tc, bytes_that_are_no_pid_are_refused);
    tcase_add_test(tc, a_port_word_carries_its_handle);
    tcase_add_test(tc, threads_that_enter_the_same_names_get_the_same_words);
    tcase_add_test(tc, names_of_nodes_cannot_be_chosen_to_lie_together);
    return runner_main(suite);
}
