/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of many things that come and go: callers, ports, timers, atoms, monitors. */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

enum { PORT = 1, WINDOW = 256, REOPEN = 64, TIMERS = 1000, ATOMS = 1000, MAX_ATOMS = 1000000, WATCHED = 64 };

static void open_port(struct soak *s, struct link *l)
{
    soak_connect(s, l);
    host_open(l, PORT, s->driver);
}

/* Each caller is sent its own number by the driver before its control is answered. */
void case_callers(struct soak *s)
{
    struct link l;
    struct event e;
    uint32_t id = 1;
    open_port(s, &l);
    struct frame all = soak_repeat(soak_numbers(PORT, SOAK_CALLER, 0, 0), WINDOW);
    do {
        for (uint32_t i = 0; i < WINDOW; i++) {
            soak_set_caller(all, WINDOW, i, id + i);
            soak_set_number(all, WINDOW, i, 8, id + i);
        }
        link_write(&l, all.p, all.len);
        for (uint32_t i = 0; i < WINDOW; i++) {
            soak_expect(s, soak_next(&l, EVENT_NUMBER, &e) && e.to == id + i && e.number == id + i);
            soak_event(&l, &e);
            soak_expect(s, e.kind == EVENT_OK);
        }
        id += WINDOW;
    } while (soak_on(s, WINDOW));
    soak_end(s);
    free(all.p);
    link_close(&l);
}

static struct frame open_all_and_close(const char *driver)
{
    struct frame all = {0};
    for (uint64_t i = 0; i < 2 * REOPEN; i++) {
        struct frame f = i < REOPEN ? host_open_frame(i + 1, driver) : host_close_frame(i - REOPEN + 1);
        all.p = realloc(all.p, all.len + f.len);
        if (!all.p)
            err(1, "realloc");
        memcpy(all.p + all.len, f.p, f.len);
        all.len += f.len;
        free(f.p);
    }
    return all;
}

void case_reopen(struct soak *s)
{
    struct link l;
    struct event e;
    soak_connect(s, &l);
    struct frame all = open_all_and_close(s->driver);
    do {
        size_t closed = 0;
        link_write(&l, all.p, all.len);
        for (size_t answers = 0; answers < 2 * REOPEN; answers += e.kind == EVENT_OK) {
            soak_event(&l, &e);
            closed += e.kind == EVENT_CLOSED;
        }
        s->lost += REOPEN - closed;
    } while (soak_on(s, REOPEN));
    soak_end(s);
    free(all.p);
    link_close(&l);
}

/* None of them runs out. */
void case_timers(struct soak *s)
{
    struct link l;
    open_port(s, &l);
    do
        soak_expect(s, soak_control(&l, PORT, SOAK_TIMER, TIMERS, 0) == 0);
    while (soak_on(s, TIMERS));
    soak_end(s);
    link_close(&l);
}

/* The result is how many were refused. */
static uint32_t make_atoms(struct soak *s, struct link *l, uint32_t first, const char *last)
{
    struct frame f = soak_numbers(PORT, SOAK_ATOM, first, ATOMS);
    struct event e;
    link_write(l, f.p, f.len);
    free(f.p);
    soak_expect(s, soak_next(l, EVENT_ATOM, &e) && (!last || !strcmp((const char *)e.data, last)));
    soak_next(l, EVENT_OK, &e);
    return e.number;
}

/* Atoms stay: memory is level when all of them have been made once. */
void case_atoms(struct soak *s)
{
    struct link l;
    open_port(s, &l);
    for (int round = 0; round < 10; round++) {
        for (uint32_t first = 0; first < s->count; first += ATOMS)
            soak_expect(s, make_atoms(s, &l, first, NULL) == 0);
        if (round == 0)
            soak_tenth(s);
    }
    s->done = s->count;
    soak_end(s);
    link_close(&l);
}

/* As many as there can be, then count more, which all are system_limit; the old ones are themselves, and the port goes on. */
void case_atom_limit(struct soak *s)
{
    struct link l;
    open_port(s, &l);
    for (uint32_t first = 0; first < MAX_ATOMS; first += ATOMS)
        make_atoms(s, &l, first, NULL);
    soak_tenth(s);
    for (; s->done < s->count; s->done += ATOMS)
        soak_expect(s, make_atoms(s, &l, MAX_ATOMS + (uint32_t)s->done, "system_limit") == ATOMS);
    soak_expect(s, make_atoms(s, &l, 0, "soak_999") == 0);
    soak_end(s);
    host_sync(&l, PORT);
    link_close(&l);
}

/* Every fourth is demonitored at once. The client says of all of them that they have ended, the driver hears of those that it still monitors. */
void case_monitors(struct soak *s)
{
    struct link l;
    struct event e;
    uint32_t id = 1, ends = 0;
    open_port(s, &l);
    struct frame all = soak_repeat(soak_numbers(PORT, SOAK_WATCH, 1, 0), WATCHED);
    for (size_t i = 0; i < WATCHED; i++)
        soak_set_number(all, WATCHED, i, 8, i % 4 != 3);
    do {
        for (uint32_t i = 0; i < WATCHED; i++)
            soak_set_caller(all, WATCHED, i, id++);
        link_write(&l, all.p, all.len);
        uint64_t monitors[WATCHED];
        size_t answers = 0, n = 0;
        for (; answers < WATCHED; answers += e.kind == EVENT_OK) {
            soak_event(&l, &e);
            if (e.kind == EVENT_MONITOR && n < WATCHED)
                monitors[n++] = e.id;
            soak_expect(s, e.kind != EVENT_OK || e.number == 0);
        }
        s->lost += WATCHED - n;
        for (size_t i = 0; i < n; i++)
            soak_down(&l, monitors[i]);
        for (size_t i = 0; i < WATCHED / 4 * 3; i++, ends++)
            do
                soak_event(&l, &e);
            while (e.kind != EVENT_DATA);
        soak_expect(s, e.number + 1 == ends);
    } while (soak_on(s, WATCHED));
    soak_end(s);
    free(all.p);
    link_close(&l);
}
