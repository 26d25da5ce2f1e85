/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks the rules about memory and binaries, one for each action (probe.h), for the test of the checking mode, without which most of this is undefined. */
#include <pthread.h>
#include <stdbool.h>

#include "probe.h"

struct offender {
    ErlDrvPort port;
    ErlDrvBinary *taken; /* of a vector, without a reference */
    enum { OUTPUTV_TAKE, OUTPUTV_FREE, OUTPUTV_VECTOR, OUTPUTV_DATA } outputv;
};

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct offender *o = driver_alloc(sizeof *o);
    (void)command;
    *o = (struct offender){.port = port};
    return (ErlDrvData)o;
}

static void stop(ErlDrvData d)
{
    driver_free((void *)d);
}

/* The compiler knows malloc and free by other names, and cannot know what these do. */
static void *volatile block;
static ErlDrvBinary *volatile binary;

ACTION(none)
{
    say(a, "ok");
}

ACTION(double_free)
{
    block = driver_alloc(12);
    driver_free(block);
    driver_free(block);
}

ACTION(double_free_binary)
{
    binary = driver_alloc_binary(12);
    driver_free_binary(binary);
    driver_free_binary(binary);
}

ACTION(realloc_freed)
{
    block = driver_alloc(12);
    driver_free(block);
    say(a, "%d", driver_realloc(block, 24) == NULL);
}

/* Two threads do the same to the same block or binary at the same time. */
#define AT_ONCE 300

static pthread_barrier_t ready;

static void *free_block(void *unused)
{
    (void)unused;
    for (int i = 0; i < AT_ONCE; i++) {
        pthread_barrier_wait(&ready);
        driver_free(block);
        pthread_barrier_wait(&ready);
    }
    return NULL;
}

static void *realloc_block(void *unused)
{
    (void)unused;
    for (int i = 0; i < AT_ONCE; i++) {
        pthread_barrier_wait(&ready);
        driver_free(driver_realloc(block, 24));
        pthread_barrier_wait(&ready);
    }
    return NULL;
}

static void *realloc_binary(void *unused)
{
    (void)unused;
    for (int i = 0; i < AT_ONCE; i++) {
        pthread_barrier_wait(&ready);
        ErlDrvBinary *b = driver_realloc_binary(binary, 24);
        if (b)
            driver_free_binary(b);
        pthread_barrier_wait(&ready);
    }
    return NULL;
}

static void at_once(void *(*fn)(void *))
{
    ErlDrvTid tid[2];
    pthread_barrier_init(&ready, NULL, 3);
    for (int i = 0; i < 2; i++)
        erl_drv_thread_create((char *)"offender", &tid[i], fn, NULL, NULL);
    for (int i = 0; i < AT_ONCE; i++) {
        block = driver_alloc(12);
        binary = driver_alloc_binary(12);
        pthread_barrier_wait(&ready);
        pthread_barrier_wait(&ready);
        if (fn != realloc_binary)
            driver_free_binary(binary);
        else
            driver_free(block);
    }
    for (int i = 0; i < 2; i++)
        erl_drv_thread_join(tid[i], NULL);
    pthread_barrier_destroy(&ready);
}

ACTION(free_at_once)
{
    at_once(free_block);
}

ACTION(realloc_at_once)
{
    at_once(realloc_block);
}

ACTION(realloc_binary_at_once)
{
    at_once(realloc_binary);
}

/* As many as are kept: the oldest of them is really given back. */
ACTION(free_many)
{
    for (int i = 0; i < 11000; i++)
        driver_free(driver_alloc(12));
}

ACTION(unknown_free)
{
    static int mine;
    block = &mine;
    driver_free(block);
}

ACTION(unknown_realloc)
{
    static int mine;
    block = &mine;
    say(a, "%d", driver_realloc(block, 24) == NULL);
}

ACTION(unknown_free_binary)
{
    static struct {
        long before[8];
        ErlDrvBinary b;
    } mine;
    binary = &mine.b;
    driver_free_binary(binary);
}

ACTION(wrong_free)
{
    binary = driver_alloc_binary(12);
    driver_free(binary);
    driver_free_binary(binary);
}

