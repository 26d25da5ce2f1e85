/* SPDX-License-Identifier: Apache-2.0 */
/* What the moves send: frames, and what only looks like one. Terms that no library would write are written here by hand. */
#include <arpa/inet.h>
#include <ei.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "hostile.h"

enum { MANY = 1000, PORT = 7, EXPANDED = 16 << 20 };

static const erlang_pid owner = {.node = "hostile@nowhere", .num = 1, .serial = 0, .creation = 1};

static void put_length(struct evbuffer *out, uint64_t len)
{
    uint32_t wire = htonl((uint32_t)len);
    evbuffer_add(out, &wire, sizeof wire);
}

static void put_raw(struct evbuffer *out, const void *p, size_t len)
{
    put_length(out, len);
    evbuffer_add(out, p, len);
}

void put_frame(struct evbuffer *out, const void *term, size_t len)
{
    put_length(out, len + 1);
    evbuffer_add(out, "\203", 1);
    evbuffer_add(out, term, len);
}

static void put_built(struct evbuffer *out, ei_x_buff *x)
{
    put_raw(out, x->buff, (size_t)x->index);
    ei_x_free(x);
}

void put_format(struct evbuffer *out, const char *format)
{
    ei_x_buff x;
    ei_x_new(&x);
    if (ei_x_format(&x, format, &owner, &owner))
        errx(1, "not a term: %s", format);
    put_built(out, &x);
}

static void begin(ei_x_buff *x, int arity, const char *name)
{
    ei_x_new_with_version(x);
    ei_x_encode_tuple_header(x, arity);
    ei_x_encode_atom(x, name);
}

/* {hello, 1, #{Key => ...}}: the value is to follow. */
static void begin_hello(ei_x_buff *x, const char *key)
{
    begin(x, 3, "hello");
    ei_x_encode_long(x, 1);
    ei_x_encode_map_header(x, key ? 1 : 0);
    if (key)
        ei_x_encode_atom(x, key);
}

void put_hello(struct evbuffer *out)
{
    ei_x_buff x;
    begin_hello(&x, NULL);
    put_built(out, &x);
}

void put_ping(struct evbuffer *out)
{
    put_format(out, "{ping,1}");
}

static void put_open(struct evbuffer *out, long id, const char *command)
{
    ei_x_buff x;
    begin(&x, 7, "open");
    ei_x_encode_long(&x, 1);
    ei_x_encode_long(&x, id);
    ei_x_encode_long(&x, id);
    ei_x_encode_pid(&x, &owner);
    ei_x_encode_string(&x, command);
    ei_x_encode_empty_list(&x);
    put_built(out, &x);
}

static void put_command(struct evbuffer *out, long id, size_t len)
{
    ei_x_buff x;
    char *data = calloc(len, 1);
    if (!data)
        err(1, "calloc");
    begin(&x, 4, "command");
    ei_x_encode_long(&x, id);
    ei_x_encode_pid(&x, &owner);
    ei_x_encode_binary(&x, data, (int)len);
    free(data);
    put_built(out, &x);
}

/* Framing. */

#define OPTIONS __attribute__((unused)) const struct crowd_options *o

void build_empty(struct evbuffer *out, OPTIONS) { put_length(out, 0); }
void build_4gib(struct evbuffer *out, OPTIONS) { put_length(out, UINT32_MAX); }
void build_over(struct evbuffer *out, OPTIONS) { put_length(out, o->max_frame + 1); }
void build_header(struct evbuffer *out, OPTIONS) { evbuffer_add(out, "\0\0", 2); }
void build_no_version(struct evbuffer *out, OPTIONS) { put_raw(out, "h\0", 2); }
void build_cut(struct evbuffer *out, OPTIONS) { put_frame(out, "h\003w\004pin", 7); }
void build_two_terms(struct evbuffer *out, OPTIONS) { put_frame(out, "h\002w\004pinga\001a\002", 12); }
void build_long_binary(struct evbuffer *out, OPTIONS) { put_frame(out, "h\002w\004pingm\377\377\377\377abc", 16); }
void build_long_list(struct evbuffer *out, OPTIONS) { put_frame(out, "h\002w\004pingl\377\377\377\377a\001", 15); }
void build_wide_tuple(struct evbuffer *out, OPTIONS) { put_frame(out, "i\377\377\377\377w\004ping", 11); }
void build_wide_map(struct evbuffer *out, OPTIONS) { put_frame(out, "h\002w\004pingt\377\377\377\377a\001", 15); }
void build_long_big(struct evbuffer *out, OPTIONS) { put_frame(out, "h\002w\004pingo\377\377\377\377\0abc", 17); }
void build_bad_utf8(struct evbuffer *out, OPTIONS) { put_frame(out, "h\002w\003\377\376\375a\001", 9); }

