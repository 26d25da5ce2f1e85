/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how a mismatch is shown. Called by the statements of a run. */
#include "script/diff.h"

#include <stdlib.h>
#include <string.h>

#include "script/memory.h"

#define SHOWN 300 /* bytes of a term */
#define AROUND 40 /* bytes before the first difference that are shown of a long one */

/* Text without ends of lines; blanks in a row are one. */
void ph_diff_pattern(FILE *f, const struct ph_script_term *pattern)
{
    bool blank = false;
    size_t n = pattern->text.len < SHOWN ? pattern->text.len : SHOWN;
    for (size_t i = 0; i < n; i++) {
        char c = pattern->text.p[i];
        bool is_blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!is_blank)
            fputc(c, f);
        else if (!blank)
            fputc(' ', f);
        blank = is_blank;
    }
    if (n < pattern->text.len)
        fputs("...", f);
}

static void print_part(FILE *f, const char *text, size_t from)
{
    size_t len = strlen(text + from);
    while (from > 0 && ((unsigned char)text[from] & 0xc0) == 0x80)
        from--;
    fprintf(f, "%s%.*s%s\n", from ? "..." : "", SHOWN, text + from, len > SHOWN ? "..." : "");
}

static size_t columns(const char *p, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((unsigned char)p[i] & 0xc0) != 0x80;
    return sum;
}

/* The two texts, one below the other, and a caret below the first difference. */
static void print_pair(FILE *f, const char *expected, const char *came)
{
    size_t same = 0;
    while (expected[same] && expected[same] == came[same])
        same++;
    while (same > 0 && ((unsigned char)expected[same] & 0xc0) == 0x80)
        same--;
    size_t from = same > 2 * AROUND && strlen(came) > SHOWN / 2 ? same - AROUND : 0;
    while (from > 0 && ((unsigned char)expected[from] & 0xc0) == 0x80)
        from--;
    fputs("    - ", f);
    print_part(f, expected, from);
    fputs("    + ", f);
    print_part(f, came, from);
    fprintf(f, "      %s%*s^\n", from ? "   " : "", (int)columns(expected + from, same - from), "");
}

struct values {
    FILE *f;
    const struct ph_vars *vars;
};

static void print_value(void *arg, struct ph_text name)
{
    const struct values *v = arg;
    struct ph_slice value = ph_vars_get(v->vars, name);
    if (value.len == 0)
        return;
    char *text = ph_pattern_text(value);
    fprintf(v->f, "  where     %.*s = %.*s%s\n", (int)name.len, name.p, SHOWN, text, strlen(text) > SHOWN ? "..." : "");
    free(text);
}

void ph_diff_print(FILE *f, const struct ph_script_term *pattern, struct ph_slice term, const struct ph_vars *vars, const struct ph_mismatch *m)
{
    struct values values = {f, vars};
    char *came = ph_pattern_text(term);
    fputs("  expected  ", f);
    ph_diff_pattern(f, pattern);
    fprintf(f, "\n  came      %.*s%s\n", SHOWN, came, strlen(came) > SHOWN ? "..." : "");
    free(came);
    ph_pattern_each_var((struct ph_slice){pattern->term.buf, pattern->term.len}, print_value, &values);
    if (!m->expected)
        return;
    fprintf(f, "  which differs%s%s:\n", m->where[0] ? " in " : "", m->where);
    print_pair(f, m->expected, m->came);
}
