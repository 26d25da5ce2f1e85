/* SPDX-License-Identifier: Apache-2.0 */
/* echo_drv: the smallest useful driver. It owns nothing but one struct per port and is called only by the run-time system.
 *
 *   command       the data comes back to the owner; large binaries are passed on, not copied
 *   control 0     the data comes back as the result
 *   control 1     data [1]: control results are binaries from now on; [0] or []: they are lists
 *   call Op       {ok, Op, Term} with the term that was given
 */
#include <ei.h>
#include <erl_driver.h>
#include <string.h>

enum { OP_ECHO = 0, OP_BINARY_MODE = 1 };

/* Owned by the port: from start to stop. Under the port's lock, so no field needs one of its own. */
struct echo {
    ErlDrvPort port;
    int binary;
};

static ErlDrvData echo_start(ErlDrvPort port, char *command)
{
    struct echo *e = driver_alloc(sizeof *e);
    (void)command;
    if (!e)
        return ERL_DRV_ERROR_GENERAL;
    e->port = port;
    e->binary = 0;
    return (ErlDrvData)e;
}

static void echo_stop(ErlDrvData d)
{
    driver_free(d);
}

/* Only a run-time system that finds no outputv calls this: data comes as one flat copy, freed after the return. */
static void echo_output(ErlDrvData d, char *buf, ErlDrvSizeT len)
{
    struct echo *e = (struct echo *)d;
    driver_output(e->port, buf, len);
}

/* The vector's first element is empty, reserved for a header, and driver_outputv leaves it out of the message. The vector is
 * the run-time system's; driver_outputv takes its own references to the binaries in it. */
static void echo_outputv(ErlDrvData d, ErlIOVec *ev)
{
    struct echo *e = (struct echo *)d;
    driver_outputv(e->port, NULL, 0, ev, 0);
}

/* A result that fits goes into the given buffer. A larger one goes into memory that the run-time system frees: a driver binary
 * in binary mode, whose whole size is the result, else what driver_alloc gives. */
static ErlDrvSSizeT echo_result(const struct echo *e, const char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    if (len > rlen && e->binary) {
        ErlDrvBinary *bin = driver_alloc_binary(len);
        if (!bin)
            return -1;
        memcpy(bin->orig_bytes, buf, len);
        *rbuf = (char *)bin;
        return (ErlDrvSSizeT)len;
    }
    if (len > rlen && !(*rbuf = driver_alloc(len)))
        return -1;
    memcpy(*rbuf, buf, len);
    return (ErlDrvSSizeT)len;
}

static ErlDrvSSizeT echo_control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    struct echo *e = (struct echo *)d;
    switch (op) {
    case OP_ECHO:
        return echo_result(e, buf, len, rbuf, rlen);
    case OP_BINARY_MODE:
        e->binary = len > 0 && buf[0] != 0;
        set_port_control_flags(e->port, e->binary ? PORT_CONTROL_FLAG_BINARY : 0);
        return 0;
    default:
        return -1;
    }
}

/* The term comes as external format: a version byte, then what is copied behind {ok, Op, ... */
static ErlDrvSSizeT echo_call(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen,
                              unsigned int *flags)
{
    int start = 0, version, used = 0;
    char head[64];
    (void)d;
    (void)flags;
    if (ei_decode_version(buf, &start, &version) < 0 || ei_encode_version(head, &used) < 0
        || ei_encode_tuple_header(head, &used, 3) < 0 || ei_encode_atom(head, &used, "ok") < 0
        || ei_encode_ulong(head, &used, op) < 0)
        return -1;
    ErlDrvSizeT headlen = (ErlDrvSizeT)used, termlen = len - (ErlDrvSizeT)start;
    if (headlen + termlen > rlen && !(*rbuf = driver_alloc(headlen + termlen)))
        return -1;
    memcpy(*rbuf, head, headlen);
    memcpy(*rbuf + headlen, buf + start, termlen);
    return (ErlDrvSSizeT)(headlen + termlen);
}

static ErlDrvEntry entry = {
    .start = echo_start,
    .stop = echo_stop,
    .output = echo_output,
    .outputv = echo_outputv,
    .control = echo_control,
    .call = echo_call,
    .driver_name = "echo_drv",
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(echo_drv)
{
    return &entry;
}
