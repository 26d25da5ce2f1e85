/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: driver binaries, their sizes and counts, and driver memory. Called by the run-time system only. */
#include "probe.h"

enum { SHARED_SIZE = 200 };

struct self {
    ErlDrvPort port;
    ErlDrvBinary *shared; /* one reference of ours */
    ErlDrvBinary *buffer; /* of "receive"; likewise */
};

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port, .shared = driver_alloc_binary(SHARED_SIZE)};
    memset(s->shared->orig_bytes, 'b', SHARED_SIZE);
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    driver_free_binary(s->shared);
    driver_free_binary(s->buffer);
    driver_free(s);
}

ACTION(do_counts)
{
    ErlDrvBinary *b = driver_alloc_binary(10);
    say(a, "new %ld size %ld", driver_binary_get_refc(b), b->orig_size);
    say(a, "inc %ld", driver_binary_inc_refc(b));
    say(a, "dec %ld", driver_binary_dec_refc(b));
    say(a, "dec %ld", driver_binary_dec_refc(b));
    say(a, "inc %ld", driver_binary_inc_refc(b));
    driver_free_binary(b);
    driver_free_binary(NULL);
    say(a, "done");
}

ACTION(do_realloc)
{
    ErlDrvBinary *b = bin_of("0123456789", 10);
    b = driver_realloc_binary(b, 100000);
    say(a, "%ld %.10s", b->orig_size, b->orig_bytes);
    b = driver_realloc_binary(b, 4);
    say(a, "%ld %.4s refc %ld", b->orig_size, b->orig_bytes, driver_binary_get_refc(b));
    driver_free_binary(b);
    b = driver_realloc_binary(NULL, 3);
    say(a, "%ld refc %ld", b->orig_size, driver_binary_get_refc(b));
    driver_free_binary(b);
}

ACTION(do_empty)
{
    ErlDrvBinary *b = driver_alloc_binary(0);
    say(a, "%s %ld", b ? "binary" : "NULL", b->orig_size);
    driver_free_binary(b);
}

ACTION(do_aligned)
{
    ErlDrvBinary *b = driver_alloc_binary(11);
    say(a, "%zu", (size_t)((uintptr_t)b->orig_bytes % 8));
    driver_free_binary(b);
}

ACTION(do_memory)
{
    void *nothing = driver_alloc(0), *some = driver_alloc(10);
    say(a, nothing ? "pointer" : "NULL");
    memcpy(some, "0123456789", 10);
    some = driver_realloc(some, 5000);
    say(a, "%.10s", (char *)some);
    driver_free(some);
    driver_free(nothing);
    driver_free(NULL);
    void *from_null = driver_realloc(NULL, 8);
    say(a, from_null ? "pointer" : "NULL");
    driver_free(from_null);
}

static void output_part(struct self *s, ErlDrvSizeT n, struct answer *a)
{
    int rc = driver_output_binary(s->port, NULL, 0, s->shared, 0, n);
    say(a, "%d", rc);
}

/* Up to 64 bytes are copied. */
ACTION(do_output_small)
{
    struct self *s = self;
    output_part(s, 64, a);
    say(a, "refc %ld", driver_binary_get_refc(s->shared));
}

ACTION(do_output_large)
{
    output_part(self, SHARED_SIZE, a);
}

static int send_binary(struct self *s, ErlDrvTermData size)
{
    ErlDrvTermData term[] = {ERL_DRV_BINARY, (ErlDrvTermData)s->shared, size, 0};
    return erl_drv_output_term(driver_mk_port(s->port), term, 4);
}

ACTION(do_term_small)
{
    struct self *s = self;
    say(a, "%d", send_binary(s, 64));
    say(a, "refc %ld", driver_binary_get_refc(s->shared));
}

ACTION(do_term_large)
{
    say(a, "%d", send_binary(self, SHARED_SIZE));
}

ACTION(do_term_beyond)
{
    struct self *s = self;
    say(a, "%d", send_binary(s, SHARED_SIZE + 1));
    say(a, "refc %ld", driver_binary_get_refc(s->shared));
}

/* What an output gave away it does not take back: the reference of ours is still good. */
ACTION(do_still_good)
{
    struct self *s = self;
    say(a, "%ld %c", s->shared->orig_size, s->shared->orig_bytes[SHARED_SIZE - 1]);
    say(a, driver_binary_get_refc(s->shared) >= 1 ? "counted" : "not counted");
}

static void say_refc(struct answer *a, const char *when, ErlDrvBinary *b)
{
    say(a, "%s %ld", when, driver_binary_get_refc(b));
}

