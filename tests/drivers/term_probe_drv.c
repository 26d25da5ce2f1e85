/* SPDX-License-Identifier: Apache-2.0 */
/* Test driver: sends the term of a specification (term_spec.h) that comes as the data of control.
 * The control number picks the function and the receiver:
 *
 *   0 erl_drv_output_term   1 erl_drv_send_term to the caller   2 driver_output_term   3 driver_send_term to the caller
 *   4 erl_drv_send_term to the process that called with 5 before (which sends nothing)
 *   6 erl_drv_output_term in a thread of the driver's       7 erl_drv_send_term to the caller, likewise
 *
 * control returns <<Result:32/signed, References:32>>: what the function returned, and how many references to the
 * specification's binaries exist beside the driver's own. Bytes that are no specification: control fails. */
#include <erl_driver.h>
#include <stdio.h>

#include "term_spec.h"

static ErlDrvTermData remembered;

static ErlDrvSInt binary_refc(ErlDrvBinary *b)
{
    return driver_binary_get_refc(b);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    set_port_control_flags(port, PORT_CONTROL_FLAG_BINARY);
    return (ErlDrvData)port;
}

/* The deprecated functions are part of the interface, hence of the test. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static int send_spec(ErlDrvPort port, unsigned op, const struct ts_env *env, struct term_spec *s)
{
    switch (op) {
    case 0: return erl_drv_output_term(env->port, s->words, s->n);
    case 1: return erl_drv_send_term(env->port, env->caller, s->words, s->n);
    case 2: return driver_output_term(port, s->words, s->n);
    case 3: return driver_send_term(port, env->caller, s->words, s->n);
    default: return erl_drv_send_term(env->port, remembered, s->words, s->n);
    }
}

struct task {
    ErlDrvPort port;
    unsigned op;
    const struct ts_env *env;
    struct term_spec *spec;
    int result;
};

static void *thread_send(void *arg)
{
    struct task *t = arg;
    t->result = send_spec(t->port, t->op, t->env, t->spec);
    return NULL;
}

static int send_in_thread(ErlDrvPort port, unsigned op, const struct ts_env *env, struct term_spec *s)
{
    struct task t = {port, op, env, s, -2};
    ErlDrvTid tid;
    if (erl_drv_thread_create("sender", &tid, thread_send, &t, NULL) == 0)
        erl_drv_thread_join(tid, NULL);
    return t.result;
}

static int run_op(ErlDrvPort port, unsigned op, const struct ts_env *env, struct term_spec *s)
{
    if (op == 5) {
        remembered = env->caller;
        return 0;
    }
    return op < 6 ? send_spec(port, op, env, s) : send_in_thread(port, op - 6, env, s);
}

static void put32(char *to, long v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (char)(v >> (24 - 8 * i) & 0xff);
}

static ErlDrvSSizeT control(ErlDrvData data, unsigned op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    ErlDrvPort port = (ErlDrvPort)data;
    struct ts_env env = {driver_mk_atom,        driver_alloc_binary, driver_free_binary,
                         driver_mk_port(port), driver_caller(port), driver_connected(port)};
    struct term_spec s;
    ErlDrvBinary *answer;
    (void)rlen;

    if (op > 7 || ts_read(&s, &env, (unsigned char *)buf, len) < 0)
        return -1;
    answer = driver_alloc_binary(8);
    if (answer) {
        put32(answer->orig_bytes, run_op(port, op, &env, &s));
        put32(answer->orig_bytes + 4, ts_extra_refs(&s, binary_refc));
    }
    ts_free(&s, &env);
    *rbuf = (char *)answer;
    return answer ? 8 : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .driver_name = "term_probe_drv",
    .control = control,
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
};

DRIVER_INIT(term_probe_drv);
DRIVER_INIT(term_probe_drv)
{
    return &entry;
}
