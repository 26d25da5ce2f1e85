/* SPDX-License-Identifier: Apache-2.0 */
/* Owns load, unload, open, command, control, call, connect and close. Called through the table in statements.c. */
#include "script/requests.h"

#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "script/diff.h"
#include "script/memory.h"
#include "script/statements.h"
#include "script/world.h"

#define COMMAND_WAIT_MS 5000 /* for a port not to be busy, times patience */

/* ---- reading ---- */

static struct ph_text text_of(const char *s)
{
    return (struct ph_text){s, strlen(s)};
}

bool ph_take_port(struct ph_script_reader *r, struct ph_statement *s)
{
    const char *what = "the name of a port";
    if (!(ph_take_next_is_variable(r) ? ph_take_variable(r, what, s->name) : ph_take_name(r, what, s->name)))
        return false;
    return ph_knows(r, PH_KNOWN_PORT, text_of(s->name)) || ph_take_mistake(r, "no port of this name has been opened before");
}

/* The bits of variant: which of the terms that may be left out are there, in this order. */
enum { HAS_FROM = 1, HAS_OPTIONS = 2, HAS_TEXT = 4 };

static bool read_part(struct ph_script_reader *r, struct ph_statement *s, const char *word, unsigned bit)
{
    if (!ph_take_word_if(r, word))
        return true;
    s->variant |= bit;
    return ph_take_term(r);
}

/* load NAME [from DIR] [options LIST] [-> RESULT] */
bool ph_take_load(struct ph_script_reader *r, struct ph_statement *s)
{
    return ph_take_name(r, "the name of a driver", s->name) && read_part(r, s, "from", HAS_FROM) &&
           read_part(r, s, "options", HAS_OPTIONS) && ph_take_result(r);
}

bool ph_take_unload(struct ph_script_reader *r, struct ph_statement *s)
{
    return ph_take_name(r, "the name of a driver", s->name) && read_part(r, s, "options", HAS_OPTIONS) && ph_take_result(r);
}

static bool next_is_string(struct ph_script_reader *r)
{
    return ph_take_more(r) && ph_lex_peek(&r->lex) == '"';
}

/* open PORT COMMAND [options LIST] [-> RESULT], where COMMAND is a name or a string */
bool ph_take_open(struct ph_script_reader *r, struct ph_statement *s)
{
    if (!ph_take_name(r, "the name of a port", s->name))
        return false;
    if (next_is_string(r)) {
        s->variant |= HAS_TEXT;
        if (!ph_take_term(r))
            return false;
    } else if (!ph_take_name(r, "the name of a driver, or a string that begins with it", s->item)) {
        return false;
    }
    if (ph_session_is_created_name(text_of(s->name)))
        return ph_take_mistake(r, "names like this one are for ports that drivers create");
    ph_know(r, PH_KNOWN_PORT, text_of(s->name));
    return read_part(r, s, "options", HAS_OPTIONS) && ph_take_result(r);
}

bool ph_take_command(struct ph_script_reader *r, struct ph_statement *s)
{
    return ph_take_port(r, s) && ph_take_term(r);
}

bool ph_take_request(struct ph_script_reader *r, struct ph_statement *s)
{
    return ph_take_port(r, s) && ph_take_number(r, "the operation", UINT32_MAX, &s->number) && ph_take_term(r) && ph_take_result(r);
}

bool ph_take_connect(struct ph_script_reader *r, struct ph_statement *s)
{
    if (!ph_take_port(r, s) || !ph_take_variable(r, "the variable of a caller", s->item))
        return false;
    if (!ph_knows(r, PH_KNOWN_CALLER, text_of(s->item)))
        return ph_take_mistake(r, "this is no caller; `caller NAME` makes one");
    return ph_take_result(r);
}

bool ph_take_close(struct ph_script_reader *r, struct ph_statement *s)
{
    return ph_take_port(r, s) && ph_take_result(r);
}

/* ---- what they share ---- */

static void is_left(void *filled, struct ph_text name)
{
    (void)name;
    *(bool *)filled = false;
}

bool ph_run_put(struct ph_run *run, const struct ph_statement *s, size_t i, struct ph_wbuf *w)
{
    size_t begin = w->len;
    const struct ph_wbuf *t = &s->terms[i].term;
    ph_pattern_fill((struct ph_slice){t->buf, t->len}, &run->vars, w);
    struct ph_cur c = {w->buf + begin, w->buf + w->len};
    if (w->len - begin > PH_TERM_LIMITS.max_bytes)
        return ph_run_fail_with(run, s, "with its variables filled in this term is longer than %zu bytes", PH_TERM_LIMITS.max_bytes);
    if (ph_etf_skip(&c, PH_TERM_LIMITS.max_depth) < 0)
        return ph_run_fail_with(run, s, "with its variables filled in this term is nested more than %u deep", PH_TERM_LIMITS.max_depth);
    bool filled = true;
    ph_pattern_each_var((struct ph_slice){w->buf + begin, w->len - begin}, is_left, &filled);
    if (!filled)
        return ph_run_fail_with(run, s, "a variable stands for the rest of a binary here, but is none");
    return true;
}

