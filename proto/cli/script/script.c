/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the files of a script and the order of its statements. Called by command.c before anything is run. */
#include "script/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "script/memory.h"
#include "script/reader.h"
#include "script/statements.h"

#define SOURCE_MAX_BYTES (16u << 20)
#define INCLUDES_MAX 16

/* ---- files ---- */

/* The text of a file, NUL-terminated. NULL with errno. */
static char *read_file(const char *name, size_t *len)
{
    struct stat st;
    FILE *f = fopen(name, "rbe");
    if (!f || fstat(fileno(f), &st) < 0) {
        int err = errno;
        if (f)
            fclose(f);
        errno = err;
        return NULL;
    }
    errno = S_ISDIR(st.st_mode) ? EISDIR : st.st_size > SOURCE_MAX_BYTES ? EFBIG : 0;
    size_t room = S_ISREG(st.st_mode) ? (size_t)st.st_size : SOURCE_MAX_BYTES; /* a pipe does not tell */
    char *text = errno ? NULL : ph_script_alloc(room + 2);
    *len = text ? fread(text, 1, room + 1, f) : 0;
    if (text && (ferror(f) || *len > room)) {
        errno = ferror(f) ? errno : EFBIG;
        free(text);
        text = NULL;
    }
    fclose(f);
    if (text) {
        text[*len] = 0;
        text = realloc(text, *len + 1);
        ph_script_need(text != NULL);
    }
    return text;
}

static struct ph_script_source *add_source(struct ph_script *script, const char *name)
{
    size_t len;
    char *text = read_file(name, &len);
    if (!text)
        return NULL;
    struct ph_script_source *s = ph_script_alloc(sizeof *s), **last = &script->sources;
    *s = (struct ph_script_source){.name = ph_script_copy((struct ph_text){name, strlen(name)}), .text = text, .len = len};
    while (*last)
        last = &(*last)->next;
    *last = s;
    return s;
}

/* ---- statements ---- */

static void free_statement(struct ph_statement *s)
{
    for (size_t i = 0; i < s->n; i++)
        ph_wbuf_free(&s->terms[i].term);
    free(s->terms);
}

/* To the first character of the next statement. False at the end of the file. */
static bool next_statement(struct ph_script_reader *r)
{
    const char *p = r->lex.pos, *end = r->lex.end;
    while (p < end && strchr(" \t\r\n%", *p) && *p) {
        if (*p == '%')
            while (p + 1 < end && p[1] != '\n')
                p++;
        p++;
    }
    r->lex.pos = p;
    return p < end;
}

static unsigned line_of(struct ph_script_source *s, const char *at)
{
    for (; s->counted < (size_t)(at - s->text); s->counted++)
        s->lines += s->text[s->counted] == '\n';
    return s->lines + 1;
}

static bool read_source(struct ph_script_reader *r);

/* The path is relative to the directory of the file that includes. */
static char *path_from(const struct ph_script_source *s, const char *path)
{
    const char *slash = strrchr(s->name, '/');
    char *full = NULL;
    int dir = slash && *path != '/' ? (int)(slash - s->name) + 1 : 0;
    ph_script_need(asprintf(&full, "%.*s%s", dir, s->name, path) >= 0);
    return full;
}

static bool include(struct ph_script_reader *r, const char *path)
{
    char text[sizeof r->err.text];
    struct ph_script_source *from = r->source;
    struct ph_lex lex = r->lex;
    unsigned base = r->base;
    if (r->includes == INCLUDES_MAX)
        return ph_take_mistake(r, "files are included more than 16 deep; does one include itself?");
    struct ph_script_source *s = add_source(r->script, path);
    if (!s) {
        snprintf(text, sizeof text, "%s: %s", path, strerror(errno));
        return ph_take_mistake(r, text);
    }
    r->source = s;
    r->includes++;
    r->base = r->depth;
    if (!read_source(r)) {
        ph_lex_free(&lex);
        return false; /* the mistake is in there: r->source stays */
    }
    ph_lex_free(&r->lex);
    r->includes--;
    r->base = base;
    r->source = from;
    r->lex = lex;
    return true;
}

