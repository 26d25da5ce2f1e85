/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the table of commands that need no port. Called by main.c and the shell. */
#include "commands.h"

#include "driver.h"
#include "out.h"

struct ph_command {
    const char *name, *arguments, *help;
    unsigned least, most; /* arguments */
    enum ph_exit (*run)(const struct ph_command *c, struct ph_session *s, struct ph_args *a);
};

/* The value to stdout, an error to stderr. */
static enum ph_exit show(const struct ph_command *c, struct ph_session *s, enum ph_result r, struct ph_slice value)
{
    if (r == PH_RESULT_OK)
        ph_out_term(s->cli, value);
    else if (r == PH_RESULT_ERROR)
        ph_out_failure(c->name, value);
    return ph_result_exit(r);
}

/* Requests that have the command's name and nothing but a tag. */
static enum ph_exit run_plain(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct ph_slice value = {0};
    (void)a;
    ph_session_begin_tagged(s, c->name, 2);
    enum ph_result r = ph_session_ask(s, &value);
    return show(c, s, r, value);
}

static enum ph_exit run_ports(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct ph_slice value = {0};
    struct ph_text option = ph_args_word(a);
    bool all = ph_text_is(option, "--all");
    if (option.p && !all) {
        ph_args_complain(a, "ports: expected --all, found %.*s", (int)option.len, option.p);
        return PH_EXIT_USAGE;
    }
    ph_session_begin_tagged(s, "ports", 3);
    ph_w_atom(&s->out, all ? "all" : "connection");
    enum ph_result r = ph_session_ask(s, &value);
    return show(c, s, r, value);
}

/* The map of the host's hello, which has been here since the beginning. */
static enum ph_exit run_info(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    (void)a;
    return show(c, s, PH_RESULT_OK, (struct ph_slice){s->hello.buf, s->hello.len});
}

static enum ph_exit run_load(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct ph_slice value = {0};
    struct ph_text path = ph_args_word(a), name = ph_args_word(a);
    if (!name.p) {
        name = path;
        path = (struct ph_text){0};
    }
    enum ph_result r = ph_driver_load(s, path, name, &value);
    if (r != PH_RESULT_ERROR)
        return show(c, s, r, value);
    ph_driver_explain(s, c->name, value);
    return PH_EXIT_FAILED;
}

static enum ph_exit run_unload(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct ph_slice value = {0};
    enum ph_result r = ph_driver_unload(s, ph_args_word(a), &value);
    if (r != PH_RESULT_ERROR)
        return show(c, s, r, value);
    ph_driver_explain(s, c->name, value);
    return PH_EXIT_FAILED;
}

static const struct ph_command commands[] = {
    {"ping", "", "ask the host for an answer: pong", 0, 0, run_plain},
    {"drivers", "", "the names of the loaded drivers", 0, 0, run_plain},
    {"load", "[PATH] NAME", "load a driver, from the driver path if PATH is not given", 1, 2, run_load},
    {"unload", "NAME", "unload a driver", 1, 1, run_unload},
    {"ports", "[--all]", "the ports of this connection, or of all", 0, 1, run_ports},
    {"info", "", "version and limits of the host", 0, 0, run_info},
    {"stats", "", "counters and gauges of the host", 0, 0, run_plain},
};
#define COMMANDS (sizeof commands / sizeof *commands)

const struct ph_command *ph_command_find(struct ph_text word)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (ph_text_is(word, commands[i].name))
            return &commands[i];
    return NULL;
}

bool ph_command_check(const struct ph_command *c, const struct ph_args *a)
{
    struct ph_args ahead = *a;
    unsigned n = 0;
    while (n <= c->most && ph_args_word(&ahead).p)
        n++;
    if (n >= c->least && n <= c->most)
        return true;
    ph_args_complain(a, "usage: %s%s%s", c->name, c->arguments[0] ? " " : "", c->arguments);
    return false;
}

enum ph_exit ph_command_run(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    return c->run(c, s, a);
}

void ph_commands_help(FILE *f)
{
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(f, "  %-8s%-12s%s\n", commands[i].name, commands[i].arguments, commands[i].help);
}
