/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of much data: one side faster than the other, frames that are very large, bytes that come one at a time. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "soak.h"

enum { PORT = 1, FLOOD_BATCH = 64, FLOOD_SIZE = 4096, FLOOD_US = 200, FRAME = 64 << 20, BYTES_BATCH = 64 };

static void pause_us(long us)
{
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

void case_slow_reader(struct soak *s)
{
    struct link l;
    struct event e;
    uint32_t next = 0;
    soak_connect(s, &l);
    host_open(&l, PORT, s->driver);
    soak_control(&l, PORT, SOAK_PRODUCE, 0, 0);
    pause_us(500000); /* as much as may be is waiting now */
    do {
        if (soak_next(&l, EVENT_DATA, &e))
            soak_expect(s, e.number == next);
        next = e.number + 1;
        pause_us(500);
    } while (soak_on(s, 1));
    soak_end(s);
    struct frame f = soak_numbers(PORT, SOAK_QUIET, 0, 0);
    link_write(&l, f.p, f.len);
    for (free(f.p); soak_next(&l, EVENT_DATA, &e); next++)
        soak_expect(s, e.number == next);
    link_close(&l);
}

/* Data that came back. */
static void flood_back(struct soak *s, struct link *l, uint32_t *back)
{
    struct event e;
    soak_event(l, &e);
    if (e.kind == EVENT_DATA) {
        soak_expect(s, e.number == *back && e.len == FLOOD_SIZE);
        *back = e.number + 1;
    }
}

void case_flood(struct soak *s)
{
    struct link l;
    uint32_t sent = 0, back = 0;
    soak_connect(s, &l);
    host_open(&l, PORT, s->driver);
    struct frame all = soak_repeat(soak_data(PORT, FLOOD_SIZE, FLOOD_US), FLOOD_BATCH);
    do {
        for (uint32_t i = 0; i < FLOOD_BATCH; i++)
            soak_set_number(all, FLOOD_BATCH, i, FLOOD_SIZE, sent++);
        link_write(&l, all.p, all.len);
        while (link_ready(&l))
            flood_back(s, &l, &back);
    } while (soak_on(s, FLOOD_BATCH));
    soak_end(s);
    while (back < sent)
        flood_back(s, &l, &back);
    host_sync(&l, PORT);
    free(all.p);
    link_close(&l);
}

void case_large(struct soak *s)
{
    struct link l;
    struct event e;
    soak_connect(s, &l);
    host_open(&l, PORT, s->driver);
    struct frame f = soak_data(PORT, FRAME, 0);
    f.p[f.len - 1] = 'z';
    do {
        soak_set_number(f, 1, 0, FRAME, (uint32_t)s->done);
        link_write(&l, f.p, f.len);
        do
            soak_event(&l, &e);
        while (e.kind != EVENT_DATA);
        soak_expect(s, e.number == (uint32_t)s->done && e.len == FRAME && e.data[FRAME - 1] == 'z');
    } while (soak_on(s, 1));
    soak_end(s);
    free(f.p);
    link_close(&l);
}

static void write_singly(struct link *l, const uint8_t *p, size_t len)
{
    struct pollfd fd = {.fd = l->out, .events = POLLOUT};
    for (size_t i = 0; i < len;) {
        ssize_t n = write(l->out, p + i, 1);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            err(1, "write");
        if (n < 0)
            poll(&fd, 1, -1);
        else
            i++;
    }
}

/* Bytes up to and with the frame; its last 4 are the number. */
static uint32_t read_singly(struct link *l, size_t *bytes)
{
    struct pollfd fd = {.fd = l->in, .events = POLLIN};
    uint32_t head = 0, last = 0;
    for (size_t at = 0; at < 4 || at < 4 + (size_t)head;) {
        uint8_t c;
        ssize_t n = read(l->in, &c, 1);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            err(1, "read");
        if (n < 0) {
            poll(&fd, 1, -1);
            continue;
        }
        if (at++ < 4)
            head = head << 8 | c;
        last = last << 8 | c;
        ++*bytes;
    }
    return last;
}

/* Controls whose results are a number each. */
void case_bytes(struct soak *s)
{
    struct link l;
    uint32_t number = 0;
    size_t bytes;
    soak_connect(s, &l);
    host_open(&l, PORT, s->driver);
    uint32_t zero = 0;
    struct frame all = soak_repeat(host_control(PORT, SOAK_ECHO, &zero, sizeof zero), BYTES_BATCH);
    do {
        bytes = all.len;
        for (uint32_t i = 0; i < BYTES_BATCH; i++)
            soak_set_number(all, BYTES_BATCH, i, sizeof zero, number + i);
        write_singly(&l, all.p, all.len);
        for (uint32_t i = 0; i < BYTES_BATCH; i++)
            soak_expect(s, read_singly(&l, &bytes) == number + i);
        number += BYTES_BATCH;
    } while (soak_on(s, bytes));
    soak_end(s);
    free(all.p);
    link_close(&l);
}
