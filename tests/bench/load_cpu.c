/* SPDX-License-Identifier: Apache-2.0 */
/* Works that keep processors busy: computing on many ports, a light port beside a heavy one, what the host itself uses. */
#include <ei.h>
#include <err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "load.h"
#include "work.h"

enum { STEPS = 500000, LIGHT = 1, HEAVY = 2, SPIN_US = 10000, BLOCK_US = 1000000, TICK_NS = 10000000 };

/* Two commands are under way on each port, so that none is ever without work. Answers say by their port term whose they are; here
 * any answer is worth a command to the next port in turn, for all do the same work. */
void work_cpu(const struct job *j)
{
    struct link l;
    size_t n = 0, ports = j->count;
    struct frame *f = calloc(ports, sizeof *f);
    if (!f)
        err(1, "calloc");
    link_open(&l, &j->target);
    l.rests = true;
    host_hello(&l);
    for (size_t i = 0; i < ports; i++) {
        host_open(&l, 1 + i, j->driver);
        host_mode(&l, 1 + i, MODE_WORK, STEPS, NULL);
        f[i] = host_command(1 + i, "", 0);
    }
    for (size_t i = 0; i < 2 * ports; i++)
        link_write(&l, f[i % ports].p, f[i % ports].len);
    uint64_t begin = now_ns(), end = begin + j->ms * 1000000;
    for (; now_ns() < end; n++) {
        link_pass(&l, 1);
        link_write(&l, f[n % ports].p, f[n % ports].len);
    }
    print_value("rate", (double)n / (double)(now_ns() - begin) * 1e9);
    link_close(&l);
}

struct spinner {
    pthread_t thread;
    uint64_t end;
    size_t done;
    uint32_t result;
};

static void *spinner(void *arg)
{
    struct spinner *s = arg;
    for (; now_ns() < s->end; s->done++)
        s->result = bench_work(s->result + 1, STEPS);
    return NULL;
}

void work_spin(const struct job *j)
{
    struct spinner *s = calloc(j->count, sizeof *s);
    size_t done = 0;
    if (!s)
        err(1, "calloc");
    uint64_t begin = now_ns();
    for (size_t i = 0; i < j->count; i++) {
        s[i].end = begin + j->ms * 1000000;
        if (pthread_create(&s[i].thread, NULL, spinner, &s[i]))
            errx(1, "no thread");
    }
    for (size_t i = 0; i < j->count; i++) {
        pthread_join(s[i].thread, NULL);
        done += s[i].done;
    }
    print_value("rate", (double)done / (double)(now_ns() - begin) * 1e9);
    free(s);
}

static void heavy_start(struct link *l, const struct job *j, struct frame *f)
{
    bool block = !strcmp(j->heavy, "block");
    host_open(l, HEAVY, "bench_drv");
    host_mode(l, HEAVY, block ? MODE_BLOCK : MODE_SPIN, block ? BLOCK_US : SPIN_US, NULL);
    *f = host_command(HEAVY, "", 0);
    link_write(l, f->p, f->len);
    link_write(l, f->p, f->len);
}

static struct {
    pthread_t thread;
    struct link link;
    struct frame frame;
    atomic_bool stop;
} other;

/* Until the light port has been measured. The heavy one then still has work, and is left with it. */
static void *keep_heavy(void *arg)
{
    (void)arg;
    while (!atomic_load(&other.stop)) {
        link_pass(&other.link, 1);
        link_write(&other.link, other.frame.p, other.frame.len);
    }
    return NULL;
}

static void heavy_elsewhere(const struct job *j)
{
    link_open(&other.link, &j->other);
    host_hello(&other.link);
    heavy_start(&other.link, j, &other.frame);
    if (pthread_create(&other.thread, NULL, keep_heavy, NULL))
        errx(1, "no thread");
}

/* Whether a frame is {Name, ...}. */
static bool frame_is(const uint8_t *p, size_t len, const char *name)
{
    int at = 0, version, arity;
    char atom[MAXATOMLEN_UTF8];
    return len > 8 && !ei_decode_version((const char *)p, &at, &version) && !ei_decode_tuple_header((const char *)p, &at, &arity)
           && !ei_decode_atom((const char *)p, &at, atom) && !strcmp(atom, name);
}

/* A control on the light port; what the heavy one answers meanwhile is worth another command to it. */
static void light_trip(struct link *l, struct frame control, struct frame heavy)
{
    link_write(l, control.p, control.len);
    for (;;) {
        size_t len;
        const uint8_t *p = link_frame(l, &len);
        if (frame_is(p, len, "ok"))
            return;
        if (frame_is(p, len, "send"))
            link_write(l, heavy.p, heavy.len);
    }
}

void work_light(const struct job *j)
{
    struct link l;
    struct samples s = {0};
    struct frame heavy = {0}, control = host_control(LIGHT, OP_ECHO, "0123456789abcdef", 16);
    link_open(&l, &j->target);
    host_hello(&l);
    host_open(&l, LIGHT, j->driver);
    if (j->other.unix_path)
        heavy_elsewhere(j);
    else if (strcmp(j->heavy, "none"))
        heavy_start(&l, j, &heavy);
    uint64_t last = now_ns(), end = last + j->ms * 1000000;
    while (last < end) {
        light_trip(&l, control, heavy);
        uint64_t now = now_ns();
        samples_add(&s, now - last);
        last = now;
    }
    samples_print(&s);
    if (j->other.unix_path) {
        atomic_store(&other.stop, true);
        pthread_join(other.thread, NULL);
        link_close(&other.link);
    }
    link_close(&l);
}

void work_tick(const struct job *j)
{
    struct link l;
    link_open(&l, &j->target);
    host_hello(&l);
    host_open(&l, LIGHT, j->driver);
    struct timespec settle = {.tv_sec = 2}, tick = {.tv_nsec = TICK_NS};
    nanosleep(&settle, NULL); /* the host looks after itself for a second after it was busy */
    uint64_t cpu = cpu_ns(l.pid), begin = now_ns(), end = begin + j->ms * 1000000;
    while (now_ns() < end) {
        nanosleep(&tick, NULL);
        if (j->count)
            host_sync(&l, LIGHT);
    }
    print_value("cpu", (double)(cpu_ns(l.pid) - cpu) / (double)(now_ns() - begin) * 1e6);
    link_close(&l);
}