ACTION(wrong_free_binary)
{
    block = driver_alloc(12);
    driver_free_binary(block);
    driver_free(block);
}

ACTION(overrun)
{
    block = driver_alloc(12);
    ((char *)block)[12] = 1;
    driver_free(block);
}

ACTION(underrun)
{
    block = driver_alloc(12);
    ((char *)block)[-3] = 1;
    driver_free(block);
}

/* Not freed in the callback: noticed at its end. */
ACTION(overrun_kept)
{
    block = driver_alloc(5000);
    ((char *)block)[5003] = 1;
}

ACTION(free_kept)
{
    driver_free(block);
}

ACTION(overrun_binary)
{
    binary = driver_alloc_binary(12);
    binary->orig_bytes[12] = 1;
    driver_free_binary(binary);
}

ACTION(underrun_binary)
{
    binary = driver_alloc_binary(12);
    memset(binary->orig_bytes - 8, 0x7f, 8);
    driver_free_binary(binary);
}

ACTION(write_freed)
{
    block = driver_alloc(12);
    driver_free(block);
    ((char *)block)[5] = 1;
}

ACTION(write_freed_binary)
{
    binary = driver_alloc_binary(100);
    driver_free_binary(binary);
    binary->orig_bytes[50] = 1;
}

ACTION(leak)
{
    block = driver_alloc(4321);
}

ACTION(leak_many)
{
    for (int i = 0; i < 100000; i++)
        block = driver_alloc(1);
}

ACTION(leak_binary)
{
    binary = driver_alloc_binary(1234);
}

static ErlDrvBinary *freed_binary(void)
{
    binary = driver_alloc_binary(12);
    driver_free_binary(binary);
    return binary;
}

ACTION(output_freed_binary)
{
    struct offender *o = self;
    say(a, "%d", driver_output_binary(o->port, NULL, 0, freed_binary(), 0, 12));
}

ACTION(enq_freed_binary)
{
    struct offender *o = self;
    say(a, "%d", driver_enq_bin(o->port, freed_binary(), 0, 12));
}

ACTION(inc_freed_binary)
{
    driver_binary_inc_refc(freed_binary());
}

ACTION(send_freed_binary)
{
    struct offender *o = self;
    ErlDrvTermData spec[] = {ERL_DRV_BINARY, (ErlDrvTermData)freed_binary(), 12, 0};
    say(a, "%d", erl_drv_output_term(driver_mk_port(o->port), spec, 4));
}

ACTION(output_unknown_binary)
{
    struct offender *o = self;
    static long mine[8] = {0, 0, 0, 0, 12};
    say(a, "%d", driver_output_binary(o->port, NULL, 0, (ErlDrvBinary *)&mine[4], 0, 12));
}

ACTION(refcount_below)
{
    binary = driver_alloc_binary(12);
    driver_binary_inc_refc(binary);
    struct offender *o = self;
    driver_enq_bin(o->port, binary, 0, 12); /* the queue keeps it alive */
    driver_binary_dec_refc(binary);
    driver_binary_dec_refc(binary);
    driver_binary_dec_refc(binary); /* the queue's */
    driver_deq(o->port, 12);
}

ACTION(refcount_zero)
{
    binary = driver_alloc_binary(12);
    driver_binary_dec_refc(binary);
    driver_free_binary(binary);
}

ACTION(realloc_shared)
{
    struct offender *o = self;
    binary = driver_alloc_binary(12);
    driver_enq_bin(o->port, binary, 0, 12);
    say(a, "%d", driver_realloc_binary(binary, 24) == NULL);
    driver_deq(o->port, 12);
    driver_free_binary(binary);
}

ACTION(range)
{
    struct offender *o = self;
    binary = driver_alloc_binary(12);
    say(a, "%d", driver_output_binary(o->port, NULL, 0, binary, 10, 3));
    driver_free_binary(binary);
}

ACTION(change_sent)
{
    struct offender *o = self;
    binary = driver_alloc_binary(100);
    memset(binary->orig_bytes, 1, 100);
    driver_enq_bin(o->port, binary, 0, 100); /* the host has a reference, though the message may be gone already: until empty_queue */
    driver_output_binary(o->port, NULL, 0, binary, 20, 70);
    binary->orig_bytes[19] = 2; /* not what was sent */
    binary->orig_bytes[89] = 2;
    driver_free_binary(binary);
}

