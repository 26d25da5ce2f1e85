/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: driver threads, their locks and keys, and the port data lock. Which thread runs what is said at each function. */
#include "probe.h"
#include <sched.h>
#include <stdatomic.h>
#include <errno.h>

struct self {
    ErlDrvPort port;
    ErlDrvTermData port_term, owner;
    ErlDrvPDL pdl;
    ErlDrvTid sender; /* of send_from_thread, joined by stop */
    int sending;
    atomic_int counting; /* 1: thread_decs waits, 2: it goes on */
    long sum;            /* of the counts that it got */
};

static ErlDrvTermData old_port; /* the last port that stopped; under the driver's lock */
static ErlDrvPDL old_pdl;       /* a reference that outlives its port; dropped by "drop_pdl" */

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    if (!s)
        return ERL_DRV_ERROR_GENERAL;
    *s = (struct self){.port = port, .port_term = driver_mk_port(port), .owner = driver_connected(port)};
    if (strstr(command, " pdl")) {
        s->pdl = driver_pdl_create(port);
        trace("pdl %s refc %ld", s->pdl ? "created" : "NULL", driver_pdl_get_refc(s->pdl));
        trace("again %s", driver_pdl_create(port) ? "created" : "NULL");
    }
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("stop");
    old_port = s->port_term;
    if (s->sending)
        erl_drv_thread_join(s->sender, NULL);
    driver_free(s);
}

static void flush(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    driver_pdl_lock(s->pdl);
    trace("flush sizeq %zd", (ssize_t)driver_sizeq(s->port));
    driver_deq(s->port, driver_sizeq(s->port));
    driver_pdl_unlock(s->pdl);
}

static int send_words(ErlDrvTermData port, ErlDrvTermData to, char *word)
{
    ErlDrvTermData term[] = {ERL_DRV_ATOM, driver_mk_atom(word), ERL_DRV_PORT, port, ERL_DRV_TUPLE, 2};
    return erl_drv_send_term(port, to, term, 6);
}

/* In a thread of the driver's. */
static void *thread_terms(void *arg)
{
    struct self *s = arg;
    ErlDrvTermData term[] = {ERL_DRV_ATOM, driver_mk_atom("output_from_thread")};
    int sent = send_words(s->port_term, s->owner, "sent_from_thread");
    int output = erl_drv_output_term(s->port_term, term, 2);
    trace("thread send %d output %d", sent, output);
    trace("thread time %s", erl_drv_monotonic_time(ERL_DRV_SEC) == ERL_DRV_TIME_ERROR ? "error" : "ok");
    return arg;
}

ACTION(do_terms_from_thread)
{
    struct self *s = self;
    ErlDrvTid tid;
    void *result = NULL;
    int made = erl_drv_thread_create("probe", &tid, thread_terms, s, NULL);
    int joined = made ? made : erl_drv_thread_join(tid, &result);
    say(a, "%d %d %s", made, joined, result == s ? "result" : "no result");
}

/* In a thread of the driver's. */
static void *thread_dead_port(void *arg)
{
    ErlDrvTermData term[] = {ERL_DRV_NIL};
    (void)arg;
    trace("thread output to dead port %d", erl_drv_output_term(old_port, term, 1));
    return NULL;
}

/* By a port that comes after one that has stopped. */
ACTION(do_dead_port)
{
    ErlDrvTid tid;
    int made = erl_drv_thread_create("probe", &tid, thread_dead_port, NULL, NULL);
    say(a, "%d %d", made, erl_drv_thread_join(tid, NULL));
}

struct facts {
    ErlDrvTid parent, self;
    ErlDrvTSDKey key;
    char name[32];
    int equal, unset;
};

/* In a thread of the driver's. */
static void *thread_facts(void *arg)
{
    struct facts *f = arg;
    f->self = erl_drv_thread_self();
    f->equal = erl_drv_equal_tids(f->parent, f->self);
    snprintf(f->name, sizeof f->name, "%s", erl_drv_thread_name(f->self));
    f->unset = erl_drv_tsd_get(f->key) == NULL;
    erl_drv_tsd_set(f->key, f);
    erl_drv_thread_exit(erl_drv_tsd_get(f->key));
    return NULL;
}

