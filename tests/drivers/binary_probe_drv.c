/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: driver binaries, their sizes and counts, and driver memory. Called by the run-time system only. */
#include "probe.h"

enum { SHARED_SIZE = 200 };

struct self {
    ErlDrvPort port;
    ErlDrvBinary *shared; /* one reference of ours */
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

static const struct action actions[] = {
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
