/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: every form in which control and call can give a result. The operation number says which. Called by the run-time
 * system only. */
#include "probe.h"

enum control_op {
    C_SAME,         /* the data, in the given buffer */
    C_REPLACED,     /* the data, in memory of our own */
    C_NULL,         /* no buffer, and a length all the same */
    C_NEGATIVE,
    C_ZERO,
    C_PART,         /* a replaced buffer of which the first two bytes count */
    C_BINARY_MODE,  /* data "1" or "0" */
    C_DRV_BINARY,   /* in binary mode: a driver binary */
    C_WRONG_LENGTH, /* in binary mode: a driver binary, and another length */
    C_KEPT_BINARY,  /* in binary mode: a driver binary that we keep a reference to; says the count of the one before */
    C_RLEN,         /* the size of the given buffer, as text */
    C_NULL_BINARY,  /* sets binary mode and gives no buffer */
    C_OUTPUT_FIRST, /* a message to the owner, then the data */
    C_KILL,         /* ends the port with an exit atom, then the data */
    C_HEAVY,
};

enum call_op {
    L_SAME,
    L_REPLACED,
    L_KEEP_BUFFER,
    L_ZERO,
    L_NEGATIVE,
    L_NO_VERSION,
    L_TRUNCATED,
    L_TRAILING,
    L_COMPRESSED,
    L_NEW_ATOM,
    L_FLAGS,      /* the flags as preset */
    L_FIRST_BYTE, /* the first byte of the data and the number of bytes */
    L_KILL,
    L_INSIDE, /* what is in the binary that the data is */
};

struct self {
    ErlDrvPort port;
    ErlDrvBinary *kept;
    char *call_buffer; /* kept beyond the call by L_KEEP_BUFFER; freed by stop */
};

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    *s = (struct self){.port = port};
    return (ErlDrvData)s;
}

/* L_KILL and C_KILL end here while the callback still runs; they do not look at the struct afterwards. */
static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    if (s->kept)
        trace("stop kept refc %ld", driver_binary_get_refc(s->kept));
    driver_free_binary(s->kept);
    if (s->call_buffer)
        trace("stop call buffer %d", (unsigned char)s->call_buffer[0]);
    driver_free(s->call_buffer);
    driver_free(s);
}

static ErlDrvSSizeT replaced(const char *buf, size_t len, char **rbuf)
{
    *rbuf = driver_alloc(len);
    memcpy(*rbuf, buf, len);
    return (ErlDrvSSizeT)len;
}

static ErlDrvSSizeT same(const char *buf, size_t len, char **rbuf, size_t rlen)
{
    if (len > rlen)
        return replaced(buf, len, rbuf);
    memcpy(*rbuf, buf, len);
    return (ErlDrvSSizeT)len;
}

static ErlDrvSSizeT keep_binary(struct self *s, const char *buf, size_t len, char **rbuf)
{
    driver_free_binary(s->kept);
    s->kept = bin_of(buf, len);
    driver_binary_inc_refc(s->kept);
    *rbuf = (char *)s->kept;
    return 0;
}

static ErlDrvSSizeT control_binary(struct self *s, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf)
{
    switch ((enum control_op)op) {
    case C_DRV_BINARY:
        *rbuf = (char *)bin_of(buf, len);
        return (ErlDrvSSizeT)len;
    case C_WRONG_LENGTH:
        *rbuf = (char *)bin_of(buf, len);
        return 1;
    case C_KEPT_BINARY:
        return keep_binary(s, buf, len, rbuf);
    case C_NULL_BINARY:
        set_port_control_flags(s->port, PORT_CONTROL_FLAG_BINARY);
        *rbuf = NULL;
        return 3;
    default:
        return -1;
    }
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    struct self *s = (struct self *)d;
    switch ((enum control_op)op) {
    case C_SAME:
        return same(buf, len, rbuf, rlen);
    case C_REPLACED:
        return replaced(buf, len, rbuf);
    case C_NULL:
        *rbuf = NULL;
        return 5;
    case C_NEGATIVE:
        return -1;
    case C_ZERO:
        return 0;
    case C_PART:
        replaced(buf, len, rbuf);
        return 2;
    case C_BINARY_MODE:
        set_port_control_flags(s->port, len && *buf == '1' ? PORT_CONTROL_FLAG_BINARY : 0);
        return same(buf, len, rbuf, rlen);
    case C_RLEN:
        return snprintf(*rbuf, rlen, "%zu", rlen);
    case C_OUTPUT_FIRST:
        driver_output(s->port, "before the result", 17);
        return same(buf, len, rbuf, rlen);
    case C_KILL:
        driver_failure_atom(s->port, "killed_in_control");
        return same(buf, len, rbuf, rlen);
    case C_HEAVY:
        set_port_control_flags(s->port, PORT_CONTROL_FLAG_HEAVY);
        return same(buf, len, rbuf, rlen);
    default:
        return op == 0xffffffffU ? same("largest", 7, rbuf, rlen) : control_binary(s, op, buf, len, rbuf);
    }
}

