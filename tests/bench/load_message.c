/* SPDX-License-Identifier: Apache-2.0 */
/* Works on one port: round trips, windows, one way, bursts. */
#include <arpa/inet.h>
#include <err.h>
#include <stdlib.h>

#include "load.h"

enum { PORT = 1, BATCH = 64 };

/* A link to the target, with a port on it if it is a host. */
static void connect_port(struct link *l, const struct job *j)
{
    link_open(l, &j->target);
    if (j->target.bare)
        return;
    host_hello(l);
    host_open(l, PORT, j->driver);
}

static struct frame request(const struct job *j)
{
    uint8_t *data = calloc(j->size + 1, 1);
    if (!data)
        err(1, "calloc");
    struct frame f = j->target.bare ? bare_frame(data, j->size)
                     : j->control   ? host_control(PORT, OP_ECHO, data, j->size)
                                    : host_command(PORT, data, j->size);
    free(data);
    return f;
}

static void round_trip(struct link *l, struct frame f)
{
    link_write(l, f.p, f.len);
    while (link_pass(l, 1) == 0)
        ;
}

/* One after the other, for j->ms or j->count if that is given. */
void work_rtt(const struct job *j)
{
    struct link l;
    struct samples s = {0};
    connect_port(&l, j);
    struct frame f = request(j);
    for (int i = 0; i < 3; i++)
        round_trip(&l, f);
    uint64_t last = now_ns(), end = last + j->ms * 1000000;
    while (j->count ? s.n < j->count : last < end || s.n < 3) {
        round_trip(&l, f);
        uint64_t now = now_ns();
        samples_add(&s, now - last);
        last = now;
    }
    link_close(&l);
    free(f.p);
    samples_print(&s);
}

/* j->window requests are always under way: as many answers as are read, so many requests are written, at once. */
void work_pipe(const struct job *j)
{
    struct link l;
    connect_port(&l, j);
    struct frame f = request(j), all = frame_repeat(f, j->window);
    size_t done = 0, asked = 0;
    uint64_t begin = now_ns(), end = begin + j->ms * 1000000;
    for (;;) {
        size_t room = j->window - (asked - done), left = j->count ? j->count - asked : now_ns() < end ? room : 0;
        size_t n = room < left ? room : left;
        if (n == 0 && done == asked)
            break;
        link_write(&l, all.p, n * f.len);
        asked += n;
        done += link_pass(&l, j->window);
    }
    print_value("rate", (double)done / (double)(now_ns() - begin) * 1e9);
    print_value("n", (double)done);
    link_close(&l);
    free(f.p);
    free(all.p);
}

static void set_mode(struct link *l, const struct job *j)
{
    if (j->file)
        host_mode(l, PORT, MODE_FILE, 0, j->file);
    else
        host_mode(l, PORT, MODE_SINK, 0, NULL);
}

/* Commands without answers, then a control that waits for them all. */
void work_oneway(const struct job *j)
{
    struct link l;
    connect_port(&l, j);
    set_mode(&l, j);
    size_t batch = j->size > 65536 ? 1 : BATCH, n = 0;
    struct frame f = request(j), all = frame_repeat(f, batch);
    uint64_t begin = now_ns(), end = begin + j->ms * 1000000;
    for (; j->count ? n < j->count : now_ns() < end || n == 0; n += batch)
        link_write(&l, all.p, all.len);
    host_sync(&l, PORT);
    double seconds = (double)(now_ns() - begin) / 1e9;
    print_value("rate", (double)n / seconds);
    print_value("bytes", (double)(n * j->size) / seconds);
    link_close(&l);
    free(f.p);
    free(all.p);
}

/* j->count messages of j->size at a time, asked for by one control. */
void work_burst(const struct job *j)
{
    struct link l;
    uint32_t data[2] = {htonl((uint32_t)j->count), htonl((uint32_t)j->size)};
    size_t n = 0;
    connect_port(&l, j);
    struct frame f = host_control(PORT, OP_BURST, data, sizeof data);
    uint64_t begin = now_ns(), end = begin + j->ms * 1000000;
    while (now_ns() < end || n == 0) {
        link_write(&l, f.p, f.len);
        for (size_t left = j->count + 1; left; left -= link_pass(&l, left))
            ;
        n += j->count;
    }
    double seconds = (double)(now_ns() - begin) / 1e9;
    print_value("rate", (double)n / seconds);
    print_value("bytes", (double)(n * j->size) / seconds);
    link_close(&l);
    free(f.p);
}

/* From fork to the first answer. */
void work_start(const struct job *j)
{
    struct link l;
    uint64_t begin = now_ns();
    link_open(&l, &j->target);
    if (j->target.bare)
        round_trip(&l, request(j));
    else
        host_hello(&l);
    print_value("first", (double)(now_ns() - begin));
    link_close(&l);
}
