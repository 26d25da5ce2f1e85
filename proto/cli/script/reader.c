/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the parts of a line. Called by script.c and by how statements are read. A term may go over several lines; nothing else does. */
#include "script/reader.h"

#include <stdlib.h>
#include <string.h>

#include "script/memory.h"
#include "script/pattern.h"

#define DURATION_MAX_MS 86400000.0

/* ---- where the line goes on ---- */

static const char *next_part(const struct ph_script_reader *r)
{
    const char *p = r->lex.pos;
    while (p < r->lex.end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

bool ph_take_more(struct ph_script_reader *r)
{
    const char *p = next_part(r);
    return p < r->lex.end && *p != '\n' && *p != '%';
}

void ph_take_line_end(struct ph_script_reader *r)
{
    while (!ph_take_more(r)) {
        const char *newline = memchr(r->lex.pos, '\n', (size_t)(r->lex.end - r->lex.pos));
        if (!newline)
            return;
        r->lex.pos = newline + 1;
    }
}

bool ph_take_mistake(struct ph_script_reader *r, const char *text)
{
    ph_lex_error(&r->lex, r->lex.start, text);
    return false;
}

bool ph_take_wanted(struct ph_script_reader *r, const char *what)
{
    const char *p = next_part(r);
    char text[sizeof r->err.text];
    if (ph_take_more(r) || p >= r->lex.end) {
        ph_lex_expected(&r->lex, p, what);
        return false;
    }
    snprintf(text, sizeof text, "expected %s, found the end of the line", what);
    ph_lex_error(&r->lex, p, text);
    return false;
}

/* ---- words and names ---- */

bool ph_take_next_is(const struct ph_script_reader *r, const char *word)
{
    const char *p = next_part(r);
    size_t n = strlen(word);
    if ((size_t)(r->lex.end - p) < n || memcmp(p, word, n) != 0)
        return false;
    p += n;
    return p >= r->lex.end || strchr(" \t\r\n%", *p);
}

bool ph_take_next_is_variable(struct ph_script_reader *r)
{
    int c = ph_take_more(r) ? ph_lex_peek(&r->lex) : '\0';
    return c == '_' || (c >= 'A' && c <= 'Z');
}

bool ph_take_word_if(struct ph_script_reader *r, const char *word)
{
    if (!ph_take_next_is(r, word))
        return false;
    r->lex.start = next_part(r);
    r->lex.pos = r->lex.start + strlen(word);
    return true;
}

bool ph_take_word(struct ph_script_reader *r, const char *word)
{
    return ph_take_word_if(r, word) || ph_take_wanted(r, word);
}

static bool take_token(struct ph_script_reader *r, const char *what, bool variable, char *name)
{
    if (!ph_take_more(r))
        return ph_take_wanted(r, what);
    struct ph_lex before = r->lex;
    enum ph_tok tok = ph_lex_next(&r->lex);
    if (tok == PH_TOK_BAD)
        return false;
    if (tok != (variable ? PH_TOK_VAR : PH_TOK_ATOM)) {
        r->lex.pos = before.pos;
        return ph_take_wanted(r, what);
    }
    if (r->lex.len == 0 || r->lex.len > PH_SCRIPT_NAME_MAX || strlen(r->lex.buf) != r->lex.len)
        return ph_take_mistake(r, "this name is empty, or longer than 63 bytes");
    memcpy(name, r->lex.buf, r->lex.len + 1);
    return true;
}

bool ph_take_name(struct ph_script_reader *r, const char *what, char *name)
{
    return take_token(r, what, false, name);
}

bool ph_take_variable(struct ph_script_reader *r, const char *what, char *name)
{
    if (!take_token(r, what, true, name))
        return false;
    return strcmp(name, "_") != 0 || ph_take_mistake(r, "_ cannot have a value");
}

/* ---- numbers ---- */

bool ph_take_number(struct ph_script_reader *r, const char *what, uint64_t max, uint64_t *v)
{
    char text[100];
    struct ph_text digits;
    if (!ph_take_more(r))
        return ph_take_wanted(r, what);
    if (ph_lex_next(&r->lex) == PH_TOK_BAD)
        return false;
    digits = (struct ph_text){r->lex.digits, r->lex.digits_len};
    if (r->lex.tok == PH_TOK_INT && r->lex.base == 10 && ph_text_number(digits, max, v))
        return true;
    snprintf(text, sizeof text, "expected %s, a number from 0 to %llu", what, (unsigned long long)max);
    return ph_take_mistake(r, text);
}

bool ph_take_duration(struct ph_script_reader *r, int64_t *ms)
{
    static const struct { const char *name; double ms; } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};
    char *end;
    const char *p = next_part(r);
    if (!ph_take_more(r) || *p < '0' || *p > '9')
        return ph_take_wanted(r, "a time, as in 20ms, 1.5s or 2m");
    double v = strtod(p, &end);
    r->lex.start = p;
    r->lex.pos = end;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!ph_take_next_is(r, units[i].name) || next_part(r) != end)
            continue;
        r->lex.pos += strlen(units[i].name);
        *ms = v * units[i].ms <= DURATION_MAX_MS ? (int64_t)(v * units[i].ms) : -1;
        return *ms >= 0 || ph_take_mistake(r, "this time is longer than a day");
    }
    return ph_take_wanted(r, "ms, s or m behind the number");
}

