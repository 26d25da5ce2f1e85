/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: more than clients are used to. A command is "gush COUNT MS", which outputs so many times, each so many milliseconds; "huge MIB", one output of that
 * size; or "deep N", a term nested so deep. Called by the run-time system only. */
#include "probe.h"

struct self {
    ErlDrvPort port;
    unsigned count, ms;
};

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port};
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    driver_free(d);
}

static void timeout(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    for (unsigned i = 0; i < s->count; i++)
        driver_output(s->port, "0123456789", 10);
    driver_set_timer(s->port, s->ms);
}

static void huge(ErlDrvPort port, size_t mib)
{
    ErlDrvBinary *b = driver_alloc_binary((ErlDrvSizeT)(mib << 20));
    memset(b->orig_bytes, 'x', mib << 20);
    driver_output_binary(port, NULL, 0, b, 0, (ErlDrvSizeT)(mib << 20));
    driver_free_binary(b);
}

static void deep(ErlDrvPort port, int depth)
{
    ErlDrvTermData *spec = driver_alloc(sizeof *spec * (size_t)(2 * depth + 1));
    int n = 0;
    spec[n++] = ERL_DRV_NIL;
    while (n < 2 * depth) {
        spec[n++] = ERL_DRV_TUPLE;
        spec[n++] = 1;
    }
    erl_drv_output_term(driver_mk_port(port), spec, n);
    driver_free(spec);
}

static void output(ErlDrvData d, char *bytes, ErlDrvSizeT len)
{
    struct self *s = (struct self *)d;
    char text[64];
    unsigned number;
    snprintf(text, sizeof text, "%.*s", (int)len, bytes);
    if (sscanf(text, "gush %u %u", &s->count, &s->ms) == 2)
        driver_set_timer(s->port, s->ms);
    else if (sscanf(text, "huge %u", &number) == 1)
        huge(s->port, number);
    else if (sscanf(text, "deep %u", &number) == 1)
        deep(s->port, (int)number);
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .output = output,
    .timeout = timeout,
    .driver_name = "gush_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(gush_probe_drv)
{
    return &entry;
}
