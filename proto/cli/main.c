/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the command line of porthostctl: options, usage, which command is run, and the exit status. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth.h"
#include "check/check.h"
#include "commands.h"
#include "host/conn.h"
#include "interrupt.h"
#include "out.h"
#include "ports.h"
#include "proto.h"
#include "record/record.h"
#include "record/replay.h"
#include "script/command.h"
#include "shell/shell.h"
#include "steps.h"

#define TIMEOUT_MS 10000
#define TIMEOUT_MAX_S 86400

/* Commands that make their sessions themselves, or none. */
static const struct tool {
    const char *name, *arguments, *help;
    enum ph_exit (*run)(const struct ph_cli *cli, struct ph_args *a);
} tools[] = {
    {"check", "FILE...", "is this a driver, will it load, and if not, why", ph_check_run},
    {"record", "FILE [--listen PATH] [-- COMMAND]", "pass on what client and host say, write it to a file", ph_record_run},
    {"replay", "FILE...", "play the client's side of recordings, compare the host's", ph_replay_run},
};
#define TOOLS (sizeof tools / sizeof *tools)

static void usage(FILE *f)
{
    fputs("Usage: porthostctl [OPTION]... COMMAND [ARGUMENT]...\n"
          "       porthostctl [OPTION]... open DRIVER-COMMAND [-o OPTION-TERM]... [STEP]...\n"
          "       porthostctl [OPTION]... shell\n"
          "\nTalks to porthostd: to one that it starts for itself, or with\n"
          "  --unix PATH           to the one that listens at this unix socket\n"
          "  --tcp HOST:PORT       to the one that listens at this address\n"
          "  --cookie-file FILE    which knows what is in this file; with --tcp\n"
          "Options\n"
          "  --daemon COMMAND      what to start instead of the porthostd beside porthostctl\n"
          "  --driver-path DIR     where the daemon that is started looks for drivers\n"
          "  --timeout SECONDS     for the connection and each reply; 10 by default\n"
          "  --json                print JSON instead of Erlang terms\n"
          "  --help, --version\n"
          "\nCommands\n",
          f);
    ph_commands_help(f);
    ph_script_help(f);
    for (size_t i = 0; i < TOOLS; i++)
        fprintf(f, PH_HELP_LINE, tools[i].name, tools[i].arguments, tools[i].help);
    fprintf(f, PH_HELP_LINE, "open", "COMMAND [-o TERM]... [STEP]...", "open a port, run the steps on it, close it");
    fprintf(f, PH_HELP_LINE, "shell", "", "commands and steps on any number of ports, one to a line, from stdin");
    fputs("PORT is CONNECTION/ID, as `ports --all` shows it; in the shell also the name of a port.\n"
          "trace and watch go on until Ctrl-C, or as often as --count says.\n"
          "\nSteps\n",
          f);
    ph_steps_help(f);
    fputs("DATA is text; @FILE is what is in the file, - what is on stdin, term:TERM iodata in Erlang syntax.\n"
          "\nWhat comes from the host is printed on stdout as Erlang terms, one to a line; diagnostics on stderr.\n"
          "Colours are for terminals, unless NO_COLOR is set.\n"
          "Exit status: 0 all went well, 1 a request failed, 2 wrong usage, 3 no connection, or it was lost.\n",
          f);
}

/* ---- open ---- */

struct steps {
    struct ph_step *at;
    size_t n;
};

static void free_steps(struct steps *steps)
{
    for (size_t i = 0; i < steps->n; i++)
        ph_step_free(&steps->at[i]);
    free(steps->at);
}

static int read_steps(struct ph_args *a, struct steps *steps)
{
    while (ph_args_left(a)) {
        struct ph_step *at = realloc(steps->at, (steps->n + 1) * sizeof *at);
        if (!at)
            return -1;
        steps->at = at;
        if (ph_step_read(a, &at[steps->n]) < 0)
            return -1;
        steps->n++;
    }
    return 0;
}

