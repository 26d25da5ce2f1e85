/* SPDX-License-Identifier: Apache-2.0 */
/* Works on many ports, and on many connections: opening, memory, whether a message costs the same among many. The host should be
 * fresh: what it has freed before would hide what it takes now. */
#include <err.h>
#include <stdlib.h>

#include "load.h"

enum { WARM = 100, OPEN_AT_ONCE = 64, WINDOW = 64, TRIPS = 2000 };

static size_t pick(size_t n)
{
    static uint32_t x = 1;
    x = x * 1664525U + 1013904223U;
    return (size_t)(((uint64_t)x * n) >> 32);
}

static void send_many(struct link *l, uint64_t first, size_t n, const char *driver)
{
    for (size_t i = 0; i < n;) {
        size_t batch = n - i < OPEN_AT_ONCE ? n - i : OPEN_AT_ONCE;
        for (size_t k = 0; k < batch; k++, i++) {
            struct frame f = driver ? host_open_frame(first + i, driver) : host_close_frame(first + i);
            link_write(l, f.p, f.len);
            free(f.p);
        }
        host_await(l, batch);
    }
}

static double per(uint64_t before, uint64_t after, size_t n)
{
    return after > before ? (double)(after - before) / (double)n : 0;
}

static void trips_among_ports(struct link *l, size_t ports)
{
    struct samples s = {0};
    for (size_t i = 0; i < TRIPS; i++) {
        struct frame f = host_control(1 + pick(ports), OP_ECHO, "0123456789abcdef", 16);
        uint64_t begin = now_ns();
        link_write(l, f.p, f.len);
        size_t len;
        link_frame(l, &len);
        samples_add(&s, now_ns() - begin);
        free(f.p);
    }
    samples_print(&s);
}

/* Each window to other ports, for ms. */
static void rate_among_ports(struct link *l, size_t ports, uint64_t ms)
{
    uint64_t spent = 0;
    size_t n = 0;
    while (spent < ms * 1000000) {
        struct frame f[WINDOW];
        for (size_t i = 0; i < WINDOW; i++)
            f[i] = host_command(1 + pick(ports), "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 64);
        uint64_t begin = now_ns();
        for (size_t i = 0; i < WINDOW; i++)
            link_write(l, f[i].p, f[i].len);
        for (size_t left = WINDOW; left; left -= link_pass(l, left))
            ;
        spent += now_ns() - begin;
        n += WINDOW;
        for (size_t i = 0; i < WINDOW; i++)
            free(f[i].p);
    }
    print_value("rate", (double)n / (double)spent * 1e9);
}

void work_ports(const struct job *j)
{
    struct link l;
    link_open(&l, &j->target);
    host_hello(&l);
    uint64_t spare = j->count + 1; /* ids of ports that warm the host up and stay out of the way */
    send_many(&l, spare, WARM, j->driver);
    uint64_t memory = resident_bytes(l.pid), begin = now_ns();
    send_many(&l, 1, j->count, j->driver);
    print_value("open", per(begin, now_ns(), j->count));
    print_value("bytes", per(memory, resident_bytes(l.pid), j->count));
    trips_among_ports(&l, j->count);
    rate_among_ports(&l, j->count, j->ms);
    begin = now_ns();
    send_many(&l, 1, j->count, NULL);
    print_value("close", per(begin, now_ns(), j->count));
    link_close(&l);
}

static void trips_among_links(struct link *l, size_t n)
{
    struct samples s = {0};
    for (size_t i = 0; i < TRIPS; i++) {
        struct link *one = &l[pick(n)];
        uint64_t begin = now_ns();
        host_ping(one);
        samples_add(&s, now_ns() - begin);
    }
    samples_print(&s);
}

void work_conns(const struct job *j)
{
    struct link *l = calloc(WARM + j->count, sizeof *l);
    if (!l)
        err(1, "calloc");
    for (size_t i = 0; i < WARM; i++) {
        link_open(&l[i], &j->target);
        host_hello(&l[i]);
    }
    uint64_t memory = resident_bytes(l->pid), begin = now_ns();
    for (size_t i = WARM; i < WARM + j->count; i++) {
        link_open(&l[i], &j->target);
        host_hello(&l[i]);
    }
    print_value("open", per(begin, now_ns(), j->count));
    print_value("bytes", per(memory, resident_bytes(l->pid), j->count));
    trips_among_links(l + WARM, j->count);
    for (size_t i = 0; i < WARM + j->count; i++)
        link_close(&l[i]);
    free(l);
}

void work_reopen(const struct job *j)
{
    struct link l;
    size_t n = 0;
    struct frame open = host_open_frame(1, j->driver), shut = host_close_frame(1);
    link_open(&l, &j->target);
    host_hello(&l);
    uint64_t begin = now_ns(), end = begin + j->ms * 1000000;
    for (; now_ns() < end; n++) {
        link_write(&l, open.p, open.len);
        link_write(&l, shut.p, shut.len);
        host_await(&l, 2);
    }
    print_value("rate", (double)n / (double)(now_ns() - begin) * 1e9);
    link_close(&l);
    free(open.p);
    free(shut.p);
}
