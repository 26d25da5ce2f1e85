/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: the output family, port flags, and what the output callback gets. Called by the run-time system only. */
#include "probe.h"

struct self {
    ErlDrvPort port;
    int words_in_stop;
};

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    if (!s)
        return ERL_DRV_ERROR_GENERAL;
    *s = (struct self){.port = port};
    if (strstr(command, " early")) {
        trace("start flags %d", get_port_flags(port));
        trace("start output %d", driver_output(port, "early\nbird", 10));
    }
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    if (s->words_in_stop)
        trace("stop output %d", driver_output(s->port, "last words", 10));
    driver_free(s);
}

static void output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    struct self *s = (struct self *)d;
    trace("output %zu \"%.*s\"", len, (int)(len < 60 ? len : 60), buf);
    driver_output(s->port, buf, len);
}

ACTION(do_output)
{
    struct self *s = self;
    say(a, "%d", driver_output(s->port, arg, len));
}

ACTION(do_output_null)
{
    struct self *s = self;
    say(a, "%d", driver_output(s->port, NULL, 0));
}

ACTION(do_output2)
{
    struct self *s = self;
    say(a, "%d", driver_output2(s->port, "HD", 2, arg, len));
}

ACTION(do_output2_null)
{
    struct self *s = self;
    say(a, "%d", driver_output2(s->port, "HD", 2, NULL, 0));
}

static void give_binary(struct self *s, ErlDrvSizeT hlen, char *data, size_t len, size_t skip, struct answer *a)
{
    ErlDrvBinary *b = bin_of(data, len);
    if (!b)
        return say(a, "no memory");
    say(a, "%d", driver_output_binary(s->port, hlen ? "HD" : NULL, hlen, b, (ErlDrvSizeT)skip, len - 2 * skip));
    driver_free_binary(b);
}

ACTION(do_binary)
{
    give_binary(self, 0, arg, len, 0, a);
}

ACTION(do_binary_hd)
{
    give_binary(self, 2, arg, len, 0, a);
}

/* Without its first and its last byte. */
ACTION(do_binary_slice)
{
    give_binary(self, 0, arg, len, 1, a);
}

static void give_vector(struct self *s, ErlDrvSizeT hlen, char *arg, size_t len, size_t skip, struct answer *a)
{
    struct vec v;
    vec_of(&v, arg, len);
    say(a, "%d", driver_outputv(s->port, hlen ? "HD" : NULL, hlen, &v.ev, skip));
    vec_free(&v);
}

ACTION(do_vector)
{
    give_vector(self, 0, arg, len, 0, a);
}

ACTION(do_vector_hd)
{
    give_vector(self, 2, arg, len, 0, a);
}

/* "N elements": the first N bytes are skipped. */
ACTION(do_vector_skip)
{
    char *rest;
    size_t skip = strtoul(arg, &rest, 10);
    rest++;
    give_vector(self, 0, rest, len - (size_t)(rest - arg), skip, a);
}

ACTION(do_vector_hd_skip)
{
    char *rest;
    size_t skip = strtoul(arg, &rest, 10);
    rest++;
    give_vector(self, 2, rest, len - (size_t)(rest - arg), skip, a);
}

/* "N elements": at most N bytes of the vector are copied out. */
ACTION(do_vec_to_buf)
{
    char *rest, out[256];
    struct vec v;
    size_t room = strtoul(arg, &rest, 10);
    rest++;
    vec_of(&v, rest, len - (size_t)(rest - arg));
    ErlDrvSizeT n = driver_vec_to_buf(&v.ev, out, room < sizeof out ? room : sizeof out);
    say(a, "%zu", n);
    say(a, "%.*s", (int)(n <= sizeof out ? n : 0), out);
    vec_free(&v);
}

ACTION(do_flags)
{
    struct self *s = self;
    say(a, "%d", get_port_flags(s->port));
}

ACTION(do_eof)
{
    struct self *s = self;
    say(a, "%d", driver_failure_eof(s->port));
}

ACTION(do_words_in_stop)
{
    struct self *s = self;
    s->words_in_stop = 1;
    say(a, "ok");
}

static const struct action actions[] = {
    {"output", do_output},           {"output_null", do_output_null},
    {"output2", do_output2},         {"output2_null", do_output2_null},
    {"binary", do_binary},           {"binary_hd", do_binary_hd},
    {"binary_slice", do_binary_slice}, {"vector", do_vector},
    {"vector_hd", do_vector_hd},     {"vector_skip", do_vector_skip},
    {"vector_hd_skip", do_vector_hd_skip}, {"vec_to_buf", do_vec_to_buf},
    {"flags", do_flags},             {"eof", do_eof},
    {"words_in_stop", do_words_in_stop}, {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .output = output,
    .control = control,
    .driver_name = "output_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(output_probe_drv)
{
    return &entry;
}
