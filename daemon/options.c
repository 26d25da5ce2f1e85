/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conn/activated.h"
#include "conn/socket_file.h"

#define USAGE_STATUS 2
#define MAX_ASYNC_THREADS 1024 /* as the VM's +A */
#define MAX_BUSY_POLL_US 1000
#define MAX_CALLBACK_MS 3600000

enum {
    OPT_STDIO = 256,
    OPT_NOUSE_STDIO,
    OPT_UNIX,
    OPT_TCP,
    OPT_COOKIE_FILE,
    OPT_CONFIG,
    OPT_CHECK_CONFIG,
    OPT_DRIVER_PATH,
    OPT_ASYNC_THREADS,
    OPT_BUSY_POLL_US,
    OPT_LOG_LEVEL,
    OPT_LOG_FORMAT,
    OPT_METRICS,
    OPT_CHECK_DRIVERS,
    OPT_HELP,
    OPT_VERSION
};

static const struct option long_options[] = {
    {"stdio", no_argument, NULL, OPT_STDIO},
    {"nouse-stdio", no_argument, NULL, OPT_NOUSE_STDIO},
    {"unix", required_argument, NULL, OPT_UNIX},
    {"tcp", required_argument, NULL, OPT_TCP},
    {"cookie-file", required_argument, NULL, OPT_COOKIE_FILE},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"check-config", no_argument, NULL, OPT_CHECK_CONFIG},
    {"driver-path", required_argument, NULL, OPT_DRIVER_PATH},
    {"async-threads", required_argument, NULL, OPT_ASYNC_THREADS},
    {"busy-poll-us", required_argument, NULL, OPT_BUSY_POLL_US},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"metrics", required_argument, NULL, OPT_METRICS},
    {"check-drivers", optional_argument, NULL, OPT_CHECK_DRIVERS},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "Usage: porthostd [OPTION]...\n"
    "       porthostd --check-config [FILE]\n"
    "Hosts Erlang linked-in drivers for clients that speak the porthost protocol.\n"
    "\n"
    "  --stdio             serve the parent over stdin and stdout; ends when stdin does\n"
    "  --nouse-stdio       the same over descriptors 3 and 4 (Erlang's nouse_stdio)\n"
    "  --unix PATH         listen on a unix socket; may be repeated\n"
    "  --tcp HOST:PORT     listen on a TCP address, without --cookie-file a loopback address; may be repeated\n"
    "  --cookie-file FILE  clients of --tcp must know what is in it; mode 0600, 16 to 1024 bytes\n"
    "  --config FILE       the configuration; default: " PH_CONFIG_FILE ", if it exists\n"
    "                      and none of the options above is given\n"
    "  --check-config      say what is wrong with the configuration\n"
    "  --driver-path DIRS  directories to look for drivers in, separated by ':'; may be repeated\n"
    "  --async-threads N   threads for async jobs, 0 to 1024, 0: none, jobs run at once; default: one for each core\n"
    "  --busy-poll-us N    microseconds, 0 to 1000, to look for more before sleeping, while that pays; 0: never; default: 20\n"
    "  --log-level LEVEL   error, warning, notice (default), info or debug; the log goes to stderr\n"
    "  --log-format FORMAT text (default), or json: an object a line\n"
    "  --metrics HOST:PORT serve metrics for Prometheus on a loopback address\n"
    "  --check-drivers[=MS] report what drivers do wrong, and callbacks that take more than MS ms, 1 to 3600000; default: 100\n"
    "  --help              this text\n"
    "  --version           the version\n"
    "\n"
    "Options override what the configuration says. SIGHUP reads it again.\n"
    "\n"
    "Exit status: 0 after an orderly end, 1 if it could not start, 2 for a wrong command line,\n"
    "3 if drivers were checked and broke rules.\n";

static void add_text(struct ph_strings *list, const char *text)
{
    ph_strings_add(list, text, strlen(text));
}

static void add_driver_path(struct ph_strings *path, const char *dirs)
{
    while (*dirs) {
        size_t n = strcspn(dirs, ":");
        if (n)
            ph_strings_add(path, dirs, n);
        dirs += n + (dirs[n] == ':');
    }
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

/* -1: no number from 0 to most. */
static int parse_number(const char *text, unsigned long most, int64_t *n)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (!strchr("0123456789", *text) || end == text || *end || value > most)
        return -1;
    *n = (int64_t)value;
    return 0;
}

static int parse_level(const char *text, int *to)
{
    enum ph_log_level level;
    if (ph_log_parse_level(text, &level))
        return -1;
    *to = (int)level;
    return 0;
}