static enum ph_exit run_steps(struct ph_session *s, const struct ph_opening *o, const struct steps *steps)
{
    static const struct ph_text name = {"port", 4};
    struct ph_ports ports;
    struct ph_cli_port *port;
    ph_ports_init(&ports, s);
    enum ph_exit e = ph_port_open(&ports, name, o->command, &o->options, o->n, &port);
    for (size_t i = 0; e == PH_EXIT_OK && !ph_out_failed() && i < steps->n; i++)
        e = ph_step_run(&steps->at[i], &ports, port);
    if (e != PH_EXIT_NO_CONNECTION) {
        enum ph_exit last = ph_ports_finish(&ports);
        e = last > e ? last : e;
    }
    ph_ports_free(&ports);
    return e;
}

/* ---- the session around a command ---- */

struct job {
    const struct ph_command *command; /* or NULL: open if there is an opening, else shell */
    struct ph_args args;
    struct ph_opening *opening;
    struct steps steps;
};

static enum ph_exit run_job(struct job *job, struct ph_session *s)
{
    if (job->command)
        return ph_command_run(job->command, s, &job->args);
    if (job->opening)
        return run_steps(s, job->opening, &job->steps);
    return ph_shell_run(s);
}

static enum ph_exit run_session(const struct ph_cli *cli, struct job *job)
{
    struct ph_session s;
    if (ph_interrupt_install() < 0) {
        ph_complain("cannot make a pipe: %s", strerror(errno));
        return PH_EXIT_FAILED;
    }
    enum ph_exit e = ph_session_open(&s, cli);
    if (e == PH_EXIT_OK) {
        e = run_job(job, &s);
        if (e == PH_EXIT_OK && (s.faulted || ph_out_failed() || ph_out_incomplete()))
            e = PH_EXIT_FAILED;
        ph_session_close(&s);
    }
    ph_interrupt_finish();
    return e;
}

static enum ph_exit run_open(const struct ph_cli *cli, struct job *job)
{
    struct ph_opening opening;
    enum ph_exit e = PH_EXIT_USAGE;
    if (ph_opening_read(&job->args, &opening) < 0)
        return e;
    job->opening = &opening;
    if (read_steps(&job->args, &job->steps) == 0)
        e = run_session(cli, job);
    free_steps(&job->steps);
    job->opening = NULL;
    ph_opening_free(&opening);
    return e;
}

static const struct tool *find_tool(struct ph_text word)
{
    for (size_t i = 0; i < TOOLS; i++)
        if (ph_text_is(word, tools[i].name))
            return &tools[i];
    return NULL;
}

static enum ph_exit dispatch(const struct ph_cli *cli, char **argv)
{
    struct job job = {.args = ph_args_of_argv(argv)};
    struct ph_text word = ph_args_word(&job.args);
    job.command = ph_command_find(word);
    if (job.command)
        return ph_command_check(job.command, &job.args) ? run_session(cli, &job) : PH_EXIT_USAGE;
    const struct tool *tool = find_tool(word);
    if (tool && cli->cookie) {
        ph_complain("--cookie-file is not for %s", tool->name);
        return PH_EXIT_USAGE;
    }
    if (tool)
        return tool->run(cli, &job.args);
    if (ph_text_is(word, "open"))
        return run_open(cli, &job);
    if (ph_text_is(word, "run"))
        return ph_script_command(cli, job.args.argv);
    if (ph_text_is(word, "shell") && !ph_args_left(&job.args))
        return run_session(cli, &job);
    if (!word.p)
        ph_complain("a command is missing; try porthostctl --help");
    else
        ph_complain("%.*s is no command, or has arguments that it does not take; try porthostctl --help", (int)word.len, word.p);
    return PH_EXIT_USAGE;
}

/* ---- options ---- */

enum option_id { OPT_UNIX = 256, OPT_TCP, OPT_COOKIE_FILE, OPT_DAEMON, OPT_DRIVER_PATH, OPT_TIMEOUT, OPT_JSON, OPT_HELP, OPT_VERSION };

