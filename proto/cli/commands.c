/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the table of commands that need no port. Called by main.c and the shell. */
#include "commands.h"

#include <string.h>

#include "driver.h"
#include "look/look.h"
#include "out.h"

struct ph_command {
    const char *name, *arguments, *help;
    unsigned least, most; /* arguments */
    enum ph_exit (*run)(const struct ph_command *c, struct ph_session *s, struct ph_args *a);
    bool (*check)(struct ph_args *a); /* of what the arguments are, before there is a session; complains. NULL: their number is enough */
};

/* Requests that have the command's name and nothing but a tag. */
static enum ph_exit run_plain(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct ph_slice value = {0};
    (void)a;
    ph_session_begin_tagged(s, c->name, 2);
    enum ph_result r = ph_session_ask(s, &value);
    return ph_out_reply(s->cli, c->name, r, value);
}

/* The level in force before, in any case. */
static enum ph_exit run_log_level(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct ph_slice value = {0};
    struct ph_text level = ph_args_word(a);
    ph_session_begin_tagged(s, "log_level", 3);
    ph_w_atom_len(&s->out, level.p ? level.p : "get", level.p ? level.len : strlen("get"));
    enum ph_result r = ph_session_ask(s, &value);
    return ph_out_reply(s->cli, c->name, r, value);
}

const char *const ph_log_levels[] = {"error", "warning", "notice", "info", "debug", NULL};

static bool check_log_level(struct ph_args *a)
{
    struct ph_text level = ph_args_word(a);
    bool known = !level.p;
    for (const char *const *l = ph_log_levels; *l; l++)
        known |= ph_text_is(level, *l);
    if (!known)
        ph_args_complain(a, "log-level: expected error, warning, notice, info or debug, found %.*s", (int)level.len, level.p);
    return known;
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
        return ph_out_reply(s->cli, c->name, r, value);
    ph_driver_explain(s, c->name, value);
    return PH_EXIT_FAILED;
}

static enum ph_exit run_unload(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct ph_slice value = {0};
    enum ph_result r = ph_driver_unload(s, ph_args_word(a), &value);
    if (r != PH_RESULT_ERROR)
        return ph_out_reply(s->cli, c->name, r, value);
    ph_driver_explain(s, c->name, value);
    return PH_EXIT_FAILED;
}

static enum ph_exit run_reload(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct ph_wbuf w;
    struct ph_text path = ph_args_word(a), name = ph_args_word(a);
    if (!name.p) {
        name = path;
        path = (struct ph_text){0};
    }
    ph_wbuf_init(&w, NULL);
    enum ph_result r = ph_driver_reload(s, path, name, &w);
    struct ph_slice value = {w.buf, w.len};
    if (r == PH_RESULT_ERROR)
        ph_driver_explain(s, c->name, value);
    enum ph_exit e = r == PH_RESULT_ERROR ? PH_EXIT_FAILED : ph_out_reply(s->cli, c->name, r, value);
    ph_wbuf_free(&w);
    return e;
}

static enum ph_exit run_allow(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct ph_slice value = {0};
    struct ph_text name = ph_args_word(a);
    ph_session_begin_tagged(s, "allow_driver", 3);
    ph_w_binary(&s->out, name.p, name.len);
    enum ph_result r = ph_session_ask(s, &value);
    return ph_out_reply(s->cli, c->name, r, value);
}

static const struct ph_command commands[] = {
    {"ping", "", "ask the host for an answer: pong", 0, 0, run_plain, NULL},
    {"drivers", "", "the names of the loaded drivers", 0, 0, run_plain, NULL},
    {"load", "[PATH] NAME", "load a driver for this connection, from the driver path if PATH is not given", 1, 2, run_load, NULL},
    {"unload", "NAME", "take back what this connection has loaded", 1, 1, run_unload, NULL},
    {"reload", "[PATH] NAME", "load a driver anew as soon as it has no ports, and wait for that", 1, 2, run_reload, NULL},
    {"allow", "NAME", "let a driver be loaded again that has crashed the host too often", 1, 1, run_allow, NULL},
    {"ports", "[--all]", "the ports of this connection, or of all", 0, 1, ph_ports_run, ph_ports_check},
    {"info", "[PORT]", "what a port tells about itself; without PORT version and limits of the host", 0, 1, ph_info_run, ph_info_check},
    {"stats", "", "counters and gauges of the host", 0, 0, run_plain, NULL},
    {"watch", "[--interval SECONDS] [--count N]", "what the ports do: rates, queues, run times", 0, 4, ph_watch_run, ph_watch_check},
    {"trace", "PORT [--count N]", "what enters and leaves a driver at a port, as it happens", 1, 3, ph_trace_run, ph_trace_check},
    {"log-level", "[LEVEL]", "tell the level of the host's log, and change it", 0, 1, run_log_level, check_log_level},
};
#define COMMANDS (sizeof commands / sizeof *commands)

const struct ph_command *ph_command_find(struct ph_text word)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (ph_text_is(word, commands[i].name))
            return &commands[i];
    return NULL;
}

const char *ph_command_name(size_t i)
{
    return i < COMMANDS ? commands[i].name : NULL;
}

bool ph_command_check(const struct ph_command *c, const struct ph_args *a)
{
    struct ph_args ahead = *a;
    unsigned n = 0;
    while (n <= c->most && ph_args_word(&ahead).p)
        n++;
    struct ph_args again = *a;
    if (n >= c->least && n <= c->most)
        return !c->check || c->check(&again);
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
        fprintf(f, PH_HELP_LINE, commands[i].name, commands[i].arguments, commands[i].help);
}