/* include "FILE" */
static bool read_include(struct ph_script_reader *r)
{
    char *text = NULL;
    struct ph_statement s = {0};
    r->statement = &s;
    bool ok = ph_take_string(r, "the name of a file", &text);
    if (ok && ph_take_more(r))
        ok = ph_take_wanted(r, "the end of the line");
    char *path = ok ? path_from(r->source, text) : NULL;
    ok = ok && include(r, path);
    free(path);
    free(text);
    free_statement(&s);
    return ok;
}

static bool read_as(struct ph_script_reader *r, struct ph_statement *s)
{
    if (!ph_take_word_if(r, "as"))
        return true;
    if (!ph_take_variable(r, "the variable of a caller", s->as))
        return false;
    return ph_knows(r, PH_KNOWN_CALLER, (struct ph_text){s->as, strlen(s->as)}) ||
           ph_take_mistake(r, "this is no caller; `caller NAME` makes one");
}

static bool read_kind(struct ph_script_reader *r, struct ph_statement *s)
{
    char word[PH_SCRIPT_NAME_MAX + 1];
    if (!ph_take_name(r, "a statement", word))
        return false;
    s->kind = ph_statement_find(word);
    if (!s->kind)
        return ph_take_mistake(r, "expected a statement, found a word that begins none");
    if (s->as[0] && !s->kind->by_caller)
        return ph_take_mistake(r, "this statement is not made by a caller");
    r->host |= !s->kind->offline;
    return true;
}

static bool read_statement(struct ph_script_reader *r)
{
    struct ph_statement s = {.source = r->source, .within_ms = -1, .text.p = r->lex.pos};
    s.line = line_of(r->source, s.text.p);
    if (ph_take_word_if(r, "include"))
        return read_include(r);
    r->statement = &s;
    bool ok = read_as(r, &s) && read_kind(r, &s) && s.kind->read(r, &s);
    if (ok && ph_take_more(r))
        ok = ph_take_wanted(r, "the end of the line");
    s.text.len = (size_t)(r->lex.pos - s.text.p);
    r->script->at = ph_script_grow(r->script->at, r->script->n, sizeof s);
    r->script->at[r->script->n++] = s;
    return ok;
}

static bool read_source(struct ph_script_reader *r)
{
    ph_lex_init(&r->lex, r->source->text, r->source->len, &r->err);
    if (r->source->len > 1 && memcmp(r->source->text, "#!", 2) == 0)
        while (r->lex.pos < r->lex.end && *r->lex.pos != '\n')
            r->lex.pos++;
    while (!r->err.text[0] && next_statement(r))
        if (!read_statement(r))
            return false;
    if (r->err.text[0] || r->depth == r->base)
        return !r->err.text[0];
    r->lex.start = r->script->at[r->blocks[r->depth - 1]].text.p;
    return ph_take_mistake(r, "this repeat has no end in this file");
}

/* ---- the whole ---- */

static bool read_script(struct ph_script_reader *r)
{
    static const char self[] = "Self";
    ph_know(r, PH_KNOWN_CALLER, (struct ph_text){self, sizeof self - 1});
    ph_know(r, PH_KNOWN_VARIABLE, (struct ph_text){self, sizeof self - 1});
    bool ok = read_source(r);
    if (!ok)
        ph_term_error_print(stderr, r->source->name, 0, r->source->text, r->source->len, &r->err);
    ph_lex_free(&r->lex);
    ph_forget(r, 0);
    free(r->known);
    return ok;
}

struct ph_script *ph_script_read(const char *file)
{
    struct ph_script *script = ph_script_alloc(sizeof *script);
    script->name = file;
    struct ph_script_reader r = {.script = script, .source = add_source(script, file)};
    if (!r.source) {
        ph_complain("%s: %s", file, strerror(errno));
    } else if (read_script(&r)) {
        return script;
    }
    ph_script_free(script);
    return NULL;
}

void ph_script_free(struct ph_script *script)
{
    for (size_t i = 0; i < script->n; i++)
        free_statement(&script->at[i]);
    free(script->at);
    for (struct ph_script_source *s = script->sources, *next; s; s = next) {
        next = s->next;
        free(s->name);
        free(s->text);
        free(s);
    }
    free(script);
}