static int parse_format(const char *text, int *to)
{
    *to = strcmp(text, "json") == 0 ? PH_LOG_JSON : PH_LOG_TEXT;
    return *to == PH_LOG_JSON || strcmp(text, "text") == 0 ? 0 : -1;
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
        add_text(&o->unix_paths, optarg);
        return 0;
    case OPT_TCP:
        add_text(&o->tcp_addresses, optarg);
        return 0;
    case OPT_COOKIE_FILE:
        o->cookie_file = optarg;
        return 0;
    case OPT_CONFIG:
        o->config_file = optarg;
        return 0;
    case OPT_CHECK_CONFIG:
        o->check = true;
        return 0;
    case OPT_DRIVER_PATH:
        add_driver_path(&o->driver_path, optarg);
        return 0;
    case OPT_ASYNC_THREADS:
        return parse_number(optarg, MAX_ASYNC_THREADS, &o->async_threads) ? usage(status, "--async-threads: '%s' is no number from 0 to 1024", optarg) : 0;
    case OPT_BUSY_POLL_US:
        return parse_number(optarg, MAX_BUSY_POLL_US, &o->busy_poll_us) ? usage(status, "--busy-poll-us: '%s' is no number from 0 to 1000", optarg) : 0;
    case OPT_LOG_LEVEL:
        return parse_level(optarg, &o->log_level) ? usage(status, "--log-level: unknown level '%s'", optarg) : 0;
    case OPT_LOG_FORMAT:
        return parse_format(optarg, &o->log_format) ? usage(status, "--log-format: expected text or json, not '%s'", optarg) : 0;
    case OPT_METRICS:
        o->metrics = optarg;
        return 0;
    case OPT_CHECK_DRIVERS:
        o->check_drivers = true;
        return optarg && (parse_number(optarg, MAX_CALLBACK_MS, &o->check_callback_ms) || !o->check_callback_ms)
                   ? usage(status, "--check-drivers: '%s' is no number from 1 to 3600000", optarg)
                   : 0;
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

static bool has_listener(const struct ph_options *o)
{
    return o->stdio_in >= 0 || o->unix_paths.n || o->tcp_addresses.n;
}

int ph_options_parse(int argc, char **argv, struct ph_options *o, int *status)
{
    int opt;
    *o = (struct ph_options){.stdio_in = -1, .stdio_out = -1, .async_threads = -1, .busy_poll_us = -1, .check_callback_ms = -1, .log_level = -1, .log_format = -1};
    while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (one_option(opt, o, status))
            return -1;
    if (o->check && optind < argc && !o->config_file)
        o->config_file = argv[optind++];
    if (optind < argc)
        return usage(status, "unexpected argument '%s'", argv[optind]);
    if (o->cookie_file && !o->tcp_addresses.n)
        return usage(status, "%s", "--cookie-file is for --tcp");
    if (o->stdio_in > 0 && ph_activated_count())
        return usage(status, "%s", "--nouse-stdio: descriptor 3 is a socket of the service manager");
    if (!has_listener(o) && !ph_activated_count() && !ph_options_file(o))
        return usage(status, "%s", "nothing to serve: give --stdio, --unix, --tcp or --config");
    return 0;
}

void ph_options_free(struct ph_options *o)
{
    ph_strings_clear(&o->unix_paths);
    ph_strings_clear(&o->tcp_addresses);
    ph_strings_clear(&o->driver_path);
}

const char *ph_options_file(const struct ph_options *o)
{
    if (o->config_file)
        return o->config_file;
    return o->check || (!has_listener(o) && access(PH_CONFIG_FILE, F_OK) == 0) ? PH_CONFIG_FILE : NULL;
}

/* These: 0, or -1 with a line in the log. */
static int add_unix(struct ph_config *c, const char *path)
{
    struct ph_access *a = ph_config_add_listener(c);
    a->unix_path = ph_strdup(path);
    a->administer = true; /* it admits nobody but the daemon's own user and root */
    if (path[0] && strlen(path) <= PH_SOCKET_PATH_BYTES)
        return 0;
    ph_log(PH_LOG_ERROR, NULL, "--unix %s: the path must have 1 to %zu bytes", path, PH_SOCKET_PATH_BYTES);
    return -1;
}

static int add_tcp(const struct ph_options *o, struct ph_config *c, const char *address)
{
    char text[512];
    const char *why;
    struct ph_access *a = ph_config_add_listener(c);
    a->tcp = ph_strdup(address);
    a->cookie_file = o->cookie_file ? ph_strdup(o->cookie_file) : NULL;
    if (!ph_access_read_cookie(a, text, sizeof text))
        ph_log(PH_LOG_ERROR, NULL, "--cookie-file: %s", text);
    else if ((why = ph_config_wrong_tcp(a)))
        ph_log(PH_LOG_ERROR, NULL, "--tcp %s: %s", address, why);
    else
        return 0;
    return -1;
}

static int check_single(const struct ph_config *c)
{
    size_t last = c->listener_count - 1;
    const struct ph_access *a = c->listeners[last];
    if (ph_config_same_place(c, last) == last)
        return 0;
    ph_log(PH_LOG_ERROR, NULL, "%s %s: the place is given twice", a->unix_path ? "--unix" : "--tcp", a->unix_path ? a->unix_path : a->tcp);
    return -1;
}

static int override_listeners(const struct ph_options *o, struct ph_config *c)
{
    int result = 0;
    ph_config_drop_listeners(c);
    for (size_t i = 0; i < o->unix_paths.n && !result; i++)
        result = add_unix(c, o->unix_paths.v[i]) || check_single(c);
    for (size_t i = 0; i < o->tcp_addresses.n && !result; i++)
        result = add_tcp(o, c, o->tcp_addresses.v[i]) || check_single(c);
    return result ? -1 : 0;
}

static int override_metrics(const struct ph_options *o, struct ph_config *c)
{
    const char *why;
    if (!o->metrics)
        return 0;
    ph_free(c->metrics);
    c->metrics = ph_strdup(o->metrics);
    if (!(why = ph_config_wrong_metrics(c)))
        return 0;
    ph_log(PH_LOG_ERROR, NULL, "--metrics %s: %s", o->metrics, why);
    return -1;
}

static bool has_listener_for(const struct ph_config *c, size_t socket)
{
    for (size_t i = 0; i < c->listener_count; i++)
        if (ph_activated_is(socket, c->listeners[i]))
            return true;
    return false;
}

/* Who only checks the configuration does not know which sockets the service manager will pass. */
static int need_listener(const struct ph_options *o, const struct ph_config *c, const char *file)
{
    if (c->listener_count || ph_activated_count())
        return 0;
    ph_log(o->check ? PH_LOG_WARNING : PH_LOG_ERROR, NULL, "%s: listeners: expected at least one%s", file,
           o->check ? ", or a socket of the service manager, or an option" : "");
    return o->check ? 0 : -1;
}

static void add_activated(struct ph_config *c)
{
    for (size_t i = 0; i < ph_activated_count(); i++)
        if (!has_listener_for(c, i))
            ph_activated_place(i, ph_config_add_listener(c));
}

/* What systemd has made for this service: the first of $STATE_DIRECTORY, or NULL. Not to be asked on stdio: then it is the parent's. */
static char *service_state_dir(void)
{
    const char *dirs = getenv("STATE_DIRECTORY");
    if (!dirs || dirs[0] != '/')
        return NULL;
    char *dir = ph_strdup(dirs);
    dir[strcspn(dir, ":")] = '\0';
    return dir;
}

int ph_options_config(const struct ph_options *o, struct ph_config *c)
{
    const char *file = ph_options_file(o);
    if (!file)
        ph_config_defaults(c);
    else if (ph_config_read(c, file))
        return -1;
    if ((has_listener(o) ? override_listeners(o, c) : need_listener(o, c, file)) || override_metrics(o, c)) {
        ph_config_clear(c);
        return -1;
    }
    add_activated(c);
    if (o->driver_path.n) {
        ph_strings_clear(&c->driver_path);
        for (size_t i = 0; i < o->driver_path.n; i++)
            add_text(&c->driver_path, o->driver_path.v[i]);
    }
    if (o->async_threads >= 0)
        c->async_threads = o->async_threads;
    if (o->busy_poll_us >= 0)
        c->busy_poll_us = (uint64_t)o->busy_poll_us;
    c->check_drivers = c->check_drivers || o->check_drivers;
    if (o->check_callback_ms > 0)
        c->check_callback_ms = (uint64_t)o->check_callback_ms;
    if (!c->state_dir && o->stdio_in < 0)
        c->state_dir = service_state_dir();
    if (o->log_format >= 0)
        c->log_format = (unsigned)o->log_format;
    if (o->log_level >= 0)
        c->log_level = (unsigned)o->log_level;
    return 0;
}
