/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is expected: messages, in order or in any order, nothing, and what ports do. Called through the table in statements.c. */
#include "script/expect.h"

#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "script/assign.h"
#include "script/diff.h"
#include "script/memory.h"
#include "script/requests.h"
#include "script/world.h"

#define EXPECT_MS 5000  /* times patience, if the statement has no time of its own */

enum variant { IN_ORDER, ANY_ORDER, NOTHING, CREATED, ON_EXIT, ON_CLOSED, ON_EOF, ON_BUSY, ON_READY };

/* ---- reading ---- */

/* Patterns with commas between them; behind a comma the line may end. */
static bool read_patterns(struct ph_script_reader *r)
{
    for (;;) {
        if (!ph_take_pattern(r))
            return false;
        if (!ph_take_more(r) || ph_lex_peek(&r->lex) != ',')
            return true;
        ph_lex_next(&r->lex);
        ph_take_line_end(r);
    }
}

static bool read_within(struct ph_script_reader *r, struct ph_statement *s)
{
    return !ph_take_word_if(r, "within") || ph_take_duration(r, &s->within_ms);
}

static bool read_port_form(struct ph_script_reader *r, struct ph_statement *s, const char *word, enum variant v)
{
    if (!ph_take_word_if(r, word))
        return false;
    s->variant = v;
    if (!ph_take_port(r, s))
        return false;
    bool reason = v == ON_EXIT && ph_take_more(r) && !ph_take_next_is(r, "within");
    return (!reason || ph_take_pattern(r)) && read_within(r, s);
}

/* expect created VARIABLE by PORT: from now on the variable is the port. */
static bool read_created(struct ph_script_reader *r, struct ph_statement *s)
{
    s->variant = CREATED;
    if (!ph_take_variable(r, "a variable, for the port", s->item) || !ph_take_word(r, "by") || !ph_take_port(r, s))
        return false;
    struct ph_text name = {s->item, strlen(s->item)};
    if (ph_knows(r, PH_KNOWN_VARIABLE, name) && !ph_knows(r, PH_KNOWN_PORT, name))
        return ph_take_mistake(r, "this variable has a value already");
    ph_know(r, PH_KNOWN_PORT, name);
    ph_know(r, PH_KNOWN_VARIABLE, name);
    return read_within(r, s);
}

bool ph_take_expect(struct ph_script_reader *r, struct ph_statement *s)
{
    static const struct { const char *word; enum variant v; } forms[] = {
        {"exit", ON_EXIT}, {"closed", ON_CLOSED}, {"eof", ON_EOF}, {"busy", ON_BUSY}, {"ready", ON_READY},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (read_port_form(r, s, forms[i].word, forms[i].v))
            return true;
        if (s->variant == forms[i].v || r->err.text[0])
            return false;
    }
    if (ph_take_word_if(r, "created"))
        return read_created(r, s);
    if (ph_take_word_if(r, "nothing")) {
        s->variant = NOTHING;
        return ph_take_word(r, "for") && ph_take_duration(r, &s->within_ms);
    }
    s->variant = IN_ORDER;
    if (ph_take_word_if(r, "any")) {
        s->variant = ANY_ORDER;
        if (!ph_take_word(r, "order"))
            return false;
    }
    if (!read_patterns(r) || !read_within(r, s))
        return false;
    return s->variant == IN_ORDER || s->n <= PH_ASSIGN_MAX || ph_take_mistake(r, "more than 64 terms are expected in any order");
}

/* ---- waiting ---- */

static int64_t time_for(const struct ph_run *run, const struct ph_statement *s)
{
    return (s->within_ms < 0 ? EXPECT_MS : s->within_ms) * run->patience;
}

struct count {
    struct ph_mailbox *box;
    size_t n;
};

static bool has_come(void *arg)
{
    const struct count *c = arg;
    const struct ph_message *m = STAILQ_FIRST(c->box);
    for (size_t i = 1; m && i < c->n; i++)
        m = STAILQ_NEXT(m, next);
    return m != NULL;
}