void build_part(struct evbuffer *out, OPTIONS)
{
    put_length(out, o->max_frame);
    evbuffer_add(out, "\203h\004w\007command", 12);
}

/* A thousand times as large as it is here; made once, since it takes long. */
void build_compressed(struct evbuffer *out, OPTIONS)
{
    static uint8_t frame[EXPANDED / 500] = "P";
    static uLongf len;
    uint32_t size = htonl(EXPANDED);
    if (!len) {
        uint8_t *plain = calloc(EXPANDED, 1);
        len = sizeof frame - 5;
        if (!plain || compress2(frame + 5, &len, plain, EXPANDED, 9) != Z_OK)
            errx(1, "compress2");
        memcpy(frame + 1, &size, 4);
        free(plain);
    }
    put_frame(out, frame, len + 5);
}

void build_nested(struct evbuffer *out, OPTIONS)
{
    size_t len = o->nested * 2;
    uint8_t *p = malloc(len + 1);
    if (!p)
        err(1, "malloc");
    for (size_t i = 0; i < len; i += 2)
        memcpy(p + i, "h\001", 2);
    p[len] = 'j';
    put_frame(out, p, len + 1);
    free(p);
}

/* A byte that begins no term. */
void build_bad_tags(struct evbuffer *out, OPTIONS)
{
    uint8_t frame[] = "h\002w\004ping?";
    frame[sizeof frame - 2] = (uint8_t)(random() % 70 == 0 ? 255 : 120 + random() % 120);
    put_frame(out, frame, sizeof frame - 1);
}

void build_garbage(struct evbuffer *out, OPTIONS)
{
    uint8_t frame[200];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)random();
    put_frame(out, frame, sizeof frame);
}

/* Requests that are right but for a few bits. */
void build_flipped(struct evbuffer *out, OPTIONS)
{
    struct evbuffer *good = evbuffer_new();
    put_open(good, PORT, "echo_drv");
    put_command(good, PORT, 100);
    put_format(good, "{control,1,7,~p,0,[1,2,3]}");
    put_format(good, "{send,7,~p,{a,close}}");
    put_format(good, "{grant,[{1000,a}]}");
    size_t len = evbuffer_get_length(good);
    uint8_t *p = evbuffer_pullup(good, -1);
    for (int i = 0; i < 4; i++)
        p[(size_t)random() % len] ^= (uint8_t)(1 << random() % 8);
    evbuffer_add_buffer(out, good);
    evbuffer_free(good);
}

/* Values. */

/* #{a => 1, a => 2}, the tag of a ping. */
void build_equal_keys(struct evbuffer *out, OPTIONS)
{
    put_frame(out, "h\002w\004pingt\0\0\0\002w\001aa\001w\001aa\002", 23);
}

static void put_with_binary(struct evbuffer *out, int arity, const char *name, size_t len)
{
    ei_x_buff x;
    char *data = calloc(len, 1);
    if (!data)
        err(1, "calloc");
    begin(&x, arity, name);
    ei_x_encode_binary(&x, data, (int)len);
    free(data);
    put_built(out, &x);
}

void build_large_tag(struct evbuffer *out, OPTIONS)
{
    put_with_binary(out, 2, "ping", 1025);
}

void build_large_port_term(struct evbuffer *out, OPTIONS)
{
    ei_x_buff x;
    char data[1100] = {0};
    begin(&x, 7, "open");
    ei_x_encode_long(&x, 1);
    ei_x_encode_long(&x, PORT);
    ei_x_encode_binary(&x, data, sizeof data);
    ei_x_encode_pid(&x, &owner);
    ei_x_encode_string(&x, "echo_drv");
    ei_x_encode_empty_list(&x);
    put_built(out, &x);
}

/* Ten thousand names that nobody has ever used. */
void build_atoms(struct evbuffer *out, OPTIONS)
{
    for (int i = 0; i < 10 * MANY; i++) {
        char name[32];
        ei_x_buff x;
        snprintf(name, sizeof name, "hostile_%ld_%d", random(), i);
        begin(&x, 1, name);
        put_built(out, &x);
    }
}

