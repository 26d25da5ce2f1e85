/* SPDX-License-Identifier: Apache-2.0 */
/* The well-behaved clients: a process of its own with a few connections, whose answers are all verified. A wrong or missing one ends it with status 1. */
#include <arpa/inet.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../bench/load.h"
#include "hostile.h"

enum { LINKS = 4, PORT = 1, OTHER = 2, REST_NS = 1000000, ECHO = 0 };

struct good {
    pid_t pid;
};

static volatile sig_atomic_t attacked, stopped;

static void on_signal(int sig)
{
    if (sig == SIGUSR1)
        attacked = 1;
    else
        stopped = 1;
}

/* Its own number comes back, through the driver. */
static void echo(struct link *l, uint32_t number)
{
    uint32_t wire = htonl(number);
    size_t len;
    struct frame f = host_control(PORT, ECHO, &wire, sizeof wire);
    link_write(l, f.p, f.len);
    free(f.p);
    const uint8_t *p = link_frame(l, &len);
    if (len < sizeof wire || memcmp(p + len - sizeof wire, &wire, sizeof wire))
        errx(1, "a good client got a wrong answer to number %u, of %zu bytes: %.*s", number, len, (int)len, (const char *)p);
}

static void open_and_close(struct link *l)
{
    struct frame f = host_close_frame(OTHER);
    host_open(l, OTHER, "soak_probe_drv");
    link_write(l, f.p, f.len);
    free(f.p);
    host_await(l, 1);
}

static void print(const char *when, struct samples *s)
{
    printf("%s\n", when);
    samples_print(s);
}

static _Noreturn void serve(const struct crowd_options *o)
{
    static const struct timespec rest = {.tv_nsec = REST_NS};
    struct target t = {.unix_path = o->good_path};
    struct link links[LINKS];
    struct samples quiet = {0}, beside = {0};
    for (int i = 0; i < LINKS; i++) {
        link_open(&links[i], &t);
        host_hello(&links[i]);
        host_open(&links[i], PORT, "soak_probe_drv");
    }
    for (uint32_t n = 0; !stopped; n++) {
        uint64_t begun = now_ns();
        echo(&links[n % LINKS], n);
        samples_add(attacked ? &beside : &quiet, now_ns() - begun);
        if (n % 64 == 0)
            open_and_close(&links[n / 64 % LINKS]);
        nanosleep(&rest, NULL);
    }
    print("quiet", &quiet);
    print("beside", &beside);
    exit(0);
}

struct good *good_start(const struct crowd_options *o)
{
    struct good *g = calloc(1, sizeof *g);
    if (!g)
        err(1, "calloc");
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    fflush(stdout);
    g->pid = fork();
    if (g->pid < 0)
        err(1, "fork");
    if (g->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(o);
    }
    return g;
}

void good_attack(struct good *g)
{
    kill(g->pid, SIGUSR1);
}

int good_stop(struct good *g)
{
    int status;
    kill(g->pid, SIGUSR2);
    if (waitpid(g->pid, &status, 0) != g->pid)
        err(1, "waitpid");
    free(g);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
