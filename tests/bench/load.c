/* SPDX-License-Identifier: Apache-2.0 */
/* The C load generator: takes the VM's own cost out of the picture. Does one work on one contender and prints what it measured,
 * one "name value" in a line. See usage. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const struct work {
    const char *name;
    void (*run)(const struct job *j);
    const char *what;
} works[] = {
    {"rtt", work_rtt, "round trips"},
    {"pipe", work_pipe, "round trips, window= under way"},
    {"oneway", work_oneway, "commands without answers"},
    {"burst", work_burst, "count= messages for one request"},
    {"start", work_start, "from fork to the first answer"},
    {"ports", work_ports, "count= ports: opening, memory, round trips among them, closing"},
    {"conns", work_conns, "count= connections: the same"},
    {"reopen", work_reopen, "opening and closing a port"},
    {"cpu", work_cpu, "computing on count= ports"},
    {"spin", work_spin, "the same on count= threads of this program"},
    {"light", work_light, "round trips beside a heavy port (heavy=spin|block|none)"},
    {"tick", work_tick, "CPU time of the host with a message every 10 ms (count=1) or none (count=0)"},
};

static void usage(void)
{
    fprintf(stderr, "usage: load WORK [KEY=VALUE...]\n\n"
                    "  unix=PATH tcp=PORT run=COMMAND   the contender; bare=1: it only echoes frames\n"
                    "  other=PATH                       where the heavy port is\n"
                    "  driver= control=1 size= window= count= ms= heavy= file=\n\n");
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++)
        fprintf(stderr, "  %-8s %s\n", works[i].name, works[i].what);
    exit(2);
}

static const struct work *find_work(const char *name)
{
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++)
        if (!strcmp(works[i].name, name))
            return &works[i];
    usage();
    return NULL;
}

static void set(struct job *j, const char *key, const char *value)
{
    const struct {
        const char *key, **text;
        size_t *number;
    } keys[] = {
        {"unix", &j->target.unix_path, NULL}, {"other", &j->other.unix_path, NULL}, {"run", &j->target.command, NULL},
        {"driver", &j->driver, NULL},         {"heavy", &j->heavy, NULL},           {"file", &j->file, NULL},
        {"size", NULL, &j->size},             {"window", NULL, &j->window},         {"count", NULL, &j->count},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(keys[i].key, key))
            continue;
        if (keys[i].text)
            *keys[i].text = value;
        else
            *keys[i].number = strtoull(value, NULL, 10);
        return;
    }
    if (!strcmp(key, "tcp"))
        j->target.tcp_port = atoi(value);
    else if (!strcmp(key, "ms"))
        j->ms = strtoull(value, NULL, 10);
    else if (!strcmp(key, "control"))
        j->control = atoi(value);
    else if (!strcmp(key, "bare"))
        j->target.bare = atoi(value);
    else
        usage();
}

int main(int argc, char **argv)
{
    struct job j = {.driver = "bench_drv", .heavy = "none", .size = 64, .window = 1, .ms = 100};
    if (argc < 2)
        usage();
    for (int i = 2; i < argc; i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq)
            usage();
        *eq = 0;
        set(&j, argv[i], eq + 1);
    }
    find_work(argv[1])->run(&j);
    return 0;
}