static const struct option options[] = {
    {"unix", required_argument, NULL, OPT_UNIX},
    {"tcp", required_argument, NULL, OPT_TCP},
    {"cookie-file", required_argument, NULL, OPT_COOKIE_FILE},
    {"daemon", required_argument, NULL, OPT_DAEMON},
    {"driver-path", required_argument, NULL, OPT_DRIVER_PATH},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {0},
};

static bool set_address(struct ph_cli *cli, enum ph_transport transport, const char *address)
{
    char why[256];
    if (cli->address) {
        ph_complain("only one of --unix, --tcp and --daemon can be given");
        return false;
    }
    if (!ph_link_address_ok(transport, address, why, sizeof why)) {
        ph_complain("%s", why);
        return false;
    }
    cli->transport = transport;
    cli->address = address;
    return true;
}

static bool set_cookie(struct ph_cli *cli, const char *file)
{
    char why[512];
    free((char *)cli->cookie);
    cli->cookie = ph_cookie_read(file, why, sizeof why);
    if (!cli->cookie)
        ph_complain("--cookie-file: %s", why);
    return cli->cookie != NULL;
}

static bool set_timeout(struct ph_cli *cli, const char *text)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= 0.001 && v <= TIMEOUT_MAX_S)) {
        ph_complain("--timeout: expected seconds from 0.001 to %d, found %s", TIMEOUT_MAX_S, text);
        return false;
    }
    cli->timeout_ms = (int)(v * 1000);
    return true;
}

/* Prints and ends, as --help and --version do. */
static void answer(enum option_id id)
{
    if (id == OPT_HELP)
        usage(stdout);
    else
        printf("porthostctl %s (protocol %d)\n", PH_VERSION, PH_PROTO_VERSION);
    exit(fflush(stdout) == 0 ? PH_EXIT_OK : PH_EXIT_FAILED);
}

static bool take_option(struct ph_cli *cli, int id)
{
    switch (id) {
    case OPT_UNIX:
        return set_address(cli, PH_UNIX, optarg);
    case OPT_TCP:
        return set_address(cli, PH_TCP, optarg);
    case OPT_COOKIE_FILE:
        return set_cookie(cli, optarg);
    case OPT_DAEMON:
        return set_address(cli, PH_OWN_DAEMON, optarg);
    case OPT_DRIVER_PATH:
        cli->driver_path = optarg;
        return true;
    case OPT_TIMEOUT:
        return set_timeout(cli, optarg);
    case OPT_JSON:
        cli->json = true;
        return true;
    case OPT_HELP:
    case OPT_VERSION:
        answer((enum option_id)id);
        return true;
    default:
        return false; /* getopt has complained */
    }
}

/* One that is closed would be given to what is opened next, a pipe to the daemon for example. Nothing is read from the first, and writing to the second
 * fails, as if they were closed; the third the daemon gets too. */
static void hold_standard_descriptors(void)
{
    static const int flags[] = {[STDIN_FILENO] = O_RDONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDWR};
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags[fd]) != fd)
            _exit(PH_EXIT_FAILED); /* there is nowhere to say why */
}

static bool take_options(struct ph_cli *cli, int argc, char **argv)
{
    int id;
    while ((id = getopt_long(argc, argv, "+", options, NULL)) != -1)
        if (!take_option(cli, id))
            return false;
    if (cli->driver_path && cli->transport != PH_OWN_DAEMON) {
        ph_complain("--driver-path is for a daemon that is started, not for one that is running");
        return false;
    }
    if (cli->cookie && cli->transport != PH_TCP) {
        ph_complain("--cookie-file is for --tcp");
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct ph_cli cli = {.timeout_ms = TIMEOUT_MS};
    hold_standard_descriptors();
    enum ph_exit e = take_options(&cli, argc, argv) ? dispatch(&cli, argv + optind) : PH_EXIT_USAGE;
    free((char *)cli.cookie);
    return (int)e;
}