static struct ph_slice pattern_of(const struct ph_statement *s, size_t i)
{
    return (struct ph_slice){s->terms[i].term.buf, s->terms[i].term.len};
}

static struct ph_slice message_term(const struct ph_message *m)
{
    return (struct ph_slice){m->term.buf, m->term.len};
}

/* Ports that have ended meanwhile often say why nothing came. */
static void tell_exits(struct ph_run *run)
{
    for (size_t i = 0; i < run->nports; i++) {
        const struct ph_script_port *p = run->ports[i];
        if (p->reason.len == 0)
            continue;
        char *text = ph_pattern_text((struct ph_slice){p->reason.buf, p->reason.len});
        fprintf(run->why, "  meanwhile the port %s has ended: %.*s\n", p->name, 300, text);
        free(text);
    }
}

static bool fail_nothing_came(struct ph_run *run, const struct ph_statement *s, size_t missing)
{
    ph_run_fail(run, s);
    fputs("  expected  ", run->why);
    ph_diff_pattern(run->why, &s->terms[missing]);
    fprintf(run->why, "\n  came      nothing within %g s\n", (double)time_for(run, s) / 1000);
    tell_exits(run);
    return false;
}

/* ---- messages ---- */

static bool run_in_order(struct ph_run *run, const struct ph_statement *s, struct ph_mailbox *box)
{
    struct count one = {box, 1};
    int64_t until = ph_now_ms() + time_for(run, s);
    bool ok = true;
    for (size_t i = 0; i < s->n; i++) {
        struct ph_mismatch m;
        int64_t left = until - ph_now_ms();
        if (!ph_run_wait(run, s, left < 0 ? 0 : left, has_come, &one, &ok))
            return ok && fail_nothing_came(run, s, i);
        struct ph_message *first = STAILQ_FIRST(box);
        ok = ph_pattern_match(pattern_of(s, i), message_term(first), &run->vars, &m);
        if (!ok) {
            ph_run_fail(run, s);
            ph_diff_print(run->why, &s->terms[i], message_term(first), &run->vars, &m);
            ph_mismatch_free(&m);
        }
        ph_message_drop(box, first);
        if (!ok)
            return false;
    }
    return true;
}

struct any_order {
    struct ph_run *run;
    const struct ph_statement *s;
    struct ph_message *messages[PH_ASSIGN_MAX]; /* the first of the mailbox, as many as in the assignment */
    struct ph_assignment a;
};

static bool must_stop(void *arg)
{
    const struct ph_run *run = arg;
    return ph_interrupt_signal() || ph_now_ms() >= run->deadline;
}

static void take_messages(struct any_order *o, const struct ph_mailbox *box)
{
    struct ph_message *m;
    o->a.n = 0;
    STAILQ_FOREACH(m, box, next) {
        if (o->a.n == o->a.npatterns)
            break;
        o->a.messages[o->a.n] = message_term(m);
        o->messages[o->a.n++] = m;
    }
}

static bool fail_stopped(struct any_order *o)
{
    return ph_run_check(o->run, o->s, ph_interrupt_signal() ? PH_RESULT_INTERRUPTED : PH_RESULT_TIMEOUT);
}

/* As many messages from the front as fit are taken for those that were expected; the rest of both is shown. */
static bool fail_any_order(struct any_order *o, bool complete)
{
    struct ph_run *run = o->run;
    size_t came = o->a.n;
    o->a.n -= complete; /* the last one has made it fail */
    while (!o->a.stopped && !ph_assign(&o->a))
        o->a.n--;
    if (o->a.stopped)
        return fail_stopped(o);
    ph_run_fail(run, o->s);
    for (size_t p = 0; p < o->s->n; p++) {
        if (o->a.used >> p & 1)
            continue;
        fputs("    - ", run->why);
        ph_diff_pattern(run->why, &o->s->terms[p]);
        fputc('\n', run->why);
    }
    for (size_t i = o->a.n; i < came; i++) {
        char *text = ph_pattern_text(message_term(o->messages[i]));
        fprintf(run->why, "    + %.*s\n", 300, text);
        free(text);
    }
    if (!complete)
        fprintf(run->why, "  nothing more came within %g s\n", (double)time_for(run, o->s) / 1000);
    return false;
}

