/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the course of a run: the host is started when it is first needed, one test after the other is run, the host is ended. Called by farm.c in a process
 * of its own, whose stderr is kept for the report. */
#include "script/run.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "script/memory.h"
#include "script/pattern.h"
#include "script/statements.h"
#include "script/world.h"

#define GRACE_MS 20000       /* for a daemon to end by itself, times patience */
#define GRACE_HUNG_MS 500    /* when something hangs already */

/* ---- failures ---- */

bool ph_run_fail(struct ph_run *run, const struct ph_statement *s)
{
    const char *newline = memchr(s->text.p, '\n', s->text.len);
    int len = (int)(newline ? (size_t)(newline - s->text.p) : s->text.len);
    fprintf(run->why, "%s:%u: %.*s%s\n", s->source->name, s->line, len < 200 ? len : 200, s->text.p, newline || len > 200 ? " ..." : "");
    return false;
}

bool ph_run_fail_with(struct ph_run *run, const struct ph_statement *s, const char *format, ...)
{
    va_list ap;
    ph_run_fail(run, s);
    fputs("  ", run->why);
    va_start(ap, format);
    vfprintf(run->why, format, ap);
    va_end(ap);
    fputc('\n', run->why);
    return false;
}

static bool out_of_time(const struct ph_run *run)
{
    return ph_now_ms() >= run->deadline;
}

bool ph_run_check(struct ph_run *run, const struct ph_statement *s, enum ph_result r)
{
    switch (r) {
    case PH_RESULT_OK:
    case PH_RESULT_ERROR:
    case PH_RESULT_INPUT:
        return true;
    case PH_RESULT_TIMEOUT:
        if (out_of_time(run))
            return ph_run_fail_with(run, s, "the script's time-out came here");
        return ph_run_fail_with(run, s, "the host did not answer in time");
    case PH_RESULT_INTERRUPTED:
        run->lost = true;
        return ph_run_fail_with(run, s, "interrupted");
    default:
        run->lost = true;
        return ph_run_fail_with(run, s, "the host was lost here");
    }
}

bool ph_run_wait(struct ph_run *run, const struct ph_statement *s, int64_t ms, bool (*enough)(void *arg), void *arg, bool *ok)
{
    int64_t until = ph_now_ms() + ms;
    bool cut = until > run->deadline;
    enum ph_result r = ph_session_listen(&run->session, cut ? run->deadline : until, -1, enough, arg);
    bool came = r == PH_RESULT_OK && enough && enough(arg);
    *ok = ph_run_check(run, s, r);
    if (*ok && !came && cut)
        *ok = ph_run_fail_with(run, s, "the script's time-out came here");
    return came;
}

/* ---- the host ---- */

static bool start(struct ph_run *run, const struct ph_statement *s)
{
    int64_t left = run->deadline - ph_now_ms();
    run->cli.timeout_ms = left < 1 ? 1 : left < run->cli.timeout_ms ? (int)left : run->cli.timeout_ms;
    if (ph_session_open(&run->session, &run->cli) != PH_EXIT_OK) {
        run->lost = true;
        return ph_run_fail_with(run, s, "there is no host");
    }
    run->started = true;
    ph_world_listen(run);
    return true;
}

/* The time for a reply is the connection's, or what the script has left. */
static void limit_reply(struct ph_run *run, int reply_ms)
{
    int64_t left = run->deadline - ph_now_ms();
    run->cli.timeout_ms = left < 1 ? 1 : left < reply_ms ? (int)left : reply_ms;
}

static bool run_statement(struct ph_run *run, const struct ph_statement *s, int reply_ms)
{
    if (out_of_time(run))
        return ph_run_fail_with(run, s, "the script's time-out came here");
    if (ph_interrupt_signal())
        return ph_run_check(run, s, PH_RESULT_INTERRUPTED);
    limit_reply(run, reply_ms);
    if (!s->kind->offline && !run->started && !start(run, s))
        return false;
    if (*s->as && ph_world_find_caller(run, s->as)->dead)
        return ph_run_fail_with(run, s, "%s is dead", s->as);
    if (!s->kind->run(run, s))
        return false;
    if (!run->session.faulted)
        return true;
    run->session.faulted = false;
    return ph_run_fail_with(run, s, "the host did not understand a request");
}

/* ---- statements in their order ---- */

struct loop {
    uint64_t left;
    size_t vars; /* bound before it */
};

static size_t jump(struct ph_run *run, struct loop *loops, unsigned *depth, size_t i)
{
    const struct ph_statement *s = &run->script->at[i];
    if (strcmp(s->kind->name, "repeat") == 0) {
        if (s->number == 0)
            return s->partner + 1;
        loops[(*depth)++] = (struct loop){s->number, run->vars.n};
        return i + 1;
    }
    if (strcmp(s->kind->name, "end") != 0)
        return i + 1;
    struct loop *loop = &loops[*depth - 1];
    ph_vars_truncate(&run->vars, loop->vars);
    if (--loop->left > 0)
        return s->partner + 1;
    (*depth)--;
    return i + 1;
}

static bool is_test(const struct ph_statement *s)
{
    return strcmp(s->kind->name, "test") == 0;
}

