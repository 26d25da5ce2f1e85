/* SPDX-License-Identifier: Apache-2.0 */
/* Owns a play: what is sent when, what has come, the first difference. Called by replay.c. */
#include "record/play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "host/child.h"
#include "host/conn.h"
#include "record/rules.h"
#include "script/diff.h"
#include "script/pattern.h"
#include "term/term.h"

#define UNSENT_MAX (1u << 20) /* bytes; with more the play waits for the host to take some */
#define MISSING_SHOWN 10      /* lines */

enum step {
    GO_ON,
    PLAYED,    /* to its end */
    DIFFERENT, /* and that has been printed, but for a lost connection */
    LOST,      /* the connection, while something was to come */
    WRONG,     /* the recording asks for what cannot be done; it has been told */
    INTERRUPTED
};

struct play {
    const struct ph_cli *cli;
    struct ph_recording *r;
    struct ph_rules rules;
    struct ph_vars vars;
    struct ph_link *link;
    size_t *next; /* for each line of the host the next of its stream, SIZE_MAX: none */
    bool *came;
    int64_t came_ms; /* when the last of them came; what is not compared comes without end, perhaps */
    size_t missing; /* all lines of the host before this one have come */
    size_t at;      /* the line that is being played */
};

/* ---- before it begins ---- */

static bool is_awaited(const struct ph_line *l)
{
    return l->by_host && (l->kind == PH_LINE_FRAME || (l->kind == PH_LINE_TERM && ph_rules_compare((struct ph_slice){l->bytes.buf, l->bytes.len})));
}

/* The term in a line or in what came; empty if there is none. */
static struct ph_slice term_in(const uint8_t *p, size_t len)
{
    struct ph_cur c = {p, p + len}, check;
    if (ph_etf_version(&c) < 0)
        return (struct ph_slice){0};
    check = c;
    if (ph_etf_skip(&check, PH_PRINT_DEPTH) < 0 || check.p != check.end)
        return (struct ph_slice){0};
    return (struct ph_slice){c.p, len - 1};
}

static void queue_line(struct play *p, size_t i)
{
    const struct ph_line *l = &p->r->lines[i];
    struct ph_slice whole = {l->bytes.buf, l->bytes.len};
    struct ph_stream *s = ph_rules_stream(&p->rules, l->kind == PH_LINE_FRAME ? term_in(whole.p, whole.len) : whole, false);
    p->next[i] = SIZE_MAX;
    if (s->first == SIZE_MAX)
        s->first = i;
    else
        p->next[s->last] = i;
    s->last = i;
}

static void prepare(struct play *p)
{
    size_t n = p->r->n ? p->r->n : 1;
    p->next = ph_calloc(n, sizeof *p->next);
    p->came = ph_calloc(n, sizeof *p->came);
    for (size_t i = 0; i < p->r->n; i++)
        ph_rules_take(&p->rules, &p->r->lines[i]);
    for (size_t i = 0; i < p->r->n; i++)
        if (is_awaited(&p->r->lines[i]))
            queue_line(p, i);
}

/* ---- differences ---- */

/* Behind the last line is the last. */
static void say_not_ok(const struct play *p, size_t line, const char *what)
{
    printf("not ok %s:%u: %s\n", p->r->file, p->r->lines[line < p->r->n ? line : p->r->n - 1].number, what);
}

static void print_frame(const char *what, const uint8_t *bytes, size_t len)
{
    struct ph_slice term = term_in(bytes, len);
    char *text = term.len ? ph_pattern_text(term) : NULL;
    printf("  %-9s %.300s\n", what, text ? text : "(a frame that is no term)");
    free(text);
}

/* To be told where the play is: at a line of the file, or behind the last. */
static enum step unexpected(const struct play *p, struct ph_slice frame)
{
    if (p->r->n == 0)
        printf("not ok %s:1: the host says what is not in the recording\n", p->r->file);
    else
        say_not_ok(p, p->at, "the host says what is not in the recording, or said it already");
    print_frame("came", frame.p, frame.len);
    return DIFFERENT;
}

static enum step other_term(const struct play *p, size_t line, struct ph_slice term, struct ph_mismatch *m)
{
    const struct ph_line *l = &p->r->lines[line];
    struct ph_script_term pattern = {.term = l->bytes, .text = {l->text, strlen(l->text)}};
    say_not_ok(p, line, "the host says something else");
    ph_diff_print(stdout, &pattern, term, &p->vars, m);
    return DIFFERENT;
}