void build_nodes(struct evbuffer *out, OPTIONS)
{
    for (int i = 0; i < MANY; i++) {
        erlang_pid p = owner;
        ei_x_buff x;
        snprintf(p.node, sizeof p.node, "n%d@hostile", i);
        begin(&x, 6, "control");
        ei_x_encode_long(&x, 1);
        ei_x_encode_long(&x, PORT);
        ei_x_encode_pid(&x, &p);
        ei_x_encode_long(&x, 0);
        ei_x_encode_empty_list(&x);
        put_built(out, &x);
    }
}

/* Who a pid is of is for the client to say; it does not help it to other ports. */
void build_forged(struct evbuffer *out, OPTIONS)
{
    put_open(out, PORT, "echo_drv");
    for (int i = 0; i < 20; i++) {
        erlang_pid p = {.node = "load@127.0.0.1", .num = (unsigned)i, .serial = 0, .creation = 1};
        ei_x_buff x;
        begin(&x, 4, "send");
        ei_x_encode_long(&x, 1);
        ei_x_encode_pid(&x, &p);
        ei_x_encode_tuple_header(&x, 2);
        ei_x_encode_pid(&x, &p);
        ei_x_encode_atom(&x, "close");
        put_built(out, &x);
    }
    put_format(out, "{connect,1,1,~p,self}");
}

/* Resources. */

void build_ports(struct evbuffer *out, OPTIONS)
{
    for (size_t i = 1; i <= o->max_ports; i++)
        put_open(out, (long)i, "echo_drv");
}

void build_too_many_ports(struct evbuffer *out, OPTIONS)
{
    for (size_t i = 1; i <= o->max_ports + 10; i++)
        put_open(out, (long)i, "echo_drv");
}

void build_kept(struct evbuffer *out, OPTIONS)
{
    char *data = calloc(o->max_frame / 4, 1);
    if (!data)
        err(1, "calloc");
    for (long i = 1; i <= 8; i++) {
        ei_x_buff x;
        put_open(out, i, "echo_drv");
        begin(&x, 4, "set_data");
        ei_x_encode_long(&x, 1);
        ei_x_encode_long(&x, i);
        ei_x_encode_binary(&x, data, (int)(o->max_frame / 4));
        put_built(out, &x);
    }
    free(data);
}

/* What comes back is more than anybody will read. */
void build_pings(struct evbuffer *out, OPTIONS)
{
    put_open(out, PORT, "echo_drv");
    for (int i = 0; i < 16; i++)
        put_command(out, PORT, o->max_frame / 4);
    for (int i = 0; i < MANY; i++)
        put_ping(out);
}

/* Small requests with large answers, more of them than may wait for the client, all in one turn. */
void build_large_answers(struct evbuffer *out, OPTIONS)
{
    size_t len = o->kept / 2;
    char *data = calloc(len, 1);
    ei_x_buff x;
    if (!data)
        err(1, "calloc");
    put_open(out, PORT, "echo_drv");
    begin(&x, 4, "set_data");
    ei_x_encode_long(&x, 1);
    ei_x_encode_long(&x, PORT);
    ei_x_encode_binary(&x, data, (int)len);
    put_built(out, &x);
    free(data);
    for (size_t i = 0; i < 100; i++)
        put_format(out, "{get_data,1,7}");
}

/* More than may be there. */
void build_queue(struct evbuffer *out, OPTIONS)
{
    put_open(out, PORT, "delay_drv 3000");
    put_command(out, PORT, o->max_frame / 2);
}

void build_grants(struct evbuffer *out, OPTIONS)
{
    ei_x_buff x;
    begin(&x, 2, "grant");
    ei_x_encode_list_header(&x, 2 * MANY);
    for (int i = 0; i < 2 * MANY; i++) {
        ei_x_encode_tuple_header(&x, 2);
        ei_x_encode_long(&x, i / 2);
        ei_x_encode_long(&x, i);
    }
    ei_x_encode_empty_list(&x);
    put_built(out, &x);
    put_frame(out, "h\002w\005grantl\0\0\0\001w\001aw\001b", 20); /* improper */
    put_format(out, "{grant,{1,2}}");
}

/* Hellos. */

void build_hellos(struct evbuffer *out, OPTIONS)
{
    for (int i = 0; i < MANY; i++)
        put_hello(out);
}

/* The last of equal keys counts. */
void build_hello_twice_self(struct evbuffer *out, OPTIONS)
{
    ei_x_buff x;
    begin(&x, 3, "hello");
    ei_x_encode_long(&x, 1);
    ei_x_encode_map_header(&x, 2);
    for (int i = 0; i < 2; i++) {
        ei_x_encode_atom(&x, "self");
        ei_x_encode_pid(&x, &owner);
    }
    put_built(out, &x);
}