/* The count after each step that takes or drops a reference, but not of those that the owner's messages have. */
ACTION(do_queue_counts)
{
    struct self *s = self;
    ErlDrvBinary *b = s->shared;
    SysIOVec iov = {b->orig_bytes, SHARED_SIZE};
    ErlIOVec ev = {1, SHARED_SIZE, &iov, &b};
    say_refc(a, "own", b);
    driver_enq_bin(s->port, b, 0, 10);
    say_refc(a, "enq_bin", b);
    driver_pushq_bin(s->port, b, 20, 10);
    say_refc(a, "pushq_bin", b);
    driver_enqv(s->port, &ev, 0);
    say_refc(a, "enqv", b);
    driver_pushqv(s->port, &ev, 0);
    say_refc(a, "pushqv", b);
    driver_enq(s->port, b->orig_bytes, 10);
    say_refc(a, "enq", b);
    driver_deq(s->port, SHARED_SIZE - 1);
    say_refc(a, "part", b);
    driver_deq(s->port, 1);
    say_refc(a, "deq", b);
    driver_deq(s->port, 5);
    say_refc(a, "half", b);
    driver_deq(s->port, 15);
    say_refc(a, "two", b);
    driver_deq(s->port, driver_sizeq(s->port));
    say_refc(a, "empty", b);
}

static ErlDrvBinary *left; /* one reference; of a port that may be gone, under the driver's lock */

/* For another port to look at when this one is gone, and with it its queue. */
ACTION(do_leave_in_queue)
{
    struct self *s = self;
    left = s->shared;
    driver_binary_inc_refc(left);
    say(a, "%d", driver_enq_bin(s->port, left, 0, SHARED_SIZE));
    say_refc(a, "queued", left);
}

ACTION(do_left)
{
    say_refc(a, "left", left);
}

ACTION(do_drop_left)
{
    driver_free_binary(left);
    say(a, "ok");
}

static int is_as_it_was(const ErlDrvBinary *b)
{
    for (int i = 0; i < SHARED_SIZE; i++)
        if (b->orig_bytes[i] != 'b')
            return 0;
    return b->orig_size == SHARED_SIZE;
}

ACTION(do_unchanged)
{
    struct self *s = self;
    say(a, is_as_it_was(s->shared) ? "unchanged" : "changed");
}

/* All that can take a reference of it or read it, with its bytes the same after each. */
ACTION(do_output_every_way)
{
    struct self *s = self;
    SysIOVec iov[2] = {{NULL, 0}, {s->shared->orig_bytes, SHARED_SIZE}};
    ErlDrvBinary *binv[2] = {NULL, s->shared};
    ErlIOVec ev = {2, SHARED_SIZE, iov, binv};
    say(a, "%d", driver_output(s->port, s->shared->orig_bytes, SHARED_SIZE));
    say(a, "%d", driver_output2(s->port, "HD", 2, s->shared->orig_bytes, SHARED_SIZE));
    say(a, "%d", driver_output_binary(s->port, "HD", 2, s->shared, 0, SHARED_SIZE));
    say(a, "%d", driver_output_binary(s->port, NULL, 0, s->shared, 10, 100));
    say(a, "%d", driver_outputv(s->port, "HD", 2, &ev, 0));
    say(a, "%d", send_binary(s, SHARED_SIZE));
    say(a, is_as_it_was(s->shared) ? "unchanged" : "changed");
}

/* A driver's receive buffer: used again when nobody else refers to it, a new one otherwise. "C": filled with that byte. */
ACTION(do_receive)
{
    struct self *s = self;
    if (!s->buffer || driver_binary_get_refc(s->buffer) > 1) {
        driver_free_binary(s->buffer);
        s->buffer = driver_alloc_binary(SHARED_SIZE);
    }
    memset(s->buffer->orig_bytes, arg[0], SHARED_SIZE);
    say(a, "%d", driver_output_binary(s->port, NULL, 0, s->buffer, 0, SHARED_SIZE));
}

static const struct action actions[] = {
    {"queue_counts", do_queue_counts}, {"leave_in_queue", do_leave_in_queue}, {"left", do_left},
    {"drop_left", do_drop_left}, {"unchanged", do_unchanged},
    {"output_every_way", do_output_every_way}, {"receive", do_receive},
    {"counts", do_counts},           {"realloc", do_realloc},           {"empty", do_empty},
    {"aligned", do_aligned},         {"memory", do_memory},             {"output_small", do_output_small},
    {"output_large", do_output_large}, {"term_small", do_term_small},   {"term_large", do_term_large},
    {"term_beyond", do_term_beyond}, {"still_good", do_still_good},     {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .control = control,
    .driver_name = "binary_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(binary_probe_drv)
{
    return &entry;
}
