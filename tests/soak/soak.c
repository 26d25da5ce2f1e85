/* SPDX-License-Identifier: Apache-2.0 */
/* The soak program: runs one case and prints what it measured, one "name value" in a line. Whether that is good is for who asked: see
 * soak_run.erl. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "soak.h"

enum { GRACE_S = 60 }; /* what a case may take beyond its time before it counts as stuck */

static const struct {
    const char *name;
    void (*run)(struct soak *s);
    const char *what;
} cases[] = {
    {"slow_reader", case_slow_reader, "messages of 64 KiB by a driver that is faster than its client reads"},
    {"flood", case_flood, "commands by a client that is faster than the driver, and does not look at busy"},
    {"large", case_large, "frames of 64 MiB, there and back"},
    {"bytes", case_bytes, "bytes of frames that are written, and read, one at a time"},
    {"callers", case_callers, "callers, all of them different"},
    {"reopen", case_reopen, "ports that are opened and closed"},
    {"timers", case_timers, "timers that are set and cancelled"},
    {"atoms", case_atoms, "atoms made by a driver, and used again"},
    {"atom_limit", case_atom_limit, "atoms made by a driver, more than there can be"},
    {"monitors", case_monitors, "processes that are monitored, and end"},
    {"ports", case_ports, "ports open at a time on one connection, in rounds"},
    {"connections", case_connections, "connections at a time, with a port each, in rounds"},
    {"selected", case_selected, "inputs of wide= selected descriptors"},
    {"spread", case_spread, "round trips, spread over wide= ports; measures nothing"},
};

static void usage(void)
{
    fprintf(stderr, "usage: soak CASE [KEY=VALUE...]\n\n"
                    "  unix=PATH run=COMMAND   the daemon\n"
                    "  driver= count= seconds= wide=\n\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        fprintf(stderr, "  %-12s %s\n", cases[i].name, cases[i].what);
    exit(2);
}

void soak_begin(struct soak *s, pid_t daemon)
{
    s->pid = daemon;
    s->begun = now_ns();
    s->start = resident_bytes(daemon);
}

void soak_tenth(struct soak *s)
{
    s->tenth = resident_bytes(s->pid);
}

bool soak_on(struct soak *s, size_t n)
{
    uint64_t spent = now_ns() - s->begun, all = s->seconds * 1000000000U;
    s->done += n;
    if (!s->tenth && (s->done >= s->count / 10 || spent >= all / 10))
        soak_tenth(s);
    return s->done < s->count && spent < all;
}

void soak_end(struct soak *s)
{
    s->end = resident_bytes(s->pid);
}

void soak_expect(struct soak *s, bool in_place)
{
    s->lost += !in_place;
}

static void set(struct soak *s, const char *key, const char *value)
{
    if (!strcmp(key, "unix"))
        s->target.unix_path = value;
    else if (!strcmp(key, "run"))
        s->target.command = value;
    else if (!strcmp(key, "driver"))
        s->driver = value;
    else if (!strcmp(key, "count"))
        s->count = strtoull(value, NULL, 10);
    else if (!strcmp(key, "seconds"))
        s->seconds = strtoull(value, NULL, 10);
    else if (!strcmp(key, "wide"))
        s->wide = strtoull(value, NULL, 10);
    else
        usage();
}

static void print(const struct soak *s)
{
    printf("done %zu\nlost %zu\nstart %llu\ntenth %llu\nend %llu\nns %llu\n", s->done, s->lost, (unsigned long long)s->start,
           (unsigned long long)s->tenth, (unsigned long long)s->end, (unsigned long long)(now_ns() - s->begun));
}

int main(int argc, char **argv)
{
    struct soak s = {.driver = "soak_probe_drv", .count = 1000, .seconds = 10, .wide = 10};
    if (argc < 2)
        usage();
    for (int i = 2; i < argc; i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq)
            usage();
        *eq = 0;
        set(&s, argv[i], eq + 1);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(cases[i].name, argv[1]))
            continue;
        alarm((unsigned)s.seconds + GRACE_S); /* its signal is the end */
        cases[i].run(&s);
        print(&s);
        return 0;
    }
    usage();
}
