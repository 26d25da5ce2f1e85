/* SPDX-License-Identifier: Apache-2.0 */
/* The client's half of the protocol, as far as the load generator needs it. Requests are encoded once, and sent many times. */
#include <arpa/inet.h>
#include <ei.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const erlang_pid caller = {.node = "load@127.0.0.1", .num = 1, .serial = 0, .creation = 1};

static void begin(ei_x_buff *x, int arity, const char *name)
{
    uint32_t room = 0;
    ei_x_new(x);
    ei_x_append_buf(x, (char *)&room, 4);
    ei_x_encode_version(x);
    ei_x_encode_tuple_header(x, arity);
    ei_x_encode_atom(x, name);
}

static struct frame finish(ei_x_buff *x)
{
    uint32_t len = htonl((uint32_t)x->index - 4);
    memcpy(x->buff, &len, 4);
    return (struct frame){(uint8_t *)x->buff, (size_t)x->index};
}

static void send_frame(struct link *l, struct frame f)
{
    link_write(l, f.p, f.len);
    free(f.p);
}

/* Passes frames until one is {Name, ...}. */
static void await(struct link *l, const char *name)
{
    for (;;) {
        char atom[MAXATOMLEN_UTF8] = "";
        size_t len;
        int at = 0, version, arity;
        const char *p = (const char *)link_frame(l, &len);
        if (ei_decode_version(p, &at, &version) || ei_decode_tuple_header(p, &at, &arity) || ei_decode_atom(p, &at, atom))
            errx(1, "not a frame of the protocol");
        if (!strcmp(atom, name))
            return;
        if (!strcmp(atom, "error") || !strcmp(atom, "fault") || !strcmp(atom, "goodbye"))
            errx(1, "the host says %s", atom);
    }
}

void host_await(struct link *l, size_t n)
{
    while (n--)
        await(l, "ok");
}

void host_hello(struct link *l)
{
    ei_x_buff x;
    begin(&x, 3, "hello");
    ei_x_encode_long(&x, 1);
    ei_x_encode_map_header(&x, 0);
    send_frame(l, finish(&x));
    await(l, "hello");
}

struct frame host_open_frame(uint64_t id, const char *driver)
{
    ei_x_buff x;
    begin(&x, 7, "open");
    ei_x_encode_long(&x, 0);
    ei_x_encode_ulonglong(&x, id);
    ei_x_encode_ulonglong(&x, id);
    ei_x_encode_pid(&x, &caller);
    ei_x_encode_string(&x, driver);
    ei_x_encode_list_header(&x, 1);
    ei_x_encode_atom(&x, "binary");
    ei_x_encode_empty_list(&x);
    return finish(&x);
}

struct frame host_close_frame(uint64_t id)
{
    ei_x_buff x;
    begin(&x, 4, "close");
    ei_x_encode_long(&x, 0);
    ei_x_encode_ulonglong(&x, id);
    ei_x_encode_pid(&x, &caller);
    return finish(&x);
}

struct frame host_down(uint64_t monitor)
{
    ei_x_buff x;
    begin(&x, 3, "down");
    ei_x_encode_ulonglong(&x, monitor);
    ei_x_encode_atom(&x, "normal");
    return finish(&x);
}

void host_open(struct link *l, uint64_t id, const char *driver)
{
    send_frame(l, host_open_frame(id, driver));
    host_await(l, 1);
}

struct frame host_command(uint64_t id, const void *data, size_t len)
{
    ei_x_buff x;
    begin(&x, 4, "command");
    ei_x_encode_ulonglong(&x, id);
    ei_x_encode_pid(&x, &caller);
    ei_x_encode_binary(&x, data, (int)len);
    return finish(&x);
}

struct frame host_control(uint64_t id, unsigned op, const void *data, size_t len)
{
    ei_x_buff x;
    begin(&x, 6, "control");
    ei_x_encode_long(&x, 0);
    ei_x_encode_ulonglong(&x, id);
    ei_x_encode_pid(&x, &caller);
    ei_x_encode_ulong(&x, op);
    ei_x_encode_binary(&x, data, (int)len);
    return finish(&x);
}

struct frame bare_frame(const void *data, size_t len)
{
    uint32_t head = htonl((uint32_t)len);
    uint8_t *p = malloc(len + 4);
    if (!p)
        err(1, "malloc");
    memcpy(p, &head, 4);
    memcpy(p + 4, data, len);
    return (struct frame){p, len + 4};
}

struct frame frame_repeat(struct frame f, size_t n)
{
    struct frame all = {malloc(f.len * n), f.len * n};
    if (!all.p)
        err(1, "malloc");
    for (size_t i = 0; i < n; i++)
        memcpy(all.p + i * f.len, f.p, f.len);
    return all;
}

void host_mode(struct link *l, uint64_t id, int mode, uint32_t argument, const char *path)
{
    char data[256] = {(char)mode};
    uint32_t n = htonl(argument);
    size_t len = path ? strlen(path) : 0;
    if (len > sizeof data - 5)
        errx(1, "%s: too long", path);
    memcpy(data + 1, &n, 4);
    memcpy(data + 5, path ? path : "", len);
    send_frame(l, host_control(id, OP_MODE, data, 5 + len));
    host_await(l, 1);
}

void host_ping(struct link *l)
{
    ei_x_buff x;
    begin(&x, 2, "ping");
    ei_x_encode_long(&x, 0);
    send_frame(l, finish(&x));
    host_await(l, 1);
}

void host_sync(struct link *l, uint64_t id)
{
    send_frame(l, host_control(id, OP_ECHO, "", 0));
    host_await(l, 1);
}
