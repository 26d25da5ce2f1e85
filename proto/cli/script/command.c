/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the command line of `run`. Called by main.c. */
#include "script/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "interrupt.h"
#include "out.h"
#include "script/farm.h"
#include "script/memory.h"

#define TIMEOUT_MS 60000
#define TIMEOUT_MAX_S 86400
#define JOBS_MAX 256u
#define CHECK_MS_MAX 3600000u

struct command {
    struct ph_farm_options farm;
    const char *junit;
    struct ph_script **scripts;
    struct ph_script_report *reports;
    size_t n;
    unsigned number; /* of the last point in the TAP output */
    enum ph_exit worst;
};

/* ---- options ---- */

enum option_id { OPT_JOBS = 256, OPT_JUNIT, OPT_TIMEOUT, OPT_VALGRIND, OPT_GDB, OPT_ASAN, OPT_CHECK_DRIVERS };

static const struct option options[] = {
    {"jobs", required_argument, NULL, OPT_JOBS},  {"junit", required_argument, NULL, OPT_JUNIT},
    {"timeout", required_argument, NULL, OPT_TIMEOUT}, {"valgrind", no_argument, NULL, OPT_VALGRIND},
    {"gdb", no_argument, NULL, OPT_GDB},          {"asan", no_argument, NULL, OPT_ASAN},
    {"check-drivers", optional_argument, NULL, OPT_CHECK_DRIVERS},
    {0},
};

void ph_script_help(FILE *f)
{
    fputs("  run [--jobs N] [--timeout SECONDS] [--junit FILE] [--valgrind | --gdb | --asan | --check-drivers[=MS]] FILE...\n"
          "                      run scripts, so many at once, each with a daemon of its own; TAP on stdout\n",
          f);
}

static bool set_tool(struct command *c, enum ph_tool tool)
{
    if (c->farm.tool != PH_NO_TOOL && c->farm.tool != tool)
        ph_complain("only one of --valgrind, --gdb, --asan and --check-drivers can be given");
    bool ok = c->farm.tool == PH_NO_TOOL || c->farm.tool == tool;
    c->farm.tool = tool;
    return ok;
}

static bool set_check(struct command *c, const char *text)
{
    uint64_t v = 0;
    if (text && (!ph_text_number((struct ph_text){text, strlen(text)}, CHECK_MS_MAX, &v) || v == 0)) {
        ph_complain("--check-drivers: expected a number from 1 to %u, found %s", CHECK_MS_MAX, text);
        return false;
    }
    c->farm.check_ms = (unsigned)v;
    return set_tool(c, PH_CHECK_DRIVERS);
}

static bool set_jobs(struct command *c, const char *text)
{
    uint64_t v;
    if (!ph_text_number((struct ph_text){text, strlen(text)}, JOBS_MAX, &v) || v == 0) {
        ph_complain("--jobs: expected a number from 1 to %u, found %s", JOBS_MAX, text);
        return false;
    }
    c->farm.jobs = (unsigned)v;
    return true;
}

static bool set_timeout(struct command *c, const char *text)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= 0.001 && v <= TIMEOUT_MAX_S)) {
        ph_complain("--timeout: expected seconds from 0.001 to %d, found %s", TIMEOUT_MAX_S, text);
        return false;
    }
    c->farm.run.timeout_ms = (int)(v * 1000);
    return true;
}

static bool take_option(struct command *c, int id)
{
    switch (id) {
    case OPT_JOBS:
        return set_jobs(c, optarg);
    case OPT_TIMEOUT:
        return set_timeout(c, optarg);
    case OPT_JUNIT:
        c->junit = optarg;
        return true;
    case OPT_VALGRIND:
        return set_tool(c, PH_VALGRIND);
    case OPT_GDB:
        return set_tool(c, PH_GDB);
    case OPT_ASAN:
        return set_tool(c, PH_ASAN);
    case OPT_CHECK_DRIVERS:
        return set_check(c, optarg);
    default:
        return false; /* getopt has complained */
    }
}