/* Not what was sent last; by output or, terms, by erl_drv_output_term. */
static void change_first_sent(struct offender *o, bool terms)
{
    binary = driver_alloc_binary(300);
    memset(binary->orig_bytes, 1, 300);
    driver_enq_bin(o->port, binary, 0, 100);
    ErlDrvTermData spec[] = {ERL_DRV_BINARY, (ErlDrvTermData)binary, 70, 20};
    if (terms)
        erl_drv_output_term(driver_mk_port(o->port), spec, 4);
    else
        driver_output_binary(o->port, NULL, 0, binary, 20, 70);
    driver_output_binary(o->port, NULL, 0, binary, 200, 100);
    binary->orig_bytes[89] = 2;
    driver_free_binary(binary);
}

ACTION(change_sent_before)
{
    change_first_sent(self, false);
}

ACTION(change_sent_term)
{
    change_first_sent(self, true);
}

ACTION(empty_queue)
{
    driver_deq(((struct offender *)self)->port, 100);
}

/* A vector of one element: these bytes, said to be of that binary. */
struct vector {
    ErlIOVec v;
    SysIOVec iov;
    ErlDrvBinary *binv;
};

static ErlIOVec *vector_of(struct vector *v, char *at, size_t len, ErlDrvBinary *b)
{
    v->iov = (SysIOVec){.iov_base = at, .iov_len = len};
    v->binv = b;
    v->v = (ErlIOVec){.vsize = 1, .size = len, .iov = &v->iov, .binv = &v->binv};
    return &v->v;
}

static char elsewhere[100];

ACTION(output_outside_binary)
{
    struct vector v;
    binary = driver_alloc_binary(100);
    say(a, "%d", driver_outputv(((struct offender *)self)->port, NULL, 0, vector_of(&v, elsewhere, 100, binary), 0));
    driver_free_binary(binary);
}

/* What was there before it was shortened is still there, and nothing has no place. */
ACTION(enq_outside_binary)
{
    struct offender *o = self;
    struct vector v;
    binary = driver_alloc_binary(100);
    binary->orig_size = 50;
    say(a, "%d", driver_enqv(o->port, vector_of(&v, binary->orig_bytes, 100, binary), 0));
    say(a, "%d", driver_enqv(o->port, vector_of(&v, elsewhere, 0, binary), 0));
    driver_deq(o->port, 100);
    say(a, "%d", driver_enqv(o->port, vector_of(&v, binary->orig_bytes + 1, 100, binary), 0));
    driver_free_binary(binary);
}

ACTION(enq_null_element)
{
    struct vector v;
    say(a, "%d", driver_pushqv(((struct offender *)self)->port, vector_of(&v, NULL, 3, NULL), 0));
}

ACTION(enq_too_large)
{
    struct vector v;
    ErlIOVec *ev = vector_of(&v, elsewhere, 100, NULL);
    ev->size = 101;
    say(a, "%d", driver_enqv(((struct offender *)self)->port, ev, 0));
}

ACTION(copy_freed_binary)
{
    struct vector v;
    char buf[12];
    ErlDrvBinary *b = freed_binary();
    say(a, "%d", (int)driver_vec_to_buf(vector_of(&v, b->orig_bytes, 12, b), buf, 12));
}

ACTION(null_output)
{
    struct offender *o = self;
    say(a, "%d", driver_output(o->port, NULL, 3));
}

ACTION(null_enq)
{
    struct offender *o = self;
    say(a, "%d", driver_enq(o->port, NULL, 3));
}

ACTION(system_info)
{
    driver_system_info(NULL, 3);
}

ACTION(bad_term)
{
    struct offender *o = self;
    ErlDrvTermData spec[] = {ERL_DRV_TUPLE, 2};
    say(a, "%d", erl_drv_output_term(driver_mk_port(o->port), spec, 2));
}

ACTION(vector_take)
{
    ((struct offender *)self)->outputv = OUTPUTV_TAKE;
}

ACTION(vector_free)
{
    ((struct offender *)self)->outputv = OUTPUTV_FREE;
}