static enum step other_frame(const struct play *p, size_t line, struct ph_slice frame)
{
    const struct ph_line *l = &p->r->lines[line];
    say_not_ok(p, line, "the host says something else");
    if (l->text)
        printf("  expected  %.300s\n", l->text);
    else
        print_frame("expected", l->bytes.buf, l->bytes.len);
    print_frame("came", frame.p, frame.len);
    return DIFFERENT;
}

static enum step not_in_time(const struct play *p, size_t until)
{
    unsigned shown = 0;
    char what[100];
    snprintf(what, sizeof what, "this does not come within %g seconds", p->cli->timeout_ms / 1000.0);
    for (size_t i = p->missing; i < until && shown < MISSING_SHOWN; i++) {
        if (!is_awaited(&p->r->lines[i]) || p->came[i])
            continue;
        say_not_ok(p, i, shown++ ? "nor this" : what);
        if (p->r->lines[i].text)
            printf("  expected  %.300s\n", p->r->lines[i].text);
    }
    return DIFFERENT;
}

/* ---- what comes ---- */

static enum step compare(struct play *p, size_t line, struct ph_slice frame, struct ph_slice term)
{
    const struct ph_line *l = &p->r->lines[line];
    struct ph_mismatch m;
    if (l->kind == PH_LINE_FRAME)
        return l->bytes.len == frame.len && memcmp(l->bytes.buf, frame.p, frame.len) == 0 ? GO_ON : other_frame(p, line, frame);
    if (!term.len)
        return other_frame(p, line, frame);
    if (ph_pattern_match((struct ph_slice){l->bytes.buf, l->bytes.len}, term, &p->vars, &m))
        return GO_ON;
    enum step step = other_term(p, line, term, &m);
    ph_mismatch_free(&m);
    return step;
}

static enum step take(struct play *p, struct ph_slice frame)
{
    struct ph_slice term = term_in(frame.p, frame.len);
    if (!ph_rules_compare(term))
        return GO_ON;
    struct ph_stream *s = ph_rules_stream(&p->rules, term, true);
    if (!s || s->first == SIZE_MAX)
        return unexpected(p, frame);
    size_t line = s->first;
    enum step step = compare(p, line, frame, term);
    s->first = p->next[line];
    p->came[line] = true;
    p->came_ms = ph_now_ms();
    return step;
}

static enum step take_next(struct play *p, struct ph_wait_for *w, size_t until)
{
    struct ph_slice frame;
    switch (ph_link_wait(p->link, w, &frame)) {
    case PH_WAIT_FRAME:
        return take(p, frame);
    case PH_WAIT_INPUT:
        return GO_ON;
    case PH_WAIT_TIMEOUT:
        return not_in_time(p, until);
    case PH_WAIT_INTERRUPTED:
        return INTERRUPTED;
    default:
        return LOST;
    }
}

/* Waits for all lines of the host before that one; the time-out is for each. */
static enum step await_lines(struct play *p, size_t until)
{
    enum step step = GO_ON;
    p->came_ms = ph_now_ms();
    for (;;) {
        while (p->missing < until && (p->came[p->missing] || !is_awaited(&p->r->lines[p->missing])))
            p->missing++;
        if (p->missing == until || step != GO_ON)
            return step;
        step = take_next(p, &(struct ph_wait_for){.deadline = p->came_ms + p->cli->timeout_ms, .other_fd = -1}, until);
    }
}

/* Until the host has taken all but so many bytes, or all of them. */
static enum step await_room(struct play *p, size_t room)
{
    enum step step = GO_ON;
    struct ph_wait_for w = {.deadline = ph_now_ms() + p->cli->timeout_ms, .other_fd = -1, .until_room = true, .room = room};
    while (step == GO_ON && ph_link_unsent(p->link) > room) {
        struct ph_slice frame;
        enum ph_wait wait = ph_link_wait(p->link, &w, &frame);
        if (wait == PH_WAIT_TIMEOUT) {
            say_not_ok(p, p->at, "the host takes nothing more");
            return DIFFERENT;
        }
        step = wait == PH_WAIT_FRAME ? take(p, frame) : wait == PH_WAIT_INPUT ? GO_ON : wait == PH_WAIT_INTERRUPTED ? INTERRUPTED : LOST;
    }
    return step;
}

/* ---- what is sent ---- */

static void look_for_var(void *arg, struct ph_text name)
{
    struct ph_text *found = arg;
    if (!found->p)
        *found = name;
}

