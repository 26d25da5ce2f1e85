/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the table of statements, and those that ask nothing of the host: test, env, set, caller, kill, repeat, end, sleep. Called by script.c, which reads,
 * and run.c, which runs. */
#include "script/statements.h"

#include <stdlib.h>
#include <string.h>

#include "script/expect.h"
#include "script/memory.h"
#include "script/pattern.h"
#include "script/requests.h"
#include "script/world.h"

#define REPEAT_MAX 1000000000u

static struct ph_text text_of(const char *s)
{
    return (struct ph_text){s, strlen(s)};
}

/* What run.c does by the order of statements. */
static bool run_nothing(struct ph_run *run, const struct ph_statement *s)
{
    (void)run;
    (void)s;
    return true;
}

/* ---- test "NAME" ---- */

static bool read_test(struct ph_script_reader *r, struct ph_statement *s)
{
    char *text = NULL;
    if (r->depth > 0)
        return ph_take_mistake(r, "a test cannot begin within repeat");
    if (!ph_take_string(r, "the name of the test", &text))
        return false;
    bool fits = strlen(text) < sizeof s->item && !strchr(text, '\n');
    if (fits)
        strcpy(s->item, text);
    free(text);
    if (!fits)
        return ph_take_mistake(r, "this name is longer than 200 bytes, or than a line");
    if (r->script->tests++ == 0)
        r->common = r->nknown;
    ph_forget(r, r->common);
    return true;
}

/* ---- env NAME TERM ---- */

/* Names of the environment are of either kind. */
static bool read_env_name(struct ph_script_reader *r, char *name)
{
    if (ph_take_next_is_variable(r))
        return ph_take_variable(r, "the name of a variable of the environment", name);
    return ph_take_name(r, "the name of a variable of the environment", name);
}

static bool read_env(struct ph_script_reader *r, struct ph_statement *s)
{
    if (r->host)
        return ph_take_mistake(r, "the environment is set before the first statement that needs the host");
    return read_env_name(r, s->name) && ph_take_term(r);
}

/* The text of a term of the statement. NULL with the failure told. */
static char *take_text(struct ph_run *run, const struct ph_statement *s, size_t i)
{
    struct ph_wbuf w;
    char *text = NULL;
    size_t len;
    ph_wbuf_init(&w, NULL);
    bool ok = ph_run_put_text(run, s, i, &w);
    struct ph_cur c = {w.buf, w.buf + w.len};
    if (ok && ph_etf_text(&c, true, &text, &len) != 0) {
        text = NULL;
        ph_run_fail_with(run, s, "this term is no text: a string or binary without NUL bytes, or an atom");
    }
    ph_wbuf_free(&w);
    return text;
}

static bool run_env(struct ph_run *run, const struct ph_statement *s)
{
    if (run->cli.transport != PH_OWN_DAEMON)
        return ph_run_fail_with(run, s, "a running host has its environment");
    char *text = take_text(run, s, 0);
    if (!text)
        return false;
    ph_script_need(setenv(s->name, text, 1) == 0);
    free(text);
    return true;
}

/* ---- set VAR = TERM, set VAR env NAME [TERM] ---- */

enum { SET_TERM, SET_ENV };

static bool read_set(struct ph_script_reader *r, struct ph_statement *s)
{
    if (!ph_take_variable(r, "a variable", s->name))
        return false;
    if (ph_knows(r, PH_KNOWN_CALLER, text_of(s->name)))
        return ph_take_mistake(r, "this variable is a caller");
    if (ph_knows(r, PH_KNOWN_PORT, text_of(s->name)))
        return ph_take_mistake(r, "this variable is a port");
    if (ph_take_word_if(r, "env")) {
        s->variant = SET_ENV;
        if (!read_env_name(r, s->item) || (ph_take_more(r) && !ph_take_term(r)))
            return false;
    } else if (!ph_take_more(r) || ph_lex_peek(&r->lex) != '=') {
        return ph_take_wanted(r, "= TERM or env NAME");
    } else {
        ph_lex_next(&r->lex);
        if (!ph_take_term(r))
            return false;
    }
    ph_know(r, PH_KNOWN_VARIABLE, text_of(s->name));
    return true;
}

static bool put_env(struct ph_run *run, const struct ph_statement *s, struct ph_wbuf *w)
{
    const char *value = getenv(s->item);
    if (!value && s->n > 0)
        return ph_run_put(run, s, 0, w);
    if (!value)
        return ph_run_fail_with(run, s, "the environment has no %s", s->item);
    ph_w_string(w, value, strlen(value));
    return true;
}

static bool run_set(struct ph_run *run, const struct ph_statement *s)
{
    struct ph_wbuf w;
    ph_wbuf_init(&w, NULL);
    bool ok = s->variant == SET_ENV ? put_env(run, s, &w) : ph_run_put(run, s, 0, &w);
    if (ok)
        ph_vars_set(&run->vars, text_of(s->name), (struct ph_slice){w.buf, w.len});
    ph_wbuf_free(&w);
    return ok;
}