ACTION(vector_change)
{
    ((struct offender *)self)->outputv = OUTPUTV_VECTOR;
}

ACTION(data_change)
{
    ((struct offender *)self)->outputv = OUTPUTV_DATA;
}

/* What outputv kept without a reference is gone. */
ACTION(use_taken)
{
    struct offender *o = self;
    say(a, "%d", driver_output_binary(o->port, NULL, 0, o->taken, 0, 1));
}

static void outputv(ErlDrvData d, ErlIOVec *ev)
{
    struct offender *o = (struct offender *)d;
    switch (o->outputv) {
    case OUTPUTV_TAKE:
        o->taken = ev->binv[1];
        break;
    case OUTPUTV_FREE:
        driver_free_binary(ev->binv[1]);
        break;
    case OUTPUTV_VECTOR:
        ev->binv[1] = NULL;
        break;
    case OUTPUTV_DATA:
        ev->iov[1].iov_base[0] ^= 1;
        break;
    }
}

#define IS(name) {#name, name}
static const struct action actions[] = {
    IS(none), IS(double_free), IS(double_free_binary), IS(realloc_freed), IS(free_at_once), IS(realloc_at_once),
    IS(realloc_binary_at_once), IS(free_many), IS(unknown_free), IS(unknown_realloc),
    IS(unknown_free_binary), IS(wrong_free), IS(wrong_free_binary), IS(overrun), IS(underrun), IS(overrun_kept),
    IS(free_kept), IS(overrun_binary), IS(underrun_binary), IS(write_freed), IS(write_freed_binary), IS(leak), IS(leak_many),
    IS(leak_binary), IS(output_freed_binary), IS(enq_freed_binary), IS(inc_freed_binary), IS(send_freed_binary), IS(output_unknown_binary),
    IS(refcount_below), IS(refcount_zero), IS(realloc_shared), IS(range), IS(change_sent), IS(change_sent_before), IS(change_sent_term), IS(empty_queue),
    IS(output_outside_binary), IS(enq_outside_binary), IS(enq_null_element), IS(enq_too_large), IS(copy_freed_binary), IS(null_output), IS(null_enq),
    IS(system_info), IS(bad_term), IS(vector_take), IS(vector_free), IS(vector_change), IS(data_change),
    IS(use_taken),
    {NULL, NULL},
};

/* Answers that are none: 1 a buffer of the driver's own, 2 more than the buffer given has, 3 more than its block has, 4 a block instead of a binary, 5 writes behind the
 * buffer given. */
static ErlDrvSSizeT answer_badly(struct offender *o, unsigned how, char **rbuf, ErlDrvSizeT rlen)
{
    static char own[100];
    switch (how) {
    case 1:
        *rbuf = own;
        return 100;
    case 2:
        return (ErlDrvSSizeT)rlen + 1;
    case 3:
        *rbuf = driver_alloc(100);
        block = *rbuf;
        return 101;
    case 4:
        set_port_control_flags(o->port, PORT_CONTROL_FLAG_BINARY);
        *rbuf = driver_alloc(100);
        block = *rbuf;
        return 100;
    default:
        ((volatile char *)*rbuf)[rlen + 2] = 1;
        return 1;
    }
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    struct offender *o = (struct offender *)d;
    set_port_control_flags(o->port, 0);
    return op == 0 ? act(actions, o, buf, len, rbuf, rlen) : answer_badly(o, op, rbuf, rlen);
}

/* 1: no term. Any other: answers in a buffer of the driver's own. */
static ErlDrvSSizeT call(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen, unsigned int *flags)
{
    static char own[100] = {(char)131, 97, 1};
    (void)d;
    (void)buf;
    (void)len;
    (void)rlen;
    (void)flags;
    if (op == 1) {
        **rbuf = 0;
        return 1;
    }
    *rbuf = own;
    return 3;
}

static ErlDrvEntry entry = {
    PROBE_VERSION,
    .driver_name = "offence_memory_drv",
    .start = start,
    .stop = stop,
    .control = control,
    .call = call,
    .outputv = outputv,
};

DRIVER_INIT(offence_memory_drv)
{
    return &entry;
}