static void append(void *arg, const uint8_t *p, size_t len)
{
    ph_w_raw(arg, p, len);
}

bool ph_run_put_text(struct ph_run *run, const struct ph_statement *s, size_t i, struct ph_wbuf *w)
{
    struct ph_wbuf term, flat;
    ph_wbuf_init(&term, NULL);
    ph_wbuf_init(&flat, NULL);
    bool ok = ph_run_put(run, s, i, &term);
    struct ph_cur c = {term.buf, term.buf + term.len};
    const struct ph_iodata_sink sink = {.bytes = append, .binary = append, .arg = &flat};
    if (ok && ph_iodata_each(&c, &sink) == 0)
        ph_w_binary(w, flat.buf, flat.len);
    else if (ok)
        ph_w_raw(w, term.buf, term.len);
    ph_wbuf_free(&term);
    ph_wbuf_free(&flat);
    return ok;
}

static bool fail_unexpected(struct ph_run *run, const struct ph_statement *s, const char *expected, const char *what, struct ph_slice value)
{
    char *text = ph_pattern_text(value);
    ph_run_fail_with(run, s, "expected  %s", expected);
    fprintf(run->why, "  came      %s%.*s\n", what, 2000, text);
    free(text);
    return false;
}

/* Says in the host's words why a driver was not loaded. */
static void explain(struct ph_run *run, struct ph_slice reason)
{
    struct ph_session *session = &run->session;
    struct ph_slice value;
    char *text = NULL;
    size_t len;
    ph_session_begin_tagged(session, "format_error", 3);
    ph_w_raw(&session->out, reason.p, reason.len);
    if (ph_session_ask(session, &value) != PH_RESULT_OK)
        return;
    struct ph_cur c = {value.p, value.p + value.len};
    if (ph_etf_text(&c, false, &text, &len) == 0)
        fprintf(run->why, "  which means: %s\n", text);
    free(text);
}

/* Judges a reply by what follows "->"; without it the request must succeed. */
static bool judge(struct ph_run *run, const struct ph_statement *s, enum ph_result r, struct ph_slice value)
{
    struct ph_mismatch m;
    bool error = r == PH_RESULT_ERROR;
    if (!ph_run_check(run, s, r))
        return false;
    if (s->outcome == PH_OUTCOME_NONE && !error)
        return true;
    if (s->outcome == PH_OUTCOME_NONE)
        return fail_unexpected(run, s, "success", "error ", value);
    const struct ph_script_term *t = &s->terms[s->n - 1];
    if (error != (s->outcome == PH_OUTCOME_ERROR)) {
        char *expected = ph_pattern_text((struct ph_slice){t->term.buf, t->term.len}), *text = NULL;
        ph_script_need(asprintf(&text, "%s%s", error ? "" : "error ", expected) >= 0);
        fail_unexpected(run, s, text, error ? "error " : "", value);
        free(text);
        free(expected);
        return false;
    }
    if (ph_pattern_match((struct ph_slice){t->term.buf, t->term.len}, value, &run->vars, &m))
        return true;
    ph_run_fail(run, s);
    ph_diff_print(run->why, t, value, &run->vars, &m);
    ph_mismatch_free(&m);
    return false;
}

static bool ask(struct ph_run *run, const struct ph_statement *s)
{
    struct ph_slice value = {0};
    enum ph_result r = ph_session_ask(&run->session, &value);
    return judge(run, s, r, value);
}

static const struct ph_wbuf *caller_pid(const struct ph_run *run, const struct ph_statement *s)
{
    return &ph_world_find_caller(run, s->as)->pid;
}

static struct ph_script_port *port_of(struct ph_run *run, const struct ph_statement *s)
{
    struct ph_script_port *p = ph_world_find_port(run, s->name);
    if (!p)
        ph_run_fail_with(run, s, "%s has not been opened in this test", s->name);
    return p;
}

/* ---- drivers ---- */

/* Appends the text of a term that is one, or an empty binary. */
static bool put_path(struct ph_run *run, const struct ph_statement *s, bool there)
{
    struct ph_wbuf *w = &run->session.out;
    if (there)
        return ph_run_put_text(run, s, 0, w);
    ph_w_binary(w, NULL, 0);
    return true;
}

static bool put_options(struct ph_run *run, const struct ph_statement *s, size_t i)
{
    struct ph_wbuf *w = &run->session.out;
    if (s->variant & HAS_OPTIONS)
        return ph_run_put(run, s, i, w);
    ph_w_nil(w);
    return true;
}

