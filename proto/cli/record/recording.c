/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the reading of recordings. Called by replay.c. */
#include "record/recording.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli.h"
#include "term/term.h"

/* A frame may be nested as deep as what is printed; who plays it sees what the host says to it. */
#define LIMITS ((struct ph_term_limits){PH_PRINT_DEPTH, PH_RECORDING_MAX_FRAME})

struct source {
    const char *file;
    unsigned number;
    const char *line, *at, *end;
};

/* Shows the line and the place in it. */
static bool wrong_at(const struct source *s, const char *at, const char *expected)
{
    struct ph_term_error err = {.offset = (size_t)(at - s->line), .line = 1, .column = 1};
    for (const char *p = s->line; p < at; p++)
        err.column += ((unsigned char)*p & 0xc0) != 0x80;
    snprintf(err.text, sizeof err.text, "expected %s", expected);
    ph_term_error_print(stderr, s->file, s->number - 1, s->line, (size_t)(s->end - s->line), &err);
    return false;
}

static void skip_blanks(struct source *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t'))
        s->at++;
}

/* Passes a word that ends with a blank or the line. */
static bool take_word(struct source *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return false;
    if (s->at + n < s->end && s->at[n] != ' ' && s->at[n] != '\t')
        return false;
    s->at += n;
    skip_blanks(s);
    return true;
}

static bool take_time(struct source *s)
{
    const char *from = s->at;
    skip_blanks(s);
    if (s->at == from)
        return wrong_at(s, s->at, "a blank and a time");
    from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    if (s->at > from && s->at < s->end && *s->at == '.')
        for (s->at++; s->at < s->end && *s->at >= '0' && *s->at <= '9';)
            s->at++;
    if (s->at == from || s->at == s->end || (*s->at != ' ' && *s->at != '\t'))
        return wrong_at(s, s->at == from ? from : s->at, s->at == from ? "a time in seconds" : "a blank behind the time");
    skip_blanks(s);
    return true;
}

/* ---- the parts of a line ---- */

static bool take_term(struct source *s, struct ph_wbuf *w)
{
    struct ph_term_error err;
    size_t used, len = (size_t)(s->end - s->at);
    if (ph_term_read_pattern(s->at, len, LIMITS, w, &err, &used) < 0) {
        err.offset += (size_t)(s->at - s->line);
        for (const char *p = s->line; err.line == 1 && p < s->at; p++)
            err.column += ((unsigned char)*p & 0xc0) != 0x80;
        ph_term_error_print(stderr, s->file, s->number - 1, s->line, (size_t)(s->end - s->line), &err);
        return false;
    }
    s->at += used;
    skip_blanks(s);
    return s->at == s->end || wrong_at(s, s->at, "nothing behind the term");
}

static bool take_binary(struct source *s, struct ph_wbuf *w)
{
    struct ph_wbuf term;
    struct ph_slice bytes;
    const char *at = s->at;
    ph_wbuf_init(&term, NULL);
    bool ok = take_term(s, &term);
    struct ph_cur c = {term.buf, term.buf + term.len};
    if (ok && ph_etf_binary(&c, &bytes) == 0)
        ph_w_raw(w, bytes.p, bytes.len);
    else if (ok)
        ok = wrong_at(s, at, "a binary");
    ph_wbuf_free(&term);
    return ok;
}

static bool take_frame(struct source *s, struct ph_line *l)
{
    l->kind = PH_LINE_FRAME;
    if (take_word(s, "frame"))
        return take_binary(s, &l->bytes);
    l->kind = PH_LINE_REST;
    if (take_word(s, "rest"))
        return take_binary(s, &l->bytes);
    l->kind = PH_LINE_TERM;
    l->text = strndup(s->at, (size_t)(s->end - s->at));
    return take_term(s, &l->bytes);
}