/* Results that do not depend on the data; NULL for the others. */
static const char *fixed_result(unsigned int op, ErlDrvSSizeT *len)
{
    static const char no_version[] = {97, 7}, truncated[] = {(char)131, 98, 0, 0}, trailing[] = {(char)131, 97, 7, 1, 2, 3};
    static const char compressed[] = {(char)131, 80, 0, 0, 0, (char)206, 120, (char)156, (char)203, 97, 96, 96, 48, 74, 97, 96, 76, 28,
                                     14, 56, 11, 0, (char)214, 111, 39, (char)181};
    static const char new_atom[] = "\203w\033result_probe_novel_atom_xyz";
    switch ((enum call_op)op) {
    case L_NO_VERSION:
        *len = sizeof no_version;
        return no_version;
    case L_TRUNCATED:
        *len = sizeof truncated;
        return truncated;
    case L_TRAILING:
        *len = sizeof trailing;
        return trailing;
    case L_COMPRESSED:
        *len = sizeof compressed;
        return compressed;
    case L_NEW_ATOM:
        *len = 3 + 27;
        return new_atom;
    default:
        return NULL;
    }
}

static ErlDrvSSizeT small_int(char **rbuf, unsigned int n)
{
    const char term[] = {(char)131, 97, (char)n};
    memcpy(*rbuf, term, sizeof term);
    return sizeof term;
}

static ErlDrvSSizeT keep_call_buffer(struct self *s, const char *buf, ErlDrvSizeT len, char **rbuf, unsigned int *flags)
{
    driver_free(s->call_buffer);
    replaced(buf, len, &s->call_buffer);
    *rbuf = s->call_buffer;
    *flags |= DRIVER_CALL_KEEP_BUFFER;
    return (ErlDrvSSizeT)len;
}

#define BINARY_HEAD 6 /* version, tag and size */

static ErlDrvSSizeT call(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen,
                         unsigned int *flags)
{
    struct self *s = (struct self *)d;
    ErlDrvSSizeT n;
    const char *fixed = fixed_result(op, &n);
    if (fixed)
        return same(fixed, (size_t)n, rbuf, rlen);
    switch ((enum call_op)op) {
    case L_SAME:
        return same(buf, len, rbuf, rlen);
    case L_REPLACED:
        return replaced(buf, len, rbuf);
    case L_KEEP_BUFFER:
        return keep_call_buffer(s, buf, len, rbuf, flags);
    case L_ZERO:
        return 0;
    case L_FLAGS:
        return small_int(rbuf, *flags);
    case L_FIRST_BYTE:
        trace("call data %d %zu", (unsigned char)buf[0], len);
        return small_int(rbuf, 0);
    case L_KILL:
        driver_failure_atom(s->port, "killed_in_call");
        return same(buf, len, rbuf, rlen);
    case L_INSIDE:
        return same(buf + BINARY_HEAD, len - BINARY_HEAD, rbuf, rlen);
    default:
        return -1;
    }
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .control = control,
    .call = call,
    .driver_name = "result_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(result_probe_drv)
{
    return &entry;
}