/* Fails as soon as something comes that cannot be one of those. */
static bool run_any_order(struct ph_run *run, const struct ph_statement *s, struct ph_mailbox *box)
{
    struct any_order o = {.run = run, .s = s, .a = {.vars = &run->vars, .npatterns = s->n, .must_stop = must_stop, .arg = run}};
    struct count next = {box, 0};
    size_t bound = run->vars.n;
    int64_t until = ph_now_ms() + time_for(run, s);
    bool ok = true;
    for (size_t p = 0; p < s->n; p++)
        o.a.patterns[p] = pattern_of(s, p);
    while (next.n < s->n) {
        next.n++;
        int64_t left = until - ph_now_ms();
        bool came = ph_run_wait(run, s, left < 0 ? 0 : left, has_come, &next, &ok);
        if (!ok)
            return false;
        ph_vars_truncate(&run->vars, bound);
        take_messages(&o, box);
        if (!came || !ph_assign(&o.a))
            return fail_any_order(&o, came);
        next.n = o.a.n;
    }
    for (size_t i = 0; i < o.a.n; i++)
        ph_message_drop(box, o.messages[i]);
    return true;
}

/* ---- nothing ---- */

struct quiet {
    const struct ph_run *run;
    const struct ph_mailbox *box;
    unsigned turns;
};

static bool disturbed(void *arg)
{
    const struct quiet *q = arg;
    return !STAILQ_EMPTY(q->box) || q->run->turns != q->turns;
}

/* No message that is not read, and no port that is created, ends, becomes busy or ready. */
static bool run_nothing(struct ph_run *run, const struct ph_statement *s, struct ph_mailbox *box)
{
    struct quiet q = {run, box, run->turns};
    bool ok;
    if (!ph_run_wait(run, s, s->within_ms, disturbed, &q, &ok))
        return ok;
    ph_run_fail(run, s);
    fputs("  expected  nothing\n", run->why);
    const struct ph_message *m = STAILQ_FIRST(box);
    char *text = m ? ph_pattern_text(message_term(m)) : NULL;
    if (text)
        fprintf(run->why, "  came      %.*s\n", 300, text);
    else
        fputs("  came      a port that has ended, has become busy or ready, or was created\n", run->why);
    free(text);
    tell_exits(run);
    return false;
}

/* ---- ports ---- */

static bool is_gone(void *arg)
{
    return ((const struct ph_script_port *)arg)->gone;
}

static bool is_closed(void *arg)
{
    return ((const struct ph_script_port *)arg)->closed;
}

static bool is_busy(void *arg)
{
    const struct ph_script_port *p = arg;
    return p->was_busy || p->gone;
}

static bool is_ready(void *arg)
{
    const struct ph_script_port *p = arg;
    return !p->busy || p->gone;
}

struct birth {
    const struct ph_run *run;
    const struct ph_script_port *parent;
    struct ph_script_port *child; /* the first that the script does not know of */
};

static bool is_born(void *arg)
{
    struct birth *b = arg;
    for (size_t i = 0; !b->child && i < b->run->nports; i++)
        if (b->run->ports[i]->unread && b->run->ports[i]->parent == b->parent)
            b->child = b->run->ports[i];
    return b->child != NULL;
}

static bool run_created(struct ph_run *run, const struct ph_statement *s, const struct ph_script_port *parent)
{
    const struct ph_script_port *of_that_name = ph_world_find_port(run, s->item);
    struct birth b = {run, parent, NULL};
    bool ok;
    if (of_that_name && !of_that_name->gone)
        return ph_run_fail_with(run, s, "%s is open", s->item);
    ph_run_wait(run, s, time_for(run, s), is_born, &b, &ok);
    if (!ok)
        return false;
    if (!b.child) {
        ph_run_fail_with(run, s, "expected  %s creates a port", s->name);
        fprintf(run->why, "  came      nothing of it within %g s\n", (double)time_for(run, s) / 1000);
        tell_exits(run);
        return false;
    }
    struct ph_wbuf term;
    ph_wbuf_init(&term, NULL);
    ph_world_put_port(&term, b.child);
    ph_vars_set(&run->vars, (struct ph_text){s->item, strlen(s->item)}, (struct ph_slice){term.buf, term.len});
    ph_wbuf_free(&term);
    b.child->unread = false;
    memcpy(b.child->name, s->item, sizeof b.child->name);
    return true;
}

