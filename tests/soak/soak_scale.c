/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of many things at a time: ports, connections, selected descriptors. The first two go by rounds: after the last, memory is what it was after
 * the first. */
#include <err.h>
#include <stdlib.h>

#include "soak.h"

enum { PORT = 1, AT_ONCE = 64, ROUNDS = 3 };
enum step { OPEN, USE, CLOSE, STEPS };

/* Number i to each port from first on; each gives its own back. */
static void echo_among(struct soak *s, struct link *l, uint64_t first, size_t n)
{
    struct event e;
    for (size_t i = 0; i < n; i++) {
        struct frame f = soak_numbers(first + i, SOAK_ECHO, (uint32_t)(first + i), 0);
        link_write(l, f.p, f.len);
        free(f.p);
    }
    for (size_t i = 0; i < n; i++) {
        soak_next(l, EVENT_OK, &e);
        soak_expect(s, e.number == (uint32_t)(first + i));
    }
}

/* By batches. */
static void for_all(struct soak *s, struct link *l, enum step step)
{
    for (size_t i = 0; i < s->count; i += AT_ONCE) {
        size_t n = s->count - i < AT_ONCE ? s->count - i : AT_ONCE;
        if (step == USE) {
            echo_among(s, l, 1 + i, n);
            continue;
        }
        for (size_t k = 0; k < n; k++) {
            struct frame f = step == CLOSE ? host_close_frame(1 + i + k) : host_open_frame(1 + i + k, s->driver);
            link_write(l, f.p, f.len);
            free(f.p);
        }
        host_await(l, n);
    }
}

static void after_round(struct soak *s, int round)
{
    if (round == 0)
        soak_tenth(s);
}

void case_ports(struct soak *s)
{
    struct link l;
    soak_connect(s, &l);
    for (int round = 0; round < ROUNDS; round++) {
        for (enum step step = OPEN; step < STEPS; step++)
            for_all(s, &l, step);
        after_round(s, round);
    }
    s->done = s->count;
    soak_end(s);
    link_close(&l);
}

static void close_one(struct link *l)
{
    struct frame f = host_close_frame(PORT);
    link_write(l, f.p, f.len);
    free(f.p);
    host_await(l, 1);
    link_close(l);
}

void case_connections(struct soak *s)
{
    struct link *l = calloc(s->count, sizeof *l), one;
    if (!l)
        err(1, "calloc");
    soak_connect(s, &one);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < s->count; i++) {
            soak_connect(s, &l[i]);
            host_open(&l[i], PORT, s->driver);
        }
        for (size_t i = 0; i < s->count; i++)
            soak_expect(s, soak_control(&l[i], PORT, SOAK_ECHO, (uint32_t)i, 0) == i);
        for (size_t i = 0; i < s->count; i++)
            close_one(&l[i]);
        host_ping(&one);
        after_round(s, round);
    }
    s->done = s->count;
    soak_end(s);
    free(l);
    link_close(&one);
}

static void poke_all(struct link *l, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct frame f = soak_numbers(PORT, SOAK_POKE, i, 0);
        link_write(l, f.p, f.len);
        free(f.p);
    }
}

/* One input on each of them, in any order, again and again. */
void case_selected(struct soak *s)
{
    struct link l;
    struct event e;
    uint32_t n = (uint32_t)s->wide;
    size_t *came = calloc(n, sizeof *came);
    if (!came)
        err(1, "calloc");
    soak_connect(s, &l);
    host_open(&l, PORT, s->driver);
    soak_expect(s, soak_control(&l, PORT, SOAK_SELECT, n, 0) == n);
    do {
        poke_all(&l, n);
        for (size_t data = 0, answers = 0; data < n || answers < n;) {
            soak_event(&l, &e);
            answers += e.kind == EVENT_OK;
            data += e.kind == EVENT_DATA;
            soak_expect(s, e.kind != EVENT_DATA || (e.number < n && came[e.number]++ == s->done / n));
        }
    } while (soak_on(s, n));
    soak_control(&l, PORT, SOAK_QUIET, 0, 0);
    soak_end(s);
    free(came);
    link_close(&l);
}

/* For who counts what a message costs the daemon. */
void case_spread(struct soak *s)
{
    struct link l;
    soak_connect(s, &l);
    size_t trips = s->count;
    s->count = s->wide;
    for_all(s, &l, OPEN);
    for (size_t i = 0; i < trips; i++)
        echo_among(s, &l, 1 + i * 7919 % s->wide, 1);
    s->done = trips;
    soak_end(s);
    link_close(&l);
}