ACTION(do_thread_facts)
{
    struct facts f = {.parent = erl_drv_thread_self()};
    ErlDrvTid tid;
    void *result = NULL;
    say(a, "key %d", erl_drv_tsd_key_create("key", &f.key));
    say(a, erl_drv_tsd_get(f.key) ? "set" : "unset");
    erl_drv_tsd_set(f.key, &tid);
    ErlDrvThreadOpts *opts = erl_drv_thread_opts_create("opts");
    say(a, "stack %d", opts->suggested_stack_size);
    int made = erl_drv_thread_create("worker", &tid, thread_facts, &f, opts);
    erl_drv_thread_opts_destroy(opts);
    say(a, "%d %d", made, erl_drv_thread_join(tid, &result));
    say(a, "%s equal %d unset %d %s", f.name, f.equal, f.unset, result == &f ? "exit value" : "another value");
    say(a, erl_drv_tsd_get(f.key) == &tid ? "own value" : "other value");
    say(a, erl_drv_equal_tids(f.parent, erl_drv_thread_self()) ? "self" : "not self");
    say(a, erl_drv_equal_tids(tid, f.self) ? "same id" : "other id");
    erl_drv_tsd_set(f.key, NULL);
    erl_drv_tsd_key_destroy(f.key);
}

ACTION(do_join_self)
{
    say(a, erl_drv_thread_join(erl_drv_thread_self(), NULL) == EINVAL ? "EINVAL" : "something else");
}

ACTION(do_locks)
{
    ErlDrvMutex *m = erl_drv_mutex_create("m"), *anonymous = erl_drv_mutex_create(NULL);
    ErlDrvRWLock *rw = erl_drv_rwlock_create("rw");
    ErlDrvCond *c = erl_drv_cond_create("c");
    say(a, "%s %s %s %s", erl_drv_mutex_name(m), erl_drv_mutex_name(anonymous), erl_drv_rwlock_name(rw), erl_drv_cond_name(c));
    say(a, "%s", erl_drv_mutex_name(NULL) || erl_drv_rwlock_name(NULL) || erl_drv_cond_name(NULL) ? "a name" : "no name");
    int first = erl_drv_mutex_trylock(m), second = erl_drv_mutex_trylock(m);
    say(a, "mutex %d %s", first, second == EBUSY ? "EBUSY" : "other");
    erl_drv_mutex_unlock(m);
    first = erl_drv_rwlock_tryrlock(rw);
    second = erl_drv_rwlock_tryrlock(rw);
    int third = erl_drv_rwlock_tryrwlock(rw);
    say(a, "rwlock %d %d %s", first, second, third == EBUSY ? "EBUSY" : "other");
    erl_drv_rwlock_runlock(rw);
    erl_drv_rwlock_runlock(rw);
    first = erl_drv_rwlock_tryrwlock(rw);
    second = erl_drv_rwlock_tryrlock(rw);
    say(a, "%d %s", first, second == EBUSY ? "EBUSY" : "other");
    erl_drv_rwlock_rwunlock(rw);
    erl_drv_mutex_destroy(m);
    erl_drv_mutex_destroy(anonymous);
    erl_drv_rwlock_destroy(rw);
    erl_drv_cond_destroy(c);
}

/* In a thread of the driver's: the queue under the port data lock. */
static void *thread_enq(void *arg)
{
    struct self *s = arg;
    driver_pdl_lock(s->pdl);
    int rc = driver_enq(s->port, "from a thread", 13);
    trace("thread enq %d sizeq %zd", rc, (ssize_t)driver_sizeq(s->port));
    driver_pdl_unlock(s->pdl);
    return NULL;
}