static bool run_driver_request(struct ph_run *run, const struct ph_statement *s, bool load)
{
    struct ph_session *session = &run->session;
    struct ph_slice value = {0};
    bool from = s->variant & HAS_FROM;
    ph_session_begin_tagged(session, load ? "load" : "unload", load ? 7 : 6);
    ph_session_put(session, caller_pid(run, s));
    ph_driver_put_ref(session);
    if (load && !put_path(run, s, from))
        return false;
    ph_w_binary(&session->out, s->name, strlen(s->name));
    if (!put_options(run, s, from))
        return false;
    enum ph_result r = ph_session_ask(session, &value);
    bool ok = judge(run, s, r, value);
    if (!ok && r == PH_RESULT_ERROR)
        explain(run, value);
    return ok;
}

bool ph_run_load(struct ph_run *run, const struct ph_statement *s)
{
    return run_driver_request(run, s, true);
}

bool ph_run_unload(struct ph_run *run, const struct ph_statement *s)
{
    return run_driver_request(run, s, false);
}

/* ---- ports ---- */

bool ph_run_open(struct ph_run *run, const struct ph_statement *s)
{
    struct ph_session *session = &run->session;
    struct ph_caller *owner = ph_world_find_caller(run, s->as);
    struct ph_script_port *port = ph_world_find_port(run, s->name);
    struct ph_slice value = {0};
    bool text = s->variant & HAS_TEXT;
    if (port && !port->gone)
        return ph_run_fail_with(run, s, "%s is open", s->name);
    port = ph_world_port(run, s->name, ph_session_port_id(session), owner);
    ph_session_begin_tagged(session, "open", 7);
    ph_w_uint(&session->out, port->id);
    ph_w_atom(&session->out, port->name);
    ph_session_put(session, &owner->pid);
    if (!text)
        ph_w_binary(&session->out, s->item, strlen(s->item));
    else if (!ph_run_put_text(run, s, 0, &session->out))
        return false;
    if (!put_options(run, s, text))
        return false;
    enum ph_result r = ph_session_ask(session, &value);
    port->gone |= r != PH_RESULT_OK;
    port->closed |= r != PH_RESULT_OK;
    return judge(run, s, r, value);
}

static bool may_command(void *arg)
{
    const struct ph_script_port *port = arg;
    return !port->busy || port->gone;
}

/* What came says what the port's state is. */
static bool read_events(struct ph_run *run, const struct ph_statement *s)
{
    return ph_run_check(run, s, ph_session_listen(&run->session, ph_now_ms(), -1, NULL, NULL));
}

/* As in the VM, a command to a busy port waits until the port is not busy any more. */
bool ph_run_command(struct ph_run *run, const struct ph_statement *s)
{
    struct ph_session *session = &run->session;
    struct ph_script_port *port = port_of(run, s);
    bool ok;
    if (!port || !read_events(run, s))
        return false;
    if (!ph_run_wait(run, s, COMMAND_WAIT_MS * run->patience, may_command, port, &ok))
        return ok ? ph_run_fail_with(run, s, "%s has been busy for %g s", s->name, COMMAND_WAIT_MS * run->patience / 1000.0) : false;
    if (port->gone && port->reason.len == 0)
        return ph_run_fail_with(run, s, "%s could not be opened", s->name);
    if (port->gone)
        return fail_unexpected(run, s, "an open port", "exit ", (struct ph_slice){port->reason.buf, port->reason.len});
    ph_session_begin(session, "command", 4);
    ph_w_uint(&session->out, port->id);
    ph_session_put(session, caller_pid(run, s));
    return ph_run_put(run, s, 0, &session->out) && ph_run_check(run, s, ph_session_post(session));
}

static struct ph_script_port *begin(struct ph_run *run, const struct ph_statement *s, uint32_t arity)
{
    struct ph_session *session = &run->session;
    struct ph_script_port *port = port_of(run, s);
    if (!port)
        return NULL;
    ph_session_begin_tagged(session, s->kind->name, arity);
    ph_w_uint(&session->out, port->id);
    ph_session_put(session, caller_pid(run, s));
    return port;
}

bool ph_run_request(struct ph_run *run, const struct ph_statement *s)
{
    if (!begin(run, s, 6))
        return false;
    ph_w_uint(&run->session.out, s->number);
    return ph_run_put(run, s, 0, &run->session.out) && ask(run, s);
}

bool ph_run_connect(struct ph_run *run, const struct ph_statement *s)
{
    const struct ph_caller *to = ph_world_find_caller(run, s->item);
    struct ph_slice value = {0};
    struct ph_script_port *port = begin(run, s, 5);
    if (!port)
        return false;
    ph_session_put(&run->session, &to->pid);
    enum ph_result r = ph_session_ask(&run->session, &value);
    if (r == PH_RESULT_OK)
        port->owner = to;
    return judge(run, s, r, value);
}

bool ph_run_close(struct ph_run *run, const struct ph_statement *s)
{
    return begin(run, s, 4) && ask(run, s);
}
