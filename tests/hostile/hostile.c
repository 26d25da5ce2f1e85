/* SPDX-License-Identifier: Apache-2.0 */
/* The hostile program: the good clients alone for a while, then beside the crowd; prints what each move came to, and the latencies. Status 1 if the host answered a
 * move otherwise than PROTOCOL.md says, or a good client had a wrong answer or none. */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hostile.h"

enum { QUIET_S = 2, SPARE_FDS = 64 };

static void usage(void)
{
    fprintf(stderr, "usage: hostile unix=PATH tcp=PORT good=PATH clients=N seconds=N ports=N hesitate_ms=N drip_ms=N max_ports=N nested=N\n"
                    "               max_frame=BYTES queue=BYTES requests=BYTES unsent=BYTES kept=BYTES\n"
                    "       hostile rules\n");
    exit(2);
}

static void set(struct crowd_options *o, const char *key, const char *value)
{
    static const char *const names[] = {"clients", "ports", "hesitate_ms", "drip_ms", "max_frame", "max_ports", "nested", "queue", "requests", "unsent", "kept"};
    size_t *const numbers[] = {&o->clients, &o->ports, &o->hesitate_ms, &o->drip_ms, &o->max_frame, &o->max_ports, &o->nested, &o->queue, &o->requests, &o->unsent, &o->kept};
    if (!strcmp(key, "unix"))
        o->unix_path = value;
    else if (!strcmp(key, "good"))
        o->good_path = value;
    else if (!strcmp(key, "tcp"))
        o->tcp_port = atoi(value);
    else if (!strcmp(key, "seconds"))
        o->seconds = strtoull(value, NULL, 10);
    else {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            if (!strcmp(key, names[i])) {
                *numbers[i] = strtoull(value, NULL, 10);
                return;
            }
        usage();
    }
}

/* With fewer than were asked for nothing would be shown. */
static void want_descriptors(const struct crowd_options *o)
{
    struct rlimit r, more = {o->clients + SPARE_FDS, o->clients + SPARE_FDS};
    if (getrlimit(RLIMIT_NOFILE, &r))
        err(1, "getrlimit");
    if (r.rlim_cur >= more.rlim_cur)
        return;
    if (more.rlim_max < r.rlim_max)
        more.rlim_max = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &more))
        err(1, "%zu clients need %zu descriptors, the limit is %zu", o->clients, (size_t)more.rlim_cur, (size_t)r.rlim_max);
}

static void print_rules(void)
{
    for (size_t i = 0; i < moves_count; i++)
        printf("%-70s %s\n", moves[i].rule, moves[i].expect ? moves[i].expect : "");
}

int main(int argc, char **argv)
{
    struct crowd_options o = {.clients = 100, .seconds = 5, .hesitate_ms = 20000, .drip_ms = 1000, .max_frame = 134217728, .max_ports = 1000, .nested = 100000, .queue = 1073741824,
                             .requests = 16777216, .unsent = 536870912, .kept = 134217728};
    if (argc == 2 && !strcmp(argv[1], "rules")) {
        print_rules();
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq)
            usage();
        *eq = 0;
        set(&o, argv[i], eq + 1);
    }
    if (!o.unix_path || !o.good_path || !o.tcp_port)
        usage();
    signal(SIGPIPE, SIG_IGN);
    want_descriptors(&o);
    struct good *g = good_start(&o);
    sleep(QUIET_S);
    good_attack(g);
    size_t wrong = crowd_run(&o);
    fflush(stdout); /* before what the good ones print */
    int status = good_stop(g);
    printf("clients %zu\nwrong %zu\ngood_status %d\n", o.clients, wrong, status);
    return wrong || status;
}
