/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/port/line.h: what messages a line-mode port gives for what its driver outputs. The expectations are
 * those of the VM. */
#include <string.h>

#include "port/line.h"
#include "runner.h"

static char text[1000];
static size_t len;

/* Each message as its bytes, CR shown as R, and a dot for eol or a comma for noeol. */
static void note(void *arg, const char *p, size_t n, bool eol)
{
    ck_assert_ptr_eq(arg, &len);
    for (size_t i = 0; i < n; i++) {
        text[len++] = p[i] == '\r' ? 'R' : p[i];
    }
    text[len++] = eol ? '.' : ',';
    text[len] = '\0';
}

/* Feeds the pieces, which are parted by bars, each from a block of its own size; then a slash, then the flush. */
static const char *fed(size_t max, const char *pieces)
{
    struct ph_line *l = ph_line_new(max);
    text[len = 0] = '\0';
    for (const char *p = pieces;;) {
        size_t n = strcspn(p, "|");
        char *copy = malloc(n + 1);
        memcpy(copy, p, n);
        ph_line_feed(l, copy, n, note, &len);
        free(copy);
        if (p[n] == '\0') {
            break;
        }
        p += n + 1;
    }
    text[len++] = '/';
    text[len] = '\0';
    ph_line_flush(l, note, &len);
    ph_line_free(l);
    return text;
}

static const struct {
    size_t max;
    const char *pieces, *messages;
} cases[] = {
    /* lines and rests */
    {5, "ab\ncd\n", "ab.cd./"},
    {5, "ab", "/ab,"},
    {5, "", "/"},
    {5, "\n\r\n", ".." "/"},
    {5, "ab|c\nd|e", "abc./de,"},
    {5, "ab\n|cd\n", "ab.cd./"},
    /* the longest line is one message, whatever ends it and however it comes */
    {5, "abcde\n", "abcde./"},
    {5, "abcde\r\n", "abcde./"},
    {5, "abcde|\n", "abcde./"},
    {5, "abc|de|\r|\n", "abcde./"},
    {5, "abcde", "/abcde,"},
    /* one byte more breaks it */
    {5, "abcdef\n", "abcde,f./"},
    {5, "abcde|f\n", "abcde,f./"},
    {5, "abcdefghijk", "abcde,fghij,/k,"},
    {5, "ab|cdefghijkl\nm", "abcde,fghij,kl./m,"},
    {1, "abc\n", "a,b,c./"},
    /* CR is data unless LF follows, also in the next piece */
    {5, "a\rb\n", "aRb./"},
    {5, "a\r|\nb\n", "a.b./"},
    {5, "a\r|b\n", "aRb./"},
    {5, "a\r\r\n", "aR./"},
    {5, "a\r|\r|\n", "aR./"},
    {5, "a\r||\n", "a./"},
    {5, "a\r", "/aR,"},
    {5, "\r", "/R,"},
    {5, "abcd\re", "abcdR,/e,"},
    /* a full line and a CR that stays alone are two messages */
    {5, "abcde\r", "/abcde,R,"},
    {5, "abcde\r|x", "abcde,/Rx,"},
    {1, "\r\r\n", "R./"},
    {1, "\r\r\r\n", "R,R./"},
};

START_TEST(lines_are_cut_as_the_vm_cuts_them)
{
    ck_assert_msg(strcmp(fed(cases[_i].max, cases[_i].pieces), cases[_i].messages) == 0, "case %d: %s, not %s", _i, text,
                  cases[_i].messages);
}
END_TEST

START_TEST(a_long_line_may_come_byte_by_byte)
{
    struct ph_line *l = ph_line_new((size_t)1 << 40);
    text[len = 0] = '\0';
    for (int i = 0; i < 900; i++) {
        ph_line_feed(l, "x", 1, note, &len);
    }
    ck_assert_uint_eq(len, 0);
    ph_line_feed(l, "\n", 1, note, &len);
    ck_assert_uint_eq(len, 901);
    ck_assert_int_eq(text[900], '.');
    ph_line_free(l);
}
END_TEST

START_TEST(after_a_flush_lines_begin_anew)
{
    struct ph_line *l = ph_line_new(5);
    text[len = 0] = '\0';
    ph_line_feed(l, "ab\r", 3, note, &len);
    ph_line_flush(l, note, &len);
    ph_line_flush(l, note, &len);
    ph_line_feed(l, "\ncd\n", 4, note, &len);
    ck_assert_str_eq(text, "abR,.cd.");
    ph_line_free(l);
    ph_line_free(NULL);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("line");
    TCase *tc = runner_case(s, "line");
    tcase_add_loop_test(tc, lines_are_cut_as_the_vm_cuts_them, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(tc, a_long_line_may_come_byte_by_byte);
    tcase_add_test(tc, after_a_flush_lines_begin_anew);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