/* Options and files may be mixed. The files are left in argv from *first on. */
static bool read_options(struct command *c, char **argv, int *first)
{
    char *program = (char *)"porthostctl";
    int argc = 1, id;
    while (argv[argc - 1])
        argc++;
    char **args = ph_script_alloc(((size_t)argc + 1) * sizeof *args);
    args[0] = program;
    memcpy(args + 1, argv, (size_t)argc * sizeof *args);
    bool ok = true;
    optind = 0; /* begin anew */
    while (ok && (id = getopt_long(argc, args, "", options, NULL)) != -1)
        ok = take_option(c, id);
    *first = optind - 1;
    memcpy(argv, args + 1, (size_t)(argc - 1) * sizeof *args);
    free(args);
    return ok;
}

/* ---- the course ---- */

/* All files are read before anything is run, so that every mistake is told. */
static bool read_scripts(struct command *c, char **files)
{
    bool ok = true;
    for (; *files; files++) {
        struct ph_script *s = ph_script_read(*files);
        ok &= s != NULL;
        if (!s)
            continue;
        c->scripts = ph_script_grow(c->scripts, c->n, sizeof *c->scripts);
        c->scripts[c->n++] = s;
    }
    return ok;
}

static void report_one(void *arg, const struct ph_script_report *r)
{
    struct command *c = arg;
    enum ph_exit e = ph_report_status(r);
    c->worst = e > c->worst ? e : c->worst;
    ph_report_tap(stdout, r, &c->number);
    fflush(stdout);
}

static void write_junit(struct command *c)
{
    FILE *f = c->junit ? fopen(c->junit, "we") : NULL;
    if (f)
        ph_report_junit(f, c->reports, c->n);
    bool ok = !c->junit || (f && !ferror(f));
    if (f && fclose(f) != 0)
        ok = false;
    if (ok)
        return;
    ph_complain("--junit: %s: %s", c->junit, strerror(errno));
    c->worst = c->worst > PH_EXIT_FAILED ? c->worst : PH_EXIT_FAILED;
}

static void plan(const struct command *c)
{
    unsigned points = 0;
    for (size_t i = 0; i < c->n; i++)
        points += ph_report_points(c->scripts[i]);
    printf("1..%u\n", points);
    fflush(stdout);
}

static void run_all(struct command *c, const struct ph_cli *cli)
{
    c->reports = ph_script_alloc(c->n * sizeof *c->reports);
    for (size_t i = 0; i < c->n; i++)
        c->reports[i] = (struct ph_script_report){.script = c->scripts[i], .tool = ph_tool_name(c->farm.tool)};
    plan(c);
    if (ph_farm_run(c->reports, c->n, cli, &c->farm, report_one, c)) {
        write_junit(c);
    } else {
        puts("Bail out! interrupted");
        fflush(stdout);
        c->worst = PH_EXIT_FAILED;
    }
    for (size_t i = 0; i < c->n; i++)
        ph_report_free(&c->reports[i]);
    free(c->reports);
}

static bool may_run(const struct command *c, const struct ph_cli *cli)
{
    if (c->farm.tool == PH_NO_TOOL || cli->transport == PH_OWN_DAEMON)
        return true;
    ph_complain("--%s is for a daemon that is started, not for one that is running", ph_tool_name(c->farm.tool));
    return false;
}

enum ph_exit ph_script_command(const struct ph_cli *cli, char **argv)
{
    struct command c = {.farm = {.run.timeout_ms = TIMEOUT_MS}, .worst = PH_EXIT_USAGE};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    char *daemon = NULL;
    int first;
    c.farm.jobs = cpus < 1 ? 1 : cpus > (long)JOBS_MAX ? JOBS_MAX : (unsigned)cpus;
    bool ok = read_options(&c, argv, &first);
    if (ok && !argv[first]) {
        ph_complain("run: a file is missing; try porthostctl --help");
        ok = false;
    }
    ok = ok && may_run(&c, cli) && read_scripts(&c, argv + first) && ph_tool_ready(c.farm.tool, cli, &daemon);
    if (ok && ph_interrupt_install() == 0) {
        c.farm.daemon = daemon ? daemon : cli->address;
        c.farm.run.patience = ph_tool_patience(c.farm.tool);
        c.farm.run.timeout_ms *= c.farm.run.patience;
        c.worst = PH_EXIT_OK;
        run_all(&c, cli);
        if (c.worst == PH_EXIT_OK && ph_out_failed())
            c.worst = PH_EXIT_FAILED;
    }
    free(daemon);
    for (size_t i = 0; i < c.n; i++)
        ph_script_free(c.scripts[i]);
    free(c.scripts);
    ph_interrupt_finish();
    return c.worst;
}
