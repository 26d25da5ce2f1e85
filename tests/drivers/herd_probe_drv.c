/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: many threads of a driver at once: they send terms, use the queue under the port data lock, and outlive their port. A lock for each port; which
 * thread runs what is said at each function. A herd belongs to one port, but is kept by the driver: it may outlive the port, and any port can join it. */
#define PROBE_FLAGS ERL_DRV_FLAG_USE_PORT_LOCKING
#include "probe.h"
#include <stdatomic.h>
#include <stdbool.h>

enum { MOST = 16, PIECE = 7 };

struct herd {
    ErlDrvPort port; /* not to be used without its PDL, nor outside a callback */
    ErlDrvTermData port_term, owner;
    ErlDrvPDL pdl; /* a reference of its own */
    int size, rounds;
    ErlDrvTid tid[MOST];
    atomic_int refused, done; /* rounds that were, and that were not */
    atomic_bool over;         /* the port has stopped */
    int filling;              /* threads that may put more into the queue; this and the next under the PDL */
    bool closing;
};

struct self {
    ErlDrvPort port;
    ErlDrvPDL pdl;
    struct herd *herd;
    size_t taken; /* bytes taken from the queue; under the PDL */
};

static ErlDrvMutex *mutex; /* of the list, from init to finish */
static struct herd *left;  /* by ports that have stopped; the last one only */

struct one {
    struct herd *herd;
    int number;
};

static int init(void)
{
    mutex = erl_drv_mutex_create("herd");
    return 0;
}

/* Waits for the threads; frees the herd. */
static void join(struct herd *h)
{
    for (int i = 0; i < h->size; i++)
        erl_drv_thread_join(h->tid[i], NULL);
    if (h->pdl)
        driver_pdl_dec_refc(h->pdl);
    driver_free(h);
}

/* A herd with a PDL is for join_left: it keeps the driver, so this is not called. */
static void finish(void)
{
    if (left)
        join(left);
    erl_drv_mutex_destroy(mutex);
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    *s = (struct self){.port = port, .pdl = strstr(command, " pdl") ? driver_pdl_create(port) : NULL};
    return (ErlDrvData)s;
}

/* The herd goes on. One that was left before is joined: it has no port either. */
static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    struct herd *before = NULL;
    if (s->herd) {
        atomic_store(&s->herd->over, true);
        erl_drv_mutex_lock(mutex);
        before = left;
        left = s->herd;
        erl_drv_mutex_unlock(mutex);
    }
    if (before)
        join(before);
    driver_free(s);
}

static void take(struct self *s)
{
    driver_pdl_lock(s->pdl);
    ErlDrvSizeT n = driver_sizeq(s->port);
    driver_deq(s->port, n);
    s->taken += n;
    driver_pdl_unlock(s->pdl);
}

/* Left to the threads, if there are any: the last one empties the queue. */
static void flush(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    bool filled = false;
    driver_pdl_lock(s->pdl);
    if (s->herd) {
        s->herd->closing = true;
        filled = s->herd->filling > 0;
    }
    driver_pdl_unlock(s->pdl);
    if (!filled)
        take(s);
}

/* Both in a thread of the driver's. */
static int send_number(const struct herd *h, int number, int round)
{
    ErlDrvTermData term[] = {ERL_DRV_INT, (ErlDrvTermData)number, ERL_DRV_INT, (ErlDrvTermData)round, ERL_DRV_TUPLE, 2};
    return round % 2 ? erl_drv_output_term(h->port_term, term, 6) : erl_drv_send_term(h->port_term, h->owner, term, 6);
}

static void *thread_send(void *arg)
{
    struct one *o = arg;
    struct herd *h = o->herd;
    for (int i = 1; i <= h->rounds; i++)
        atomic_fetch_add(send_number(h, o->number, i) == 1 ? &h->done : &h->refused, 1);
    driver_free(o);
    return NULL;
}

/* Under the PDL. */
static bool enq(struct herd *h, int round)
{
    ErlDrvSizeT before = driver_sizeq(h->port);
    int rc = round % 2 ? driver_enq(h->port, "0123456", PIECE) : driver_pushq(h->port, "6543210", PIECE);
    return rc == 0 && driver_sizeq(h->port) == before + PIECE;
}

