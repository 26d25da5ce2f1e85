/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the line editor. Called by the shell. libedit asks for a character at a time, and that is where we wait for the host too. */
#include "shell/edit.h"

#include <errno.h>
#include <histedit.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "interrupt.h"
#include "screen.h"
#include "shell/complete.h"
#include "term/utf8.h"

#define HISTORY_LINES 1000
#define CHOICES_MAX 200 /* words shown */

struct ph_edit {
    struct ph_session_tap tap; /* first */
    EditLine *el;
    HistoryW *history;
    char history_file[PATH_MAX]; /* empty: none */
    enum ph_result result;       /* of the last wait that was not for input */
    bool eof;
    char bytes[4]; /* typed, of what is not yet a code point or has turned out to be none */
    size_t nbytes;
    char *line; /* the last one given out, UTF-8 */
};

/* ---- waiting ---- */

/* What is printed takes the place of the line, which is then drawn again below. */
static void on_event(struct ph_session_tap *tap, const struct ph_event *event)
{
    struct ph_edit *e = (struct ph_edit *)tap;
    fputs("\r\033[K", stdout);
    ph_session_pass_on(tap, event);
    fflush(stdout);
    el_wset(e->el, EL_REFRESH);
}

/* 1: a byte; 0: the end; -1: something else has happened. */
static int get_byte(struct ph_edit *e, char *byte)
{
    for (;;) {
        e->result = ph_session_listen(e->tap.session, PH_NEVER, STDIN_FILENO, NULL, NULL);
        if (e->result != PH_RESULT_INPUT)
            return -1;
        ssize_t n = read(STDIN_FILENO, byte, 1);
        if (n >= 0)
            return (int)n;
        if (errno != EINTR && errno != EAGAIN)
            return 0; /* the terminal is gone */
    }
}