/* ---- caller VAR, kill VAR [REASON] ---- */

static bool read_caller(struct ph_script_reader *r, struct ph_statement *s)
{
    if (!ph_take_variable(r, "a variable for the caller", s->name))
        return false;
    if (ph_knows(r, PH_KNOWN_VARIABLE, text_of(s->name)))
        return ph_take_mistake(r, "this variable has a value already");
    if (r->depth > 0)
        return ph_take_mistake(r, "a caller cannot be made within repeat");
    ph_know(r, PH_KNOWN_VARIABLE, text_of(s->name));
    ph_know(r, PH_KNOWN_CALLER, text_of(s->name));
    return true;
}

static bool run_caller(struct ph_run *run, const struct ph_statement *s)
{
    ph_world_caller(run, text_of(s->name));
    return true;
}

static bool read_kill(struct ph_script_reader *r, struct ph_statement *s)
{
    if (!ph_take_variable(r, "the variable of a caller", s->name))
        return false;
    if (!ph_knows(r, PH_KNOWN_CALLER, text_of(s->name)))
        return ph_take_mistake(r, "this is no caller; `caller NAME` makes one");
    if (strcmp(s->name, "Self") == 0)
        return ph_take_mistake(r, "Self lives as long as the script");
    return !ph_take_more(r) || ph_take_term(r);
}

static bool run_kill(struct ph_run *run, const struct ph_statement *s)
{
    struct ph_caller *c = ph_world_find_caller(run, s->name);
    struct ph_wbuf reason;
    if (c->dead)
        return ph_run_fail_with(run, s, "%s is dead", s->name);
    ph_wbuf_init(&reason, NULL);
    bool ok = true;
    if (s->n > 0)
        ok = ph_run_put(run, s, 0, &reason);
    else
        ph_w_atom(&reason, "killed");
    if (ok)
        ok = ph_run_check(run, s, ph_world_kill(run, c, (struct ph_slice){reason.buf, reason.len}));
    ph_wbuf_free(&reason);
    return ok;
}

/* ---- repeat N, end ---- */

static bool read_repeat(struct ph_script_reader *r, struct ph_statement *s)
{
    if (r->depth == PH_SCRIPT_BLOCKS)
        return ph_take_mistake(r, "repeat is nested more than 16 deep");
    r->blocks[r->depth] = r->script->n;
    r->known_at[r->depth++] = r->nknown;
    return ph_take_number(r, "how often", REPEAT_MAX, &s->number);
}

/* What the block has bound is not known behind it. */
static bool read_end(struct ph_script_reader *r, struct ph_statement *s)
{
    if (r->depth == r->base)
        return ph_take_mistake(r, "there is no repeat in this file that this could be the end of");
    s->partner = r->blocks[--r->depth];
    r->script->at[s->partner].partner = r->script->n;
    size_t kept = r->known_at[r->depth];
    for (size_t i = kept; i < r->nknown; i++) { /* ports stay */
        if (r->known[i].kind != PH_KNOWN_PORT)
            continue;
        char *name = r->known[i].name;
        enum ph_known kind = r->known[i].kind;
        r->known[i] = r->known[kept];
        r->known[kept].kind = kind;
        r->known[kept++].name = name;
    }
    ph_forget(r, kept);
    return true;
}

/* ---- sleep TIME ---- */

static bool read_sleep(struct ph_script_reader *r, struct ph_statement *s)
{
    return ph_take_duration(r, &s->within_ms);
}

static bool run_sleep(struct ph_run *run, const struct ph_statement *s)
{
    bool ok;
    ph_run_wait(run, s, s->within_ms, NULL, NULL, &ok);
    return ok;
}

/* ---- the table ---- */

static const struct ph_statement_kind kinds[] = {
    {"test", true, false, read_test, run_nothing},
    {"env", true, false, read_env, run_env},
    {"set", true, false, read_set, run_set},
    {"caller", true, false, read_caller, run_caller},
    {"repeat", true, false, read_repeat, run_nothing},
    {"end", true, false, read_end, run_nothing},
    {"kill", true, false, read_kill, run_kill},
    {"sleep", false, false, read_sleep, run_sleep},
    {"load", false, true, ph_take_load, ph_run_load},
    {"unload", false, true, ph_take_unload, ph_run_unload},
    {"open", false, true, ph_take_open, ph_run_open},
    {"command", false, true, ph_take_command, ph_run_command},
    {"control", false, true, ph_take_request, ph_run_request},
    {"call", false, true, ph_take_request, ph_run_request},
    {"connect", false, true, ph_take_connect, ph_run_connect},
    {"close", false, true, ph_take_close, ph_run_close},
    {"expect", false, true, ph_take_expect, ph_run_expect},
};

const struct ph_statement_kind *ph_statement_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}