static void put_hello_with(struct evbuffer *out, const char *key, size_t len)
{
    ei_x_buff x;
    char *data = calloc(len, 1);
    if (!data)
        err(1, "calloc");
    begin_hello(&x, key);
    ei_x_encode_binary(&x, data, (int)len);
    free(data);
    put_built(out, &x);
}

void build_long_name(struct evbuffer *out, OPTIONS) { put_hello_with(out, "name", 65); }
void build_bad_self(struct evbuffer *out, OPTIONS) { put_hello_with(out, "self", 10); }
void build_bad_auth(struct evbuffer *out, OPTIONS) { put_hello_with(out, "auth", 31); }
void build_large_hello(struct evbuffer *out, OPTIONS) { put_hello_with(out, "more", 5000); }

void put_hello_only(struct evbuffer *out, OPTIONS)
{
    put_hello(out);
}

/* What somebody has overheard elsewhere. */
void build_wrong_proof(struct evbuffer *out, OPTIONS)
{
    put_hello_with(out, "auth", 32);
    put_with_binary(out, 2, "auth", 32);
}

/* Requests. */

void build_twice_open(struct evbuffer *out, OPTIONS)
{
    put_open(out, PORT, "echo_drv");
    put_open(out, PORT, "echo_drv");
}

void build_unload(struct evbuffer *out, OPTIONS)
{
    erlang_ref ref = {.node = "hostile@nowhere", .len = 3, .n = {1, 2, 3}, .creation = 1};
    ei_x_buff x;
    begin(&x, 6, "unload");
    ei_x_encode_long(&x, 1);
    ei_x_encode_pid(&x, &owner);
    ei_x_encode_ref(&x, &ref);
    ei_x_encode_string(&x, "soak_probe_drv");
    ei_x_encode_list_header(&x, 1);
    ei_x_encode_atom(&x, "kill_ports");
    ei_x_encode_empty_list(&x);
    put_built(out, &x);
}

static const char *const names[] = {"open", "command", "control", "call", "send", "connect", "close", "exit", "info", "set_data", "get_data", "ports", "down",
                                    "grant", "load", "unload", "monitor_driver", "demonitor_driver", "driver_info", "drivers", "format_error", "allow_driver",
                                    "ping", "stats", "port_stats", "port_info", "trace", "log_level", "hello", "auth"};

/* Each with one to ten elements, all of them the atom `no`: too few, too many, and of the wrong type. */
void build_arities(struct evbuffer *out, OPTIONS)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int arity = 1; arity <= 10; arity++) {
            ei_x_buff x;
            begin(&x, arity, names[i]);
            for (int k = 1; k < arity; k++)
                ei_x_encode_atom(&x, "no");
            put_built(out, &x);
        }
}

void build_types(struct evbuffer *out, OPTIONS)
{
    static const char *const forms[] = {
        "{open,1,-1,t,~p,echo_drv,[]}", "{open,1,a,t,~p,echo_drv,[]}", "{open,1,1.5,t,~p,echo_drv,[]}", "{open,1,7,t,me,echo_drv,[]}", "{open,1,7,t,~p,17,[]}",
        "{open,1,7,t,~p,[1000,a],[]}", "{control,1,7,~p,-1,[]}", "{control,1,7,~p,a,[]}", "{control,1,7,nobody,0,[]}", "{call,1,7,~p,{},[]}", "{connect,1,7,~p,17}",
        "{close,1,seven,~p}", "{info,1,7,17}", "{ports,1,nobody}", "{load,1,nobody,ref,[],a,[]}", "{load,1,~p,noref,[],a,[]}", "{driver_info,1,a,7}",
        "{port_info,1,-1,7,name}", "{trace,1,1,1,maybe}", "{log_level,1,7}", "{down,-1,a}", "{exit,-1,~p,a}", "{command,7,nobody,[]}"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        put_format(out, forms[i]);
}

/* What is no iodata is dropped by a command and badarg to a control. */
void build_data(struct evbuffer *out, OPTIONS)
{
    put_open(out, PORT, "echo_drv");
    put_format(out, "{command,7,~p,[256]}");
    put_format(out, "{command,7,~p,[-1,a,1.5]}");
    put_format(out, "{command,7,~p,{no,data}}");
    put_format(out, "{command,7,~p,[],[backwards]}");
    put_format(out, "{control,1,7,~p,0,[a,b]}");
}
