/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the words of results and TAP. Called by farm.c and command.c. */
#include "script/report.h"

#include <stdlib.h>
#include <string.h>

#include "script/memory.h"

unsigned ph_report_points(const struct ph_script *script)
{
    return script->tests + 1;
}

enum ph_exit ph_report_status(const struct ph_script_report *r)
{
    static const enum ph_exit of[] = {
        [PH_PASSED] = PH_EXIT_OK, [PH_FAILED] = PH_EXIT_FAILED, [PH_LOST] = PH_EXIT_NO_CONNECTION, [PH_NOT_RUN] = PH_EXIT_FAILED,
    };
    enum ph_exit worst = PH_EXIT_OK;
    for (size_t i = 0; i < r->n; i++)
        worst = of[r->results[i].verdict] > worst ? of[r->results[i].verdict] : worst;
    return worst;
}

char *ph_report_name(const struct ph_script_report *r, size_t i)
{
    char *name = NULL;
    const char *test = r->results[i].name;
    const char *what = *test ? test : r->script->tests > 0 ? "the host and what all tests share" : "";
    ph_script_need(asprintf(&name, "%s%s%s%s%s%s", r->script->name, *what ? ": " : "", what, *r->tool ? " (" : "", r->tool, *r->tool ? ")" : "") >= 0);
    return name;
}

/* Each line as a comment. */
static void put_lines(FILE *f, const char *before, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        fprintf(f, "# %s%.*s\n", before, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

/* A # would begin a directive, and a name is one line, of text. */
static void put_name(FILE *f, const char *name)
{
    for (; *name; name++) {
        if (*name == '#' || *name == '\\')
            fputc('\\', f);
        fputc((unsigned char)*name < ' ' || *name == 127 ? ' ' : *name, f);
    }
    fputc('\n', f);
}

void ph_report_tap(FILE *f, const struct ph_script_report *r, unsigned *number)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct ph_test_result *t = &r->results[i];
        char *name = ph_report_name(r, i);
        fprintf(f, "%sok %u - ", t->verdict == PH_PASSED ? "" : "not ", ++*number);
        put_name(f, name);
        put_lines(f, "", t->text);
        free(name);
    }
    if (ph_report_status(r) == PH_EXIT_OK)
        return;
    put_lines(f, "stderr: ", r->err);
    if (*r->log)
        fprintf(f, "# report of %s:\n", r->tool);
    put_lines(f, "", r->log);
}

void ph_report_free(struct ph_script_report *r)
{
    for (size_t i = 0; i < r->n; i++)
        ph_test_result_free(&r->results[i]);
    free(r->results);
    free(r->err);
    free(r->log);
}
