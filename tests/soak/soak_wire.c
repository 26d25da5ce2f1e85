/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases send and get: controls with numbers, batches of equal frames, events decoded. */
#include <arpa/inet.h>
#include <ei.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

static const char node[] = "load@127.0.0.1"; /* of load_host.c's caller */

void soak_connect(struct soak *s, struct link *l)
{
    link_open(l, &s->target);
    host_hello(l);
    if (!s->begun)
        soak_begin(s, l->pid);
}

/* Binary, or [A, B, C, D | Binary] as a driver gives it that puts a header in front: then that is the number. */
static void read_binary(const char *p, int at, struct event *e)
{
    int type, size;
    unsigned long byte;
    if (!ei_get_type(p, &at, &type, &size) && type == ERL_LIST_EXT && !ei_decode_list_header(p, &at, &size)) {
        while (size-- && !ei_decode_ulong(p, &at, &byte))
            e->number = e->number << 8 | (uint32_t)byte;
        return;
    }
    if (type != ERL_BINARY_EXT)
        return;
    e->data = (const uint8_t *)p + at + 5; /* tag and length */
    e->len = (size_t)size;
    if (e->len >= sizeof e->number) {
        memcpy(&e->number, e->data, sizeof e->number);
        e->number = ntohl(e->number);
    }
}

/* {PortTerm, {data, Binary}}, an integer, or an atom. */
static void read_message(const char *p, int at, struct event *e)
{
    static char text[MAXATOMLEN_UTF8];
    long id;
    int arity;
    unsigned long n;
    if (!ei_decode_ulong(p, &at, &n)) {
        e->kind = EVENT_NUMBER;
        e->number = (uint32_t)n;
    } else if (!ei_decode_atom(p, &at, text)) {
        e->kind = EVENT_ATOM;
        e->data = (const uint8_t *)text;
    } else if (!ei_decode_tuple_header(p, &at, &arity) && !ei_decode_long(p, &at, &id) && !ei_decode_tuple_header(p, &at, &arity) &&
               !ei_decode_atom(p, &at, text) && !strcmp(text, "data")) {
        e->kind = EVENT_DATA;
        e->id = (uint64_t)id;
        read_binary(p, at, e);
    }
}

static void read_event(const char *p, struct event *e)
{
    char name[MAXATOMLEN_UTF8] = "";
    int at = 0, version, arity;
    long n = 0;
    erlang_pid pid;
    *e = (struct event){.kind = EVENT_OTHER};
    if (ei_decode_version(p, &at, &version) || ei_decode_tuple_header(p, &at, &arity) || ei_decode_atom(p, &at, name))
        errx(1, "not a frame of the protocol");
    if (!strcmp(name, "error") || !strcmp(name, "fault") || !strcmp(name, "goodbye"))
        errx(1, "the host says %s", name);
    if (!strcmp(name, "send") && !ei_decode_pid(p, &at, &pid)) {
        e->to = pid.num;
        read_message(p, at, e);
    } else if (!strcmp(name, "ok") && !ei_decode_long(p, &at, &n)) {
        e->kind = EVENT_OK;
        read_binary(p, at, e);
    } else if (!strcmp(name, "monitor") || !strcmp(name, "closed")) {
        ei_decode_long(p, &at, &n);
        e->kind = *name == 'm' ? EVENT_MONITOR : EVENT_CLOSED;
        e->id = (uint64_t)n;
    }
}

void soak_event(struct link *l, struct event *e)
{
    size_t len;
    read_event((const char *)link_frame(l, &len), e);
}

bool soak_next(struct link *l, enum event_kind kind, struct event *e)
{
    do
        soak_event(l, e);
    while (e->kind != kind && e->kind != EVENT_OK);
    return e->kind == kind;
}

struct frame soak_numbers(uint64_t port, unsigned op, uint32_t a, uint32_t b)
{
    uint32_t data[2] = {htonl(a), htonl(b)};
    return host_control(port, op, data, sizeof data);
}

uint32_t soak_control(struct link *l, uint64_t port, unsigned op, uint32_t a, uint32_t b)
{
    struct frame f = soak_numbers(port, op, a, b);
    struct event e;
    link_write(l, f.p, f.len);
    free(f.p);
    soak_next(l, EVENT_OK, &e);
    return e.number;
}

struct frame soak_data(uint64_t port, size_t len, uint32_t us)
{
    uint8_t *data = calloc(len, 1);
    uint32_t wire = htonl(us);
    if (!data)
        err(1, "calloc");
    memcpy(data + 4, &wire, sizeof wire);
    struct frame f = host_command(port, data, len);
    free(data);
    return f;
}

struct frame soak_repeat(struct frame f, size_t n)
{
    struct frame all = frame_repeat(f, n);
    free(f.p);
    return all;
}

static void put(uint8_t *at, uint32_t n)
{
    n = htonl(n);
    memcpy(at, &n, sizeof n);
}

void soak_set_caller(struct frame batch, size_t n, size_t i, uint32_t id)
{
    size_t each = batch.len / n;
    uint8_t *at = memmem(batch.p + i * each, each, node, sizeof node - 1);
    if (!at)
        errx(1, "no pid in the request");
    put(at + sizeof node - 1, id & 0x0fffffff);
}

/* The data are the last in the frame. */
void soak_set_number(struct frame batch, size_t n, size_t i, size_t data_len, uint32_t number)
{
    put(batch.p + (i + 1) * (batch.len / n) - data_len, number);
}

void soak_down(struct link *l, uint64_t monitor)
{
    struct frame f = host_down(monitor);
    link_write(l, f.p, f.len);
    free(f.p);
}