static bool take_state(struct source *s, struct ph_line *l)
{
    static const char colon[] = "host ended: ";
    size_t n = sizeof colon - 1;
    l->kind = PH_LINE_ENDED;
    if ((size_t)(s->end - s->at) > n && memcmp(s->at, colon, n) == 0) {
        l->by_host = true;
        return true;
    }
    if (take_word(s, "cut"))
        l->kind = PH_LINE_CUT;
    else if (take_word(s, "host"))
        l->by_host = true;
    else if (!take_word(s, "client"))
        return wrong_at(s, s->at, "client ended, host ended or cut");
    if (l->kind == PH_LINE_ENDED && !take_word(s, "ended"))
        return wrong_at(s, s->at, "ended");
    return s->at == s->end || wrong_at(s, s->at, "the end of the line");
}

static bool take_line(struct source *s, struct ph_line *l)
{
    char mark = *s->at;
    if (mark != '>' && mark != '<' && mark != '=')
        return wrong_at(s, s->at, "a line that begins with >, <, = or %");
    s->at++;
    l->by_host = mark == '<';
    if (!take_time(s))
        return false;
    bool ok = mark == '=' ? take_state(s, l) : take_frame(s, l);
    if (!l->bytes.failed && (l->text || l->kind != PH_LINE_TERM || !ok))
        return ok;
    ph_complain("%s:%u: there is no memory for this line", s->file, s->number);
    return false;
}

/* ---- the file ---- */

static struct ph_line *add_line(struct ph_recording *r, unsigned number)
{
    if (r->n % 1024 == 0)
        r->lines = ph_realloc(r->lines, (r->n + 1024) * sizeof *r->lines);
    struct ph_line *l = &r->lines[r->n++];
    *l = (struct ph_line){.number = number};
    ph_wbuf_init(&l->bytes, NULL);
    return l;
}

/* After the end of a side there is nothing more of it. */
static bool follows(const struct source *s, const struct ph_line *l, bool ended[2], bool *cut)
{
    if (*cut)
        return wrong_at(s, s->line, "nothing behind cut");
    if (ended[l->by_host] && l->kind != PH_LINE_CUT)
        return wrong_at(s, s->line, l->by_host ? "nothing of the host behind its end" : "nothing of the client behind its end");
    if (l->kind == PH_LINE_ENDED)
        ended[l->by_host] = true;
    *cut = l->kind == PH_LINE_CUT;
    return true;
}

static bool is_head(const struct source *s)
{
    size_t n = strlen(PH_RECORDING_HEAD);
    if ((size_t)(s->end - s->line) == n && memcmp(s->line, PH_RECORDING_HEAD, n) == 0)
        return true;
    return wrong_at(s, s->line, "the first line to be " PH_RECORDING_HEAD);
}

static bool read_lines(struct ph_recording *r, FILE *f)
{
    struct source s = {.file = r->file};
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    bool ok = true, ended[2] = {false, false}, cut = false;
    while (ok && (n = getline(&line, &cap, f)) >= 0) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' '))
            n--;
        s.number++;
        s.line = s.at = line;
        s.end = line + n;
        if (s.number == 1) {
            ok = is_head(&s);
        } else if (n > 0 && line[0] != '%') {
            struct ph_line *l = add_line(r, s.number);
            ok = take_line(&s, l) && follows(&s, l, ended, &cut);
        }
    }
    free(line);
    if (ok && ferror(f))
        ph_complain("%s: %s", r->file, strerror(errno));
    else if (ok && s.number == 0)
        ph_complain("%s:1:1: expected the first line to be " PH_RECORDING_HEAD ", found the end of the file", r->file);
    return ok && !ferror(f) && s.number > 0;
}

bool ph_recording_read(struct ph_recording *r, const char *file)
{
    *r = (struct ph_recording){.file = file};
    FILE *f = fopen(file, "rbe");
    bool ok = f != NULL && read_lines(r, f);
    if (!f)
        ph_complain("%s: %s", file, strerror(errno));
    else
        fclose(f);
    if (!ok)
        ph_recording_free(r);
    return ok;
}

void ph_recording_free(struct ph_recording *r)
{
    for (size_t i = 0; i < r->n; i++) {
        ph_wbuf_free(&r->lines[i].bytes);
        free(r->lines[i].text);
    }
    free(r->lines);
    *r = (struct ph_recording){0};
}