/* ---- what is known ---- */

bool ph_knows(const struct ph_script_reader *r, enum ph_known kind, struct ph_text name)
{
    for (size_t i = 0; i < r->nknown; i++)
        if (r->known[i].kind == kind && ph_text_is(name, r->known[i].name))
            return true;
    return false;
}

void ph_know(struct ph_script_reader *r, enum ph_known kind, struct ph_text name)
{
    if (ph_knows(r, kind, name))
        return;
    r->known = ph_script_grow(r->known, r->nknown, sizeof *r->known);
    r->known[r->nknown].kind = kind;
    r->known[r->nknown++].name = ph_script_copy(name);
}

void ph_forget(struct ph_script_reader *r, size_t n)
{
    while (r->nknown > n)
        free(r->known[--r->nknown].name);
}

/* ---- terms ---- */

static bool take_pattern(struct ph_script_reader *r)
{
    struct ph_statement *s = r->statement;
    const char *p = next_part(r);
    struct ph_term_error err;
    size_t used = 0;
    if (!ph_take_more(r))
        return ph_take_wanted(r, "a term");
    s->terms = ph_script_grow(s->terms, s->n, sizeof *s->terms);
    struct ph_script_term *t = &s->terms[s->n++];
    ph_wbuf_init(&t->term, NULL);
    if (ph_term_read_pattern(p, (size_t)(r->lex.end - p), PH_TERM_LIMITS, &t->term, &err, &used) < 0) {
        ph_lex_error(&r->lex, p + err.offset, err.text);
        return false;
    }
    t->text = (struct ph_text){p, used};
    r->lex.start = p;
    r->lex.pos = p + used;
    return true;
}

static struct ph_slice last_term(const struct ph_script_reader *r)
{
    const struct ph_wbuf *w = &r->statement->terms[r->statement->n - 1].term;
    return (struct ph_slice){w->buf, w->len};
}

static void check_known(void *arg, struct ph_text name)
{
    struct ph_script_reader *r = arg;
    char text[sizeof r->err.text];
    if (ph_knows(r, PH_KNOWN_VARIABLE, name) || ph_text_is(name, "<<"))
        return;
    if (ph_text_is(name, "_")) {
        ph_take_mistake(r, "_ is no term; it can only stand in what is expected");
        return;
    }
    snprintf(text, sizeof text, "the variable %.*s has no value here", (int)name.len, name.p);
    ph_take_mistake(r, text);
}

static void know_variable(void *arg, struct ph_text name)
{
    if (!ph_text_is(name, "_") && !ph_text_is(name, "<<"))
        ph_know(arg, PH_KNOWN_VARIABLE, name);
}

bool ph_take_term(struct ph_script_reader *r)
{
    if (!take_pattern(r))
        return false;
    ph_pattern_each_var(last_term(r), check_known, r);
    return !r->err.text[0];
}

bool ph_take_pattern(struct ph_script_reader *r)
{
    if (!take_pattern(r))
        return false;
    ph_pattern_each_var(last_term(r), know_variable, r);
    return true;
}

bool ph_take_result(struct ph_script_reader *r)
{
    if (!ph_take_word_if(r, "->"))
        return true;
    bool error = ph_take_word_if(r, "error");
    ph_take_line_end(r);
    r->statement->outcome = error ? PH_OUTCOME_ERROR : PH_OUTCOME_OK;
    return ph_take_pattern(r);
}

bool ph_take_string(struct ph_script_reader *r, const char *what, char **text)
{
    char wanted[120];
    size_t len;
    struct ph_statement *s = r->statement;
    if (!take_pattern(r))
        return false;
    struct ph_slice t = last_term(r);
    struct ph_cur c = {t.p, t.p + t.len};
    int got = ph_etf_text(&c, false, text, &len);
    ph_wbuf_free(&s->terms[--s->n].term);
    if (got == 0 && len > 0)
        return true;
    if (got == 0)
        free(*text);
    *text = NULL;
    snprintf(wanted, sizeof wanted, "expected %s, as a string that is not empty", what);
    return ph_take_mistake(r, wanted);
}