static enum step send_term(struct play *p, const struct ph_line *l)
{
    struct ph_wbuf w;
    struct ph_text unbound = {0};
    ph_wbuf_init(&w, NULL);
    ph_w_version(&w);
    ph_pattern_fill((struct ph_slice){l->bytes.buf, l->bytes.len}, &p->vars, &w);
    ph_pattern_each_var((struct ph_slice){w.buf + 1, w.len - 1}, look_for_var, &unbound);
    enum step step = unbound.p ? WRONG : GO_ON;
    if (unbound.p)
        ph_complain("%s:%u: the variable %.*s has no value here", p->r->file, l->number, (int)unbound.len, unbound.p);
    else if (ph_link_send(p->link, &w) < 0)
        step = LOST;
    ph_wbuf_free(&w);
    return step;
}

static enum step send_line(struct play *p, const struct ph_line *l)
{
    enum step step = GO_ON;
    if (l->kind == PH_LINE_TERM)
        step = send_term(p, l);
    else if ((l->kind == PH_LINE_FRAME ? ph_link_send(p->link, &l->bytes) : ph_link_send_raw(p->link, l->bytes.buf, l->bytes.len)) < 0)
        step = LOST;
    return step == GO_ON ? await_room(p, UNSENT_MAX) : step;
}

/* ---- the play ---- */

/* In the recording the host has ended here. */
static enum step await_end(struct play *p)
{
    struct ph_slice frame;
    struct ph_wait_for w = {.deadline = ph_now_ms() + p->cli->timeout_ms, .other_fd = -1};
    enum ph_wait wait = ph_link_wait(p->link, &w, &frame);
    if (wait == PH_WAIT_FRAME)
        return unexpected(p, frame);
    if (wait == PH_WAIT_INTERRUPTED)
        return INTERRUPTED;
    if (wait == PH_WAIT_LOST)
        return PLAYED;
    say_not_ok(p, p->at, "the host does not end, as it did when it was recorded");
    return DIFFERENT;
}

/* The end of either side, or of the file, is the end of the play. */
static enum step finish(struct play *p, bool by_host)
{
    enum step step = await_lines(p, p->at);
    if (step == GO_ON && by_host)
        return await_end(p);
    if (step == GO_ON)
        step = await_room(p, 0);
    return step == GO_ON ? PLAYED : step;
}

static enum step play_lines(struct play *p)
{
    enum step step = GO_ON;
    for (p->at = 0; step == GO_ON && p->at < p->r->n; p->at++) {
        const struct ph_line *l = &p->r->lines[p->at];
        if (l->kind == PH_LINE_ENDED || l->kind == PH_LINE_CUT)
            return finish(p, l->by_host);
        if (l->by_host && l->kind == PH_LINE_REST)
            return finish(p, true); /* a frame in the middle of which it ended */
        if (l->by_host)
            continue;
        step = await_lines(p, p->at);
        if (step == GO_ON)
            step = send_line(p, l);
    }
    return step == GO_ON ? finish(p, false) : step;
}

static size_t ended_line(const struct play *p)
{
    for (size_t i = p->missing; i < p->r->n; i++)
        if (is_awaited(&p->r->lines[i]) && !p->came[i])
            return i;
    return p->at < p->r->n ? p->at : p->r->n - 1;
}

/* Whether the host ended in the recording before the client did. */
static bool host_ends(const struct ph_recording *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->lines[i].kind == PH_LINE_ENDED)
            return r->lines[i].by_host;
    return false;
}

static enum ph_exit judge(const struct play *p, enum step step, const char *why)
{
    if (step == LOST) {
        say_not_ok(p, ended_line(p), "the host has ended instead");
        printf("  %s\n", why);
    } else if (step == PLAYED && why[0] && !host_ends(p->r)) {
        printf("not ok %s: the host does not end well\n  %s\n", p->r->file, why);
    } else if (step == PLAYED) {
        printf("ok %s\n", p->r->file);
        return PH_EXIT_OK;
    }
    return step == WRONG ? PH_EXIT_USAGE : PH_EXIT_FAILED;
}

enum ph_exit ph_play(const struct ph_cli *cli, struct ph_recording *r)
{
    struct play p = {.cli = cli, .r = r};
    char why[512] = "";
    p.link = ph_link_open(cli, ph_now_ms() + cli->timeout_ms, why, sizeof why);
    if (!p.link) {
        ph_complain("%s", why);
        return PH_EXIT_NO_CONNECTION;
    }
    prepare(&p);
    enum step step = play_lines(&p);
    ph_link_close(p.link, PH_CHILD_GRACE_MS, why, sizeof why);
    enum ph_exit e = judge(&p, step, why);
    fflush(stdout);
    ph_vars_free(&p.vars);
    ph_rules_free(&p.rules);
    ph_free(p.next);
    ph_free(p.came);
    return e;
}