/* Runs up to the next test or the end. */
static bool run_section(struct ph_run *run, size_t from, int reply_ms)
{
    struct loop loops[PH_SCRIPT_BLOCKS];
    unsigned depth = 0;
    for (size_t i = from; i < run->script->n && !is_test(&run->script->at[i]); i = jump(run, loops, &depth, i))
        if (!run_statement(run, &run->script->at[i], reply_ms))
            return false;
    return true;
}

static size_t next_test(const struct ph_script *script, size_t from)
{
    while (from < script->n && !is_test(&script->at[from]))
        from++;
    return from;
}

/* ---- tests ---- */

struct account {
    char *text;
    size_t len;
    int64_t begun;
};

static void open_account(struct ph_run *run, struct account *a)
{
    a->begun = ph_now_ms();
    run->why = ph_script_stream(&a->text, &a->len);
}

static void close_account(struct ph_run *run, struct account *a, struct ph_test_writer *out, bool ok, bool lost, const char *name)
{
    fclose(run->why);
    ph_script_need(a->text != NULL);
    ph_test_write(out, ok ? PH_PASSED : lost ? PH_LOST : PH_FAILED, ph_now_ms() - a->begun, name, a->text);
    free(a->text);
}

/* What a failed test has not read often says why. */
static void tell_unread(struct ph_run *run)
{
    for (size_t i = 0; i < run->ncallers; i++) {
        const struct ph_message *m;
        unsigned n = 0;
        STAILQ_FOREACH(m, &run->callers[i]->mailbox, next) {
            char *text = ++n <= 5 ? ph_pattern_text((struct ph_slice){m->term.buf, m->term.len}) : NULL;
            if (text)
                fprintf(run->why, "  unread by %s: %.*s%s\n", run->callers[i]->name, 300, text, strlen(text) > 300 ? "..." : "");
            free(text);
        }
        if (n > 5)
            fprintf(run->why, "  and %u more\n", n - 5);
    }
}

static bool end_test(struct ph_run *run, const struct ph_statement *s, size_t ncallers, size_t nports)
{
    enum ph_result r = ph_world_end(run, ncallers, nports);
    if (r != PH_RESULT_TIMEOUT)
        return ph_run_check(run, s, r);
    run->stuck = true;
    return ph_run_fail_with(run, s, "the ports of this test do not come to their end");
}

static void run_test(struct ph_run *run, size_t at, int reply_ms, struct ph_test_writer *out)
{
    struct account a;
    size_t nvars = run->vars.n, ncallers = run->ncallers, nports = run->nports;
    const struct ph_statement *s = &run->script->at[at];
    open_account(run, &a);
    bool ok = run_section(run, at + 1, reply_ms);
    if (!ok)
        tell_unread(run);
    limit_reply(run, reply_ms);
    if (out_of_time(run))
        run->stuck = true;
    else if (!run->lost)
        ok = end_test(run, s, ncallers, nports) && ok;
    ph_vars_truncate(&run->vars, nvars);
    close_account(run, &a, out, ok, run->lost, s->item[0] ? s->item : "");
}

static void run_tests(struct ph_run *run, bool ok, int reply_ms, struct ph_test_writer *out)
{
    const struct ph_script *script = run->script;
    for (size_t i = next_test(script, 0); i < script->n; i = next_test(script, i + 1)) {
        const char *why = run->lost ? "the host is lost" : run->stuck ? "there was no end to what stands before it" : "what stands before the first test has failed";
        char text[100];
        snprintf(text, sizeof text, "not run: %s\n", why);
        if (ok && !run->lost && !run->stuck)
            run_test(run, i, reply_ms, out);
        else
            ph_test_write(out, PH_NOT_RUN, 0, script->at[i].item, text);
    }
}

/* Ends the host; how it ended is the last that can fail. */
static bool finish(struct ph_run *run)
{
    char why[512] = "";
    if (!run->started)
        return true;
    bool hung = run->lost || run->stuck || out_of_time(run);
    ph_session_end(&run->session, hung ? GRACE_HUNG_MS : GRACE_MS * run->patience, why, sizeof why);
    if (!why[0])
        return true;
    fprintf(run->why, "%s: the host: %s\n", run->script->name, why);
    return false;
}

void ph_run_script(const struct ph_script *script, const struct ph_cli *cli, const struct ph_run_options *options, struct ph_test_writer *out)
{
    static const struct ph_text self = {"Self", 4};
    struct ph_run run = {.script = script, .cli = *cli, .patience = options->patience};
    struct account whole;
    int reply_ms = cli->timeout_ms * options->patience;
    run.deadline = ph_now_ms() + options->timeout_ms;
    run.cli.timeout_ms = reply_ms;
    open_account(&run, &whole);
    FILE *why = run.why;
    ph_world_caller(&run, self);
    bool ok = run_section(&run, 0, reply_ms);
    if (!ok)
        tell_unread(&run);
    run_tests(&run, ok, reply_ms, out);
    run.why = why;
    limit_reply(&run, reply_ms);
    if (run.started && !run.lost && !run.stuck && ok && ph_world_end(&run, 1, 0) != PH_RESULT_OK) {
        fprintf(run.why, "%s: the ports do not come to their end\n", script->name);
        run.stuck = true;
        ok = false;
    }
    ok = finish(&run) && ok;
    close_account(&run, &whole, out, ok, run.lost, "");
    ph_world_free(&run);
}
