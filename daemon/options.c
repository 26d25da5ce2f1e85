/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "driver/driver.h"

#define USAGE_STATUS 2
#define MAX_ASYNC_THREADS 1024 /* as the VM's +A */

enum { OPT_STDIO = 256, OPT_NOUSE_STDIO, OPT_UNIX, OPT_TCP, OPT_DRIVER_PATH, OPT_ASYNC_THREADS, OPT_LOG_LEVEL, OPT_HELP, OPT_VERSION };

static const struct option long_options[] = {
    {"stdio", no_argument, NULL, OPT_STDIO},
    {"nouse-stdio", no_argument, NULL, OPT_NOUSE_STDIO},
    {"unix", required_argument, NULL, OPT_UNIX},
    {"tcp", required_argument, NULL, OPT_TCP},
    {"driver-path", required_argument, NULL, OPT_DRIVER_PATH},
    {"async-threads", required_argument, NULL, OPT_ASYNC_THREADS},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "Usage: porthostd [OPTION]...\n"
    "Hosts Erlang linked-in drivers for clients that speak the porthost protocol.\n"
    "\n"
    "  --stdio             serve the parent over stdin and stdout; ends when stdin does\n"
    "  --nouse-stdio       the same over descriptors 3 and 4 (Erlang's nouse_stdio)\n"
    "  --unix PATH         listen on a unix socket; may be repeated\n"
    "  --tcp HOST:PORT     listen on a loopback address; may be repeated\n"
    "  --driver-path DIRS  directories to look for drivers in, separated by ':'; may be repeated\n"
    "  --async-threads N   threads for async jobs, 0 to 1024, 0: none, jobs run at once; default: one for each core\n"
    "  --log-level LEVEL   error, warning, notice (default), info or debug; the log goes to stderr\n"
    "  --help              this text\n"
    "  --version           the version\n"
    "\n"
    "Exit status: 0 after an orderly end, 1 if it could not start, 2 for a wrong command line.\n";

static void append(const char ***list, size_t *count, const char *value)
{
    *list = ph_realloc(*list, (*count + 1) * sizeof **list);
    (*list)[(*count)++] = value;
}

static void add_driver_path(const char *dirs)
{
    char *copy = ph_strdup(dirs), *rest = copy;
    for (char *dir; (dir = strsep(&rest, ":"));)
        if (*dir)
            ph_driver_path_add(dir);
    ph_free(copy);
}

static int stop(int *status, int value)
{
    *status = value;
    return -1;
}

static int usage(int *status, const char *fmt, const char *what)
{
    fprintf(stderr, "porthostd: ");
    fprintf(stderr, fmt, what);
    fprintf(stderr, "\nTry 'porthostd --help'.\n");
    return stop(status, USAGE_STATUS);
}

static unsigned cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > MAX_ASYNC_THREADS ? MAX_ASYNC_THREADS : (unsigned)n;
}

/* -1: no number from 0 to MAX_ASYNC_THREADS. */
static int parse_async_threads(const char *text, unsigned *n)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (!strchr("0123456789", *text) || end == text || *end || value > MAX_ASYNC_THREADS)
        return -1;
    *n = (unsigned)value;
    return 0;
}

static int one_option(int opt, struct ph_options *o, int *status)
{
    switch (opt) {
    case OPT_STDIO:
    case OPT_NOUSE_STDIO:
        if (o->stdio_in >= 0)
            return usage(status, "%s", "only one of --stdio and --nouse-stdio, once");
        o->stdio_in = opt == OPT_STDIO ? 0 : 3;
        o->stdio_out = o->stdio_in + 1;
        return 0;
    case OPT_UNIX:
        append(&o->unix_paths, &o->unix_count, optarg);
        return 0;
    case OPT_TCP:
        append(&o->tcp_addresses, &o->tcp_count, optarg);
        return 0;
    case OPT_DRIVER_PATH:
        add_driver_path(optarg);
        return 0;
    case OPT_ASYNC_THREADS:
        return parse_async_threads(optarg, &o->async_threads) ? usage(status, "--async-threads: '%s' is no number from 0 to 1024", optarg) : 0;
    case OPT_LOG_LEVEL:
        return ph_log_parse_level(optarg, &o->log_level) ? usage(status, "--log-level: unknown level '%s'", optarg) : 0;
    case OPT_HELP:
        fputs(help, stdout);
        return stop(status, 0);
    case OPT_VERSION:
        puts("porthostd " PH_VERSION);
        return stop(status, 0);
    default: /* getopt has said what is wrong */
        fprintf(stderr, "Try 'porthostd --help'.\n");
        return stop(status, USAGE_STATUS);
    }
}

int ph_options_parse(int argc, char **argv, struct ph_options *o, int *status)
{
    int opt;
    *o = (struct ph_options){.stdio_in = -1, .stdio_out = -1, .async_threads = cores(), .log_level = PH_LOG_NOTICE};
    while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (one_option(opt, o, status))
            return -1;
    if (optind < argc)
        return usage(status, "unexpected argument '%s'", argv[optind]);
    if (o->stdio_in < 0 && !o->unix_count && !o->tcp_count)
        return usage(status, "%s", "nothing to serve: give --stdio, --unix or --tcp");
    return 0;
}

void ph_options_free(struct ph_options *o)
{
    ph_free(o->unix_paths);
    ph_free(o->tcp_addresses);
}
