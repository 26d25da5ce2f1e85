/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: the vector that outputv gets, and sending it back. Called by the run-time system only. */
#include "probe.h"

enum mode { QUIET, ECHO, ECHO_HEADER, ECHO_SKIP1, KEEP };

struct self {
    ErlDrvPort port;
    enum mode mode;
    ErlDrvBinary *kept;
    char *kept_at;
    size_t kept_len;
};

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    if (!s)
        return ERL_DRV_ERROR_GENERAL;
    *s = (struct self){.port = port, .mode = QUIET};
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    driver_free_binary(s->kept);
    driver_free(s);
}

/* Lengths, and "-" for an element without a binary. Which elements share a binary is the run-time system's own affair. */
static void trace_vector(const ErlIOVec *ev)
{
    char text[512];
    size_t n = 0;
    for (int i = 0; i < ev->vsize && n < sizeof text - 32; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, " %zu%s", ev->iov[i].iov_len, ev->binv[i] ? "" : "-");
    trace("outputv %d %zu:%s", ev->vsize, ev->size, text);
}

/* Keeps the last element that has a binary beyond the callback. */
static void keep(struct self *s, ErlIOVec *ev)
{
    for (int i = 0; i < ev->vsize; i++) {
        if (!ev->binv[i])
            continue;
        driver_binary_inc_refc(ev->binv[i]);
        driver_free_binary(s->kept);
        s->kept = ev->binv[i];
        s->kept_at = ev->iov[i].iov_base;
        s->kept_len = ev->iov[i].iov_len;
    }
}

static void outputv(ErlDrvData d, ErlIOVec *ev)
{
    struct self *s = (struct self *)d;
    trace_vector(ev);
    switch (s->mode) {
    case ECHO:
        trace("echo %d", driver_outputv(s->port, NULL, 0, ev, 0));
        break;
    case ECHO_HEADER:
        trace("echo %d", driver_outputv(s->port, "HD", 2, ev, 0));
        break;
    case ECHO_SKIP1:
        trace("echo %d", driver_outputv(s->port, NULL, 0, ev, 1));
        break;
    case KEEP:
        keep(s, ev);
        break;
    case QUIET:
        break;
    }
}

static void output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    (void)d;
    trace("output instead of outputv %zu %.*s", len, (int)len, buf);
}

ACTION(do_mode)
{
    struct self *s = self;
    s->mode = (enum mode)atoi(arg);
    say(a, "%d", (int)s->mode);
}

ACTION(do_kept)
{
    struct self *s = self;
    say(a, "%.*s", (int)s->kept_len, s->kept_at);
    say(a, "within %d", s->kept_at >= s->kept->orig_bytes && s->kept_at + s->kept_len <= s->kept->orig_bytes + s->kept->orig_size);
}

static const struct action actions[] = {{"mode", do_mode}, {"kept", do_kept}, {NULL, NULL}};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .output = output,
    .outputv = outputv,
    .control = control,
    .driver_name = "vector_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(vector_probe_drv)
{
    return &entry;
}