ACTION(do_enq_from_thread)
{
    struct self *s = self;
    ErlDrvTid tid;
    int made = erl_drv_thread_create("probe", &tid, thread_enq, s, NULL);
    int joined = erl_drv_thread_join(tid, NULL);
    driver_pdl_lock(s->pdl);
    say(a, "%d %d %zd", made, joined, (ssize_t)driver_sizeq(s->port));
    driver_pdl_unlock(s->pdl);
}

ACTION(do_pdl_refc)
{
    struct self *s = self;
    ErlDrvSInt before = driver_pdl_get_refc(s->pdl);
    say(a, "inc %ld", driver_pdl_inc_refc(s->pdl) - before);
    driver_pdl_lock(s->pdl);
    say(a, "locked %ld", driver_pdl_get_refc(s->pdl) - before);
    driver_pdl_unlock(s->pdl);
    say(a, "dec %ld", driver_pdl_dec_refc(s->pdl) - before);
}

#define SHARED_REFS 5000

static void *thread_decs(void *arg)
{
    struct self *s = arg;
    atomic_store(&s->counting, 1);
    while (atomic_load(&s->counting) == 1)
        sched_yield();
    for (int i = 0; i < SHARED_REFS; i++)
        s->sum += driver_pdl_dec_refc(s->pdl);
    return NULL;
}

/* Two threads drop references at the same time; no count is returned twice. */
ACTION(do_pdl_shared)
{
    struct self *s = self;
    ErlDrvTid tid;
    long sum = 0, base = driver_pdl_get_refc(s->pdl);
    for (int i = 0; i < 2 * SHARED_REFS; i++)
        driver_pdl_inc_refc(s->pdl);
    s->sum = 0;
    atomic_store(&s->counting, 0);
    erl_drv_thread_create("decs", &tid, thread_decs, s, NULL);
    while (!atomic_load(&s->counting))
        sched_yield();
    atomic_store(&s->counting, 2); /* both run now */
    for (int i = 0; i < SHARED_REFS; i++)
        sum += driver_pdl_dec_refc(s->pdl);
    erl_drv_thread_join(tid, NULL);
    for (int i = 0; i < 2 * SHARED_REFS; i++)
        sum -= base + i;
    say(a, sum + s->sum == 0 ? "each count once" : "some counts twice");
}

/* Holds a reference beyond the port's life. */
ACTION(do_keep_pdl)
{
    struct self *s = self;
    driver_pdl_inc_refc(s->pdl);
    old_pdl = s->pdl;
    say(a, "ok");
}

ACTION(do_drop_pdl)
{
    driver_pdl_lock(old_pdl);
    driver_pdl_unlock(old_pdl);
    say(a, "refc %ld", driver_pdl_get_refc(old_pdl));
    say(a, "dec %ld", driver_pdl_dec_refc(old_pdl));
    old_pdl = NULL;
}

/* In a thread of the driver's, after the callback that started it. */
static void *thread_later(void *arg)
{
    struct self *s = arg;
    usleep(20000);
    trace("later send %d", send_words(s->port_term, s->owner, "sent_later"));
    return NULL;
}

ACTION(do_send_later)
{
    struct self *s = self;
    int rc = erl_drv_thread_create("later", &s->sender, thread_later, s, NULL);
    s->sending = rc == 0;
    say(a, "%d", rc);
}

static const struct action actions[] = {
    {"terms_from_thread", do_terms_from_thread},
    {"dead_port", do_dead_port},
    {"thread_facts", do_thread_facts},
    {"join_self", do_join_self},
    {"locks", do_locks},
    {"enq_from_thread", do_enq_from_thread},
    {"pdl_refc", do_pdl_refc},
    {"pdl_shared", do_pdl_shared},
    {"keep_pdl", do_keep_pdl},
    {"drop_pdl", do_drop_pdl},
    {"send_later", do_send_later},
    {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .flush = flush,
    .control = control,
    .driver_name = "thread_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(thread_probe_drv)
{
    return &entry;
}
