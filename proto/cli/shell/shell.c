/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what lines mean, and lines that do not come from a terminal. Called by main.c. */
#include "shell/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "interrupt.h"
#include "out.h"
#include "ports.h"
#include "shell/edit.h"
#include "steps.h"

#define LINE_MAX_BYTES PH_MAX_FRAME_DEFAULT
#define READ_BYTES 65536

struct shell {
    struct ph_session *session;
    struct ph_ports ports;
    char *buf; /* buf[from..to) has been read and not been run */
    size_t from, to, cap;
    unsigned line; /* of the input, from 1 */
    bool eof, quit, tty;
    enum ph_exit failed; /* the input was not read to its end */
    struct ph_edit *edit; /* stdin is a terminal, with an editor; NULL: it is read as it comes */
};

/* ---- the meaning of a line ---- */

static bool nothing_left(const struct ph_args *a)
{
    struct ph_text word = ph_args_peek(a);
    if (word.p)
        ph_args_complain(a, "expected the end of the line, found %.*s", (int)word.len, word.p);
    return !word.p;
}

static enum ph_exit run_step(struct shell *sh, struct ph_args *a, struct ph_cli_port *port)
{
    struct ph_step step;
    enum ph_exit e = PH_EXIT_USAGE;
    if (ph_step_read(a, &step) < 0)
        return e;
    if (nothing_left(a))
        e = ph_step_run(&step, &sh->ports, port);
    ph_step_free(&step);
    return e;
}

/* NAME = open ... */
static enum ph_exit run_open(struct shell *sh, struct ph_args *a, struct ph_text name)
{
    struct ph_opening o;
    struct ph_cli_port *port = ph_ports_find(&sh->ports, name);
    ph_args_word(a);
    if (!ph_text_is(ph_args_word(a), "open")) {
        ph_args_complain(a, "expected open after '='");
        return PH_EXIT_USAGE;
    }
    if (!ph_port_name_ok(name) || ph_command_find(name) || ph_step_is(name)) {
        ph_args_complain(a, "%.*s cannot be the name of a port: it is no plain atom, or a command, or is for one that a driver creates", (int)name.len, name.p);
        return PH_EXIT_USAGE;
    }
    if (port && !port->closed) {
        ph_args_complain(a, "%.*s is open", (int)name.len, name.p);
        return PH_EXIT_FAILED;
    }
    if (ph_opening_read(a, &o) < 0)
        return PH_EXIT_USAGE;
    enum ph_exit e = ph_port_open(&sh->ports, name, o.command, &o.options, o.n, &port);
    ph_opening_free(&o);
    return e;
}

static enum ph_exit run_on_port(struct shell *sh, struct ph_args *a, struct ph_text name)
{
    struct ph_cli_port *port = ph_ports_find(&sh->ports, name);
    if (ph_text_is(ph_args_peek(a), "="))
        return run_open(sh, a, name);
    if (port)
        return run_step(sh, a, port);
    ph_args_complain(a, "%.*s is neither a command nor a port; try help", (int)name.len, name.p);
    return PH_EXIT_USAGE;
}

static enum ph_exit run_words(struct shell *sh, struct ph_args *a)
{
    struct ph_args whole = *a;
    struct ph_text word = ph_args_word(a);
    const struct ph_command *c = ph_command_find(word);
    if (!word.p || *word.p == '#' || *word.p == '%')
        return PH_EXIT_OK;
    if (c)
        return ph_command_check(c, a) ? ph_command_run(c, sh->session, a) : PH_EXIT_USAGE;
    if (ph_text_is(word, "wait"))
        return run_step(sh, &whole, NULL);
    if (ph_text_is(word, "help")) {
        ph_shell_help(stdout);
        return PH_EXIT_OK;
    }
    if (ph_text_is(word, "quit")) {
        sh->quit = true;
        return PH_EXIT_OK;
    }
    return run_on_port(sh, a, word);
}

/* ---- input ---- */

/* Room for more behind what was read, which moves to the front. */
static bool make_room(struct shell *sh)
{
    if (sh->from > 0)
        memmove(sh->buf, sh->buf + sh->from, sh->to - sh->from);
    sh->to -= sh->from;
    sh->from = 0;
    if (sh->cap - sh->to >= READ_BYTES)
        return true;
    size_t cap = sh->cap * 2 + READ_BYTES;
    char *buf = cap <= 2 * LINE_MAX_BYTES ? realloc(sh->buf, cap) : NULL;
    if (!buf)
        return false;
    sh->buf = buf;
    sh->cap = cap;
    return true;
}