/* The bytes of a code point that begins like that; 1 if none does. */
static size_t utf8_length(char first)
{
    unsigned char c = (unsigned char)first;
    return c < 0xc2 || c > 0xf4 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Whether the bytes are a code point, or cannot become one. */
static bool is_whole(const char *bytes, size_t n)
{
    return n > 0 && (n >= utf8_length(bytes[0]) || (n > 1 && ((unsigned char)bytes[n - 1] & 0xc0) != 0x80));
}

/* For libedit: as el_getc, but a code point in any locale. Bytes that are none are taken one by one. */
static int get_char(EditLine *el, wchar_t *wc)
{
    struct ph_edit *e;
    uint32_t code;
    el_wget(el, EL_CLIENTDATA, &e);
    while (!is_whole(e->bytes, e->nbytes)) {
        int rc = get_byte(e, &e->bytes[e->nbytes]);
        e->eof |= rc == 0;
        if (rc <= 0) {
            e->nbytes = 0;
            return rc;
        }
        e->nbytes++;
    }
    size_t len = ph_utf8_get(e->bytes, e->bytes + e->nbytes, &code);
    *wc = len ? (wchar_t)code : (wchar_t)L'?';
    len = len ? len : 1;
    e->nbytes -= len;
    memmove(e->bytes, e->bytes + len, e->nbytes);
    return 1;
}

/* ---- text ---- */

static char *to_utf8(const wchar_t *text, size_t n, size_t *len)
{
    char *out = malloc(4 * n + 1), *at = out;
    for (size_t i = 0; out && i < n; i++)
        at += ph_utf8_put(at, ph_code_point_ok((uint32_t)text[i]) ? (uint32_t)text[i] : '?');
    if (out)
        *at = 0;
    *len = out ? (size_t)(at - out) : 0;
    return out;
}

static void insert(EditLine *el, const char *p, size_t len)
{
    uint32_t code;
    for (const char *end = p + len; p < end;) {
        size_t n = ph_utf8_get(p, end, &code);
        wchar_t text[2] = {n ? (wchar_t)code : L'?', 0};
        el_winsertstr(el, text);
        p += n ? n : 1;
    }
}

/* ---- completion ---- */

struct choices {
    char *common; /* what all begin with; NULL: there are none yet */
    size_t common_len, n;
    char *list; /* separated by two blanks */
    size_t list_len;
    FILE *out;
};

static void add_choice(void *arg, struct ph_text word)
{
    struct choices *c = arg;
    if (!c->common && (c->common = strndup(word.p, word.len)))
        c->common_len = word.len;
    size_t same = 0;
    while (c->common && same < c->common_len && same < word.len && c->common[same] == word.p[same])
        same++;
    c->common_len = same;
    if (c->n++ < CHOICES_MAX)
        fprintf(c->out, "%.*s  ", (int)word.len, word.p);
}

static unsigned char show_choices(struct ph_edit *e, struct choices *c, size_t begun)
{
    fclose(c->out);
    bool longer = c->common_len > begun;
    if (longer)
        insert(e->el, c->common + begun, c->common_len - begun);
    if (c->n == 1)
        insert(e->el, " ", 1);
    if (c->n > 1 && !longer)
        printf("\n%s\n", c->list ? c->list : "");
    fflush(stdout);
    free(c->common);
    free(c->list);
    return c->n == 0 ? CC_ERROR : c->n > 1 && !longer ? CC_REDISPLAY : CC_REFRESH;
}

/* Bound to the tabulator. */
static unsigned char complete(EditLine *el, int key)
{
    struct ph_edit *e;
    struct choices c = {0};
    size_t len;
    (void)key;
    el_wget(el, EL_CLIENTDATA, &e);
    const LineInfoW *info = el_wline(el);
    char *line = to_utf8(info->buffer, (size_t)(info->cursor - info->buffer), &len);
    c.out = line ? open_memstream(&c.list, &c.list_len) : NULL;
    if (!c.out) {
        free(line);
        return CC_ERROR;
    }
    size_t begun = ph_complete(e->tap.session, (struct ph_text){line, len}, add_choice, &c);
    free(line);
    return show_choices(e, &c, begun);
}

/* ---- history ---- */

static void load_history(struct ph_edit *e)
{
    HistEventW ev;
    const char *home = getenv("HOME");
    e->history = history_winit();
    if (!e->history)
        return;
    history_w(e->history, &ev, H_SETSIZE, HISTORY_LINES);
    history_w(e->history, &ev, H_SETUNIQUE, 1);
    el_wset(e->el, EL_HIST, history_w, e->history);
    if (!home || snprintf(e->history_file, sizeof e->history_file, "%s/.porthostctl_history", home) >= (int)sizeof e->history_file)
        e->history_file[0] = 0;
    if (e->history_file[0])
        history_w(e->history, &ev, H_LOAD, e->history_file); /* not there the first time */
}

/* By way of another file: if the disk is full what was kept before stays. */
static void write_history(struct ph_edit *e)
{
    HistEventW ev;
    char new[PATH_MAX + 16];
    snprintf(new, sizeof new, "%s.%d", e->history_file, (int)getpid());
    FILE *f = fopen(new, "we");
    if (!f)
        return;
    bool ok = history_w(e->history, &ev, H_SAVE_FP, f) >= 0 && !ferror(f);
    ok = fclose(f) == 0 && ok;
    if (!ok || rename(new, e->history_file))
        unlink(new);
}

static void save_history(struct ph_edit *e)
{
    mode_t before = umask(S_IRWXG | S_IRWXO);
    if (e->history && e->history_file[0])
        write_history(e);
    umask(before);
    if (e->history)
        history_wend(e->history);
}

/* ---- lines ---- */

static wchar_t *prompt(EditLine *el)
{
    static wchar_t text[] = L"porthostctl> ";
    (void)el;
    return text;
}

struct ph_edit *ph_edit_open(struct ph_session *s)
{
    if (!isatty(STDIN_FILENO) || !ph_screen_is(stdout))
        return NULL;
    struct ph_edit *e = calloc(1, sizeof *e);
    setlocale(LC_CTYPE, "");
    if (e)
        e->el = el_init("porthostctl", stdin, stdout, stderr);
    if (!e || !e->el) {
        free(e);
        return NULL;
    }
    el_wset(e->el, EL_CLIENTDATA, e);
    el_wset(e->el, EL_PROMPT, prompt);
    el_wset(e->el, EL_EDITOR, L"emacs");
    el_wset(e->el, EL_GETCFN, get_char);
    el_wset(e->el, EL_ADDFN, L"complete", L"Completes a word", complete);
    el_wset(e->el, EL_BIND, L"^I", L"complete", NULL);
    el_wset(e->el, EL_BIND, L"^R", L"em-inc-search-prev", NULL);
    load_history(e);
    el_source(e->el, NULL); /* ~/.editrc, as everywhere */
    e->tap.session = s;
    e->tap.on_event = on_event;
    return e;
}

void ph_edit_close(struct ph_edit *e)
{
    if (!e)
        return;
    save_history(e);
    el_end(e->el);
    free(e->line);
    free(e);
}

static void remember(struct ph_edit *e, const wchar_t *text)
{
    HistEventW ev;
    if (e->history && text[wcsspn(text, L" \t\n")])
        history_w(e->history, &ev, H_ENTER, text);
}

enum ph_edit_end ph_edit_line(struct ph_edit *e, struct ph_text *line)
{
    int count = 0;
    size_t len;
    e->eof = false;
    e->result = PH_RESULT_INPUT;
    ph_session_tap(e->tap.session, &e->tap);
    const wchar_t *text = el_wgets(e->el, &count);
    ph_session_untap(&e->tap);
    if (e->result != PH_RESULT_INPUT) {
        putchar('\n');
        el_reset(e->el);
        return e->result == PH_RESULT_INTERRUPTED && ph_interrupt_take() ? PH_EDIT_ABANDONED : PH_EDIT_LOST;
    }
    if (!text || count <= 0) {
        putchar('\n');
        return PH_EDIT_EOF;
    }
    remember(e, text);
    free(e->line);
    e->line = to_utf8(text, (size_t)count, &len);
    while (len > 0 && (e->line[len - 1] == '\n' || e->line[len - 1] == '\r'))
        len--;
    *line = (struct ph_text){e->line ? e->line : "", len};
    return PH_EDIT_LINE;
}

enum ph_result ph_edit_result(const struct ph_edit *e)
{
    return e->result;
}