static bool run_port_state(struct ph_run *run, const struct ph_statement *s, struct ph_script_port *p)
{
    static bool (*const reached[])(void *) = {[ON_EXIT] = is_gone, [ON_CLOSED] = is_closed, [ON_BUSY] = is_busy, [ON_READY] = is_ready};
    static const char *const names[] = {[ON_EXIT] = "exit", [ON_CLOSED] = "closed", [ON_BUSY] = "busy", [ON_READY] = "not busy"};
    bool ok = ph_run_check(run, s, ph_session_listen(&run->session, ph_now_ms(), -1, NULL, NULL));
    bool came = ok && ph_run_wait(run, s, time_for(run, s), reached[s->variant], p, &ok);
    if (!ok)
        return false;
    bool about_busy = s->variant == ON_BUSY || s->variant == ON_READY;
    if (came && !(about_busy && p->gone)) {
        p->was_busy &= s->variant != ON_BUSY;
        return true;
    }
    ph_run_fail(run, s);
    fprintf(run->why, "  expected  %s %s\n", s->name, names[s->variant]);
    if (!came)
        fprintf(run->why, "  came      nothing of it within %g s\n", (double)time_for(run, s) / 1000);
    tell_exits(run);
    return false;
}

static bool run_exit(struct ph_run *run, const struct ph_statement *s, struct ph_script_port *p)
{
    struct ph_mismatch m;
    struct ph_slice reason;
    if (!run_port_state(run, s, p))
        return false;
    if (p->reason.len == 0)
        return ph_run_fail_with(run, s, "%s never was open", s->name);
    reason = (struct ph_slice){p->reason.buf, p->reason.len};
    if (s->n == 0 || ph_pattern_match(pattern_of(s, 0), reason, &run->vars, &m))
        return true;
    ph_run_fail(run, s);
    ph_diff_print(run->why, &s->terms[0], reason, &run->vars, &m);
    ph_mismatch_free(&m);
    return false;
}

/* The next message is {Port, eof}. */
static bool run_eof(struct ph_run *run, const struct ph_statement *s, const struct ph_script_port *port, struct ph_mailbox *box)
{
    char text[PH_SCRIPT_NAME_MAX * 2 + 16];
    struct ph_statement message = *s;
    struct ph_script_term term = {0};
    ph_wbuf_init(&term.term, NULL);
    ph_w_tuple(&term.term, 2);
    ph_world_put_port(&term.term, port);
    ph_w_atom(&term.term, "eof");
    snprintf(text, sizeof text, "{%s,eof}", s->name);
    term.text = (struct ph_text){text, strlen(text)};
    message.terms = &term;
    message.n = 1;
    bool ok = run_in_order(run, &message, box);
    ph_wbuf_free(&term.term);
    return ok;
}

bool ph_run_expect(struct ph_run *run, const struct ph_statement *s)
{
    struct ph_mailbox *box = &ph_world_find_caller(run, s->as)->mailbox;
    struct ph_script_port *port = s->name[0] ? ph_world_find_port(run, s->name) : NULL;
    if (s->name[0] && !port)
        return ph_run_fail_with(run, s, "%s has not been opened in this test", s->name);
    switch ((enum variant)s->variant) {
    case IN_ORDER:
        return run_in_order(run, s, box);
    case ANY_ORDER:
        return run_any_order(run, s, box);
    case NOTHING:
        return run_nothing(run, s, box);
    case CREATED:
        return run_created(run, s, port);
    case ON_EOF:
        return run_eof(run, s, port, box);
    case ON_EXIT:
        return run_exit(run, s, port);
    default:
        return run_port_state(run, s, port);
    }
}