static void read_input(struct shell *sh)
{
    if (!make_room(sh)) {
        ph_complain("stdin:%u: this line is too long", sh->line);
        sh->to = 0;
        sh->eof = true;
        sh->failed = PH_EXIT_USAGE;
        return;
    }
    ssize_t n = read(STDIN_FILENO, sh->buf + sh->to, sh->cap - sh->to);
    if (n > 0) {
        sh->to += (size_t)n;
    } else if (n == 0) {
        sh->eof = true;
    } else if (errno != EINTR && errno != EAGAIN) {
        ph_complain("cannot read stdin: %s", strerror(errno));
        sh->eof = true;
        sh->failed = PH_EXIT_FAILED;
    }
}

/* Runs the first line of what was read, if it has come as a whole. False if not. */
static bool run_line(struct shell *sh, enum ph_exit *e)
{
    size_t left = sh->to - sh->from;
    const char *line = sh->buf + sh->from, *newline = left ? memchr(line, '\n', left) : NULL;
    if (!newline && !(sh->eof && left))
        return false;
    size_t len = newline ? (size_t)(newline - line) : left;
    struct ph_args a = ph_args_of_line(line, len, sh->line++);
    *e = run_words(sh, &a);
    sh->from += newline ? len + 1 : len;
    return true;
}

static void prompt(const struct shell *sh)
{
    if (!sh->tty)
        return;
    fputs("porthostctl> ", stdout);
    fflush(stdout);
}

/* Waits for input while what comes from the host is printed. */
static enum ph_exit await_input(struct shell *sh)
{
    enum ph_result r = ph_session_listen(sh->session, PH_NEVER, STDIN_FILENO, NULL, NULL);
    if (r == PH_RESULT_INPUT)
        read_input(sh);
    else
        sh->quit = true;
    return ph_result_exit(r);
}

/* A line of a terminal, read and run. Ctrl-C ends what it does, not the session. */
static enum ph_exit run_edited(struct shell *sh)
{
    struct ph_text line;
    switch (ph_edit_line(sh->edit, &line)) {
    case PH_EDIT_LINE: {
        struct ph_args a = ph_args_of_line(line.p, line.len, sh->line++);
        enum ph_exit e = run_words(sh, &a);
        ph_interrupt_take();
        return e;
    }
    case PH_EDIT_ABANDONED:
        return PH_EXIT_OK;
    case PH_EDIT_LOST:
        sh->quit = true;
        return ph_result_exit(ph_edit_result(sh->edit));
    default:
        sh->eof = true;
        return PH_EXIT_OK;
    }
}

static enum ph_exit run_piped(struct shell *sh)
{
    enum ph_exit e = PH_EXIT_OK;
    if (run_line(sh, &e))
        prompt(sh);
    else if (!sh->eof)
        e = await_input(sh);
    return e;
}

static bool has_input(const struct shell *sh)
{
    return !sh->quit && !ph_out_failed() && (!sh->eof || sh->from < sh->to);
}

enum ph_exit ph_shell_run(struct ph_session *s)
{
    struct shell sh = {.session = s, .line = 1, .tty = isatty(STDIN_FILENO)};
    enum ph_exit worst = PH_EXIT_OK, e = PH_EXIT_OK;
    ph_ports_init(&sh.ports, s);
    sh.edit = ph_edit_open(s);
    if (!sh.edit)
        prompt(&sh);
    while (has_input(&sh) && worst != PH_EXIT_NO_CONNECTION) {
        e = sh.edit ? run_edited(&sh) : run_piped(&sh);
        worst = e > worst ? e : worst;
    }
    ph_edit_close(sh.edit);
    worst = sh.failed > worst ? sh.failed : worst;
    e = worst == PH_EXIT_NO_CONNECTION ? worst : ph_ports_finish(&sh.ports);
    ph_ports_free(&sh.ports);
    free(sh.buf);
    return e > worst ? e : worst;
}

void ph_shell_help(FILE *f)
{
    ph_commands_help(f);
    fprintf(f, PH_HELP_LINE, "NAME =", "open [-o TERM]... COMMAND", "open a port and give it a name");
    fprintf(f, PH_HELP_LINE, "wait", "MS", "print what comes in that time");
    fprintf(f, PH_HELP_LINE, "quit", "", "end the session; so does Ctrl-D");
    fputs("NAME followed by one of\n", f);
    ph_steps_help(f);
}
