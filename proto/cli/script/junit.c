/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the JUnit form of results: a suite for each script, a case for each point. Called by command.c. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "script/report.h"
#include "term/utf8.h"

/* Text in XML: what XML 1.0 cannot hold becomes a question mark. */
static void put_text(FILE *f, const char *text)
{
    const char *end = text + strlen(text);
    while (text < end) {
        uint32_t code;
        size_t n = ph_utf8_get(text, end, &code);
        bool allowed = n > 0 && (code >= 32 || code == '\n' || code == '\t') && code != 0xfffe && code != 0xffff;
        if (!allowed)
            fputc('?', f);
        else if (code == '<')
            fputs("&lt;", f);
        else if (code == '>')
            fputs("&gt;", f);
        else if (code == '&')
            fputs("&amp;", f);
        else if (code == '"')
            fputs("&quot;", f);
        else
            fwrite(text, 1, n, f);
        text += n ? n : 1;
    }
}

static void put_attribute(FILE *f, const char *name, const char *text)
{
    fprintf(f, " %s=\"", name);
    put_text(f, text);
    fputc('"', f);
}

static void put_seconds(FILE *f, int64_t ms)
{
    fprintf(f, " time=\"%" PRId64 ".%03" PRId64 "\"", ms / 1000, ms % 1000);
}

static void put_case(FILE *f, const struct ph_script_report *r, size_t i)
{
    const struct ph_test_result *t = &r->results[i];
    char *name = ph_report_name(r, i);
    fputs("    <testcase", f);
    put_attribute(f, "classname", r->script->name);
    put_attribute(f, "name", name);
    put_seconds(f, t->ms);
    free(name);
    if (t->verdict == PH_PASSED) {
        fputs("/>\n", f);
        return;
    }
    char *first = strndup(t->text, strcspn(t->text, "\n"));
    fputs(t->verdict == PH_NOT_RUN ? "><skipped" : "><failure", f);
    put_attribute(f, "message", first ? first : "");
    fputc('>', f);
    put_text(f, t->text);
    fputs(t->verdict == PH_NOT_RUN ? "</skipped></testcase>\n" : "</failure></testcase>\n", f);
    free(first);
}

static void put_output(FILE *f, const char *element, const char *text)
{
    if (!*text)
        return;
    fprintf(f, "    <%s>", element);
    put_text(f, text);
    fprintf(f, "</%s>\n", element);
}

struct sums {
    unsigned tests, failures, skipped;
};

static struct sums sum(const struct ph_script_report *r)
{
    struct sums s = {.tests = (unsigned)r->n};
    for (size_t i = 0; i < r->n; i++) {
        s.failures += r->results[i].verdict == PH_FAILED || r->results[i].verdict == PH_LOST;
        s.skipped += r->results[i].verdict == PH_NOT_RUN;
    }
    return s;
}

static void put_sums(FILE *f, struct sums s)
{
    fprintf(f, " tests=\"%u\" failures=\"%u\" skipped=\"%u\" errors=\"0\"", s.tests, s.failures, s.skipped);
}

/* The last result is that of the script as a whole, and its time that of all. */
static void put_suite(FILE *f, const struct ph_script_report *r)
{
    fputs("  <testsuite", f);
    put_attribute(f, "name", r->script->name);
    put_sums(f, sum(r));
    put_seconds(f, r->n ? r->results[r->n - 1].ms : 0);
    fputs(">\n", f);
    for (size_t i = 0; i < r->n; i++)
        put_case(f, r, i);
    if (ph_report_status(r) != PH_EXIT_OK) {
        put_output(f, "system-out", r->log);
        put_output(f, "system-err", r->err);
    }
    fputs("  </testsuite>\n", f);
}

void ph_report_junit(FILE *f, const struct ph_script_report *reports, size_t n)
{
    struct sums all = {0};
    for (size_t i = 0; i < n; i++) {
        struct sums s = sum(&reports[i]);
        all.tests += s.tests;
        all.failures += s.failures;
        all.skipped += s.skipped;
    }
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", f);
    put_sums(f, all);
    fputs(">\n", f);
    for (size_t i = 0; i < n; i++)
        put_suite(f, &reports[i]);
    fputs("</testsuites>\n", f);
}