/* In a thread of the driver's. */
static void *thread_enq(void *arg)
{
    struct one *o = arg;
    struct herd *h = o->herd;
    bool closing = false;
    for (int i = 0; i < h->rounds && !closing; i++) {
        driver_pdl_lock(h->pdl);
        closing = h->closing;
        if (!closing)
            atomic_fetch_add(enq(h, i) ? &h->done : &h->refused, 1);
        driver_pdl_unlock(h->pdl);
    }
    driver_pdl_lock(h->pdl);
    if (--h->filling == 0 && h->closing)
        driver_deq(h->port, driver_sizeq(h->port));
    driver_pdl_unlock(h->pdl);
    driver_free(o);
    return NULL;
}

/* In a thread of the driver's: until the port is gone, and then once more. */
static void *thread_outlive(void *arg)
{
    struct one *o = arg;
    struct herd *h = o->herd;
    while (!atomic_load(&h->over)) {
        send_number(h, o->number, 1);
        usleep(500);
    }
    for (int i = 0; i < 5000 && send_number(h, o->number, 1) == 1; i++)
        usleep(1000);
    int output = send_number(h, o->number, 1), sent = send_number(h, o->number, 2);
    trace("outlived output %d send %d", output, sent);
    if (h->pdl) {
        driver_pdl_lock(h->pdl);
        int enq = driver_enq(h->port, "0123456", PIECE);
        trace("outlived enq %d sizeq %zd", enq, (ssize_t)driver_sizeq(h->port));
        driver_pdl_unlock(h->pdl);
    }
    driver_free(o);
    return NULL;
}

static void run(struct self *s, void *(*thread)(void *), const char *arg, struct answer *a)
{
    struct herd *h = s->herd = driver_alloc(sizeof *h);
    *h = (struct herd){.port = s->port, .port_term = driver_mk_port(s->port), .owner = driver_connected(s->port), .pdl = s->pdl};
    if (s->pdl)
        driver_pdl_inc_refc(s->pdl);
    int size = 0;
    sscanf(arg, "%d %d", &size, &h->rounds);
    while (h->size < size && h->size < MOST) {
        struct one *o = driver_alloc(sizeof *o);
        *o = (struct one){h, h->size + 1};
        if (erl_drv_thread_create("herd", &h->tid[h->size], thread, o, NULL) != 0)
            break;
        h->size++;
    }
    say(a, "%d", h->size);
}

/* The arguments of the three: threads, rounds of each. */
ACTION(do_send)
{
    run(self, thread_send, arg, a);
}

ACTION(do_enq)
{
    struct self *s = self;
    driver_pdl_lock(s->pdl);
    run(s, thread_enq, arg, a);
    s->herd->filling = s->herd->size;
    driver_pdl_unlock(s->pdl);
}

ACTION(do_outlive)
{
    run(self, thread_outlive, arg, a);
}

/* Takes what is in the queue, and puts and takes something itself. */
ACTION(do_take)
{
    struct self *s = self;
    driver_pdl_lock(s->pdl);
    driver_enq(s->port, "0123456", PIECE);
    driver_deq(s->port, PIECE);
    driver_pdl_unlock(s->pdl);
    take(s);
    say(a, "ok");
}

ACTION(do_join)
{
    struct self *s = self;
    struct herd *h = s->herd;
    for (int i = 0; i < h->size; i++)
        erl_drv_thread_join(h->tid[i], NULL);
    h->size = 0;
    say(a, "done %d refused %d", h->done, h->refused);
    if (s->pdl) {
        take(s);
        say(a, "taken %zu", s->taken);
    }
    s->herd = NULL;
    join(h);
}

/* Those that another port has left. */
ACTION(do_join_left)
{
    erl_drv_mutex_lock(mutex);
    struct herd *h = left;
    left = NULL;
    erl_drv_mutex_unlock(mutex);
    if (h)
        join(h);
    say(a, h ? "joined" : "none");
}

ACTION(do_fail)
{
    struct self *s = self;
    ErlDrvPort port = s->port;
    say(a, "ok");
    driver_failure_atom(port, "failed");
}

static const struct action actions[] = {
    {"send", do_send}, {"enq", do_enq},   {"outlive", do_outlive},     {"take", do_take},
    {"join", do_join}, {"fail", do_fail}, {"join_left", do_join_left}, {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .init = init,
    .start = start,
    .stop = stop,
    .finish = finish,
    .flush = flush,
    .control = control,
    .driver_name = "herd_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(herd_probe_drv)
{
    return &entry;
}
