/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the memory of ports that have ended, as far as it goes back. */
#include "port/misuse.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <zlib.h>

#include "base/thread.h"
#include "check/lock.h"
#include "check/memory.h"

#define ENDED_MAX 4096u
#define GUARD_BYTE 0xfc

struct ended {
    uint64_t handle;
    struct ph_who who;
};

static pthread_mutex_t ended_mu = PTHREAD_MUTEX_INITIALIZER; /* guards these; a leaf */
static struct ended ended[ENDED_MAX];
static unsigned ended_count;

struct ph_who ph_port_who(const struct ph_port *p, const char *callback)
{
    struct ph_where where;
    struct ph_who who = ph_who_driver(ph_port_where(p, &where)->driver, callback);
    who.has_port = true;
    who.port = where.port;
    who.connection = where.connection;
    return who;
}

/* --- handles --- */

void ph_port_remember_end(const struct ph_port *p)
{
    struct ended e = {p->handle, ph_port_who(p, "")};
    pthread_mutex_lock(&ended_mu);
    ended[ended_count++ % ENDED_MAX] = e;
    pthread_mutex_unlock(&ended_mu);
}

static bool find_ended(uint64_t handle, struct ph_who *who)
{
    bool yes = false;
    pthread_mutex_lock(&ended_mu);
    for (unsigned i = 0; !yes && i < ENDED_MAX && i < ended_count; i++) {
        *who = ended[i].who;
        yes = ended[i].handle == handle;
    }
    pthread_mutex_unlock(&ended_mu);
    return yes;
}

/* About the port of `who`, if the thread has none of its own. */
static void tell(enum ph_violation kind, const struct ph_who *who, const char *function, const char *what)
{
    struct ph_report r;
    struct ph_act act;
    ph_act_now(&act);
    if (!act.who.has_port) {
        act.who.has_port = true;
        act.who.port = who->port;
        act.who.connection = who->connection;
        act.who.driver = act.who.driver ? act.who.driver : who->driver;
    }
    ph_report_init(&r, kind, &act, "%s: port %llu of %s %s", function, (unsigned long long)who->port, who->driver, what);
    ph_report_tell(&r);
}

/* True, with who has it, if the handle stands for a live port; else it is reported. */
static bool find_alive(uint64_t handle, const char *function, struct ph_who *who)
{
    struct ph_port *p = ph_port_by_handle(handle);
    bool alive = p && ph_port_state(p) != PH_PORT_DEAD;
    if (p) {
        *who = ph_port_who(p, "");
        ph_port_unref(p);
    }
    if (alive)
        return true;
    if (p || find_ended(handle, who))
        tell(PH_VIOLATION_STALE_PORT, who, function, "has ended");
    else
        ph_violation(PH_VIOLATION_UNKNOWN_PORT, "%s: 0x%llx never was a port, or ended long ago", function, (unsigned long long)handle);
    return false;
}

static bool in_stop_select(void)
{
    return ph_self.callback && strcmp(ph_self.callback, "stop_select") == 0;
}

void ph_port_not_here(ErlDrvPort port, const char *function)
{
    struct ph_who who;
    if (find_alive((uint64_t)(uintptr_t)port, function, &who))
        tell(PH_VIOLATION_WRONG_THREAD, &who, function, in_stop_select() ? "is nothing that stop_select may do anything with" : "runs no callback in this thread");
}

/* With its lock, a thread may be late without being wrong. */
static bool is_late(ErlDrvPort port)
{
    struct ph_port *p = ph_lock_has_pdl() ? ph_port_by_handle((uint64_t)(uintptr_t)port) : NULL;
    bool dead = !p || ph_port_state(p) == PH_PORT_DEAD;
    if (p)
        ph_port_unref(p);
    return dead && ph_lock_has_pdl();
}

void ph_port_queue_not_here(ErlDrvPort port, const char *what)
{
    struct ph_who who;
    if (in_stop_select())
        ph_port_not_here(port, what);
    else if (!is_late(port) && find_alive((uint64_t)(uintptr_t)port, what, &who))
        tell(PH_VIOLATION_QUEUE_WITHOUT_LOCK, &who, what, "has no port data lock that this thread holds");
}

/* --- callbacks --- */

void ph_port_callback_left(struct ph_port *p, uint64_t ns)
{
    ph_slow_left(ns);
    ph_locks_leave();
    ph_blocks_look_recent();
    ph_fds_verify(p);
    ph_self.now_ns = 0; /* what the checks took is not the next callback's time */
}

void ph_port_violation(struct ph_port *p, enum ph_violation kind, const char *callback, const char *fmt, ...)
{
    struct ph_report r = {.kind = kind, .act.who = ph_port_who(p, callback)};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r.text, sizeof r.text, fmt, ap);
    va_end(ap);
    ph_report_tell(&r);
}

/* --- what outputv is given --- */

static unsigned long checksum(const SysIOVec *iov, int n)
{
    unsigned long sum = crc32(0, NULL, 0);
    for (int i = 0; i < n; i++)
        if (iov[i].iov_len)
            sum = crc32_z(sum, (const Bytef *)iov[i].iov_base, iov[i].iov_len);
    return sum;
}

void ph_vector_keep(struct ph_vector_copy *c, const ErlIOVec *ev)
{
    size_t n = (size_t)ev->vsize;
    c->was = *ev;
    c->iov = memcpy(ph_alloc(n * sizeof *c->iov), ev->iov, n * sizeof *c->iov);
    c->binv = memcpy(ph_alloc(n * sizeof(ErlDrvBinary *)), ev->binv, n * sizeof(ErlDrvBinary *));
    c->sum = checksum(c->iov, ev->vsize);
}

/* Bytes may be taken from its front: driver_outputv and driver_enqv do that with their skip. */
static bool is_rest_of(const SysIOVec *now, const SysIOVec *was)
{
    const char *begin = now->iov_base, *old = was->iov_base;
    return begin >= old && now->iov_len <= was->iov_len && begin + now->iov_len == old + was->iov_len;
}

static bool is_as_it_was(const struct ph_vector_copy *c, const ErlIOVec *ev)
{
    if (ev->vsize != c->was.vsize || ev->size != c->was.size || ev->iov != c->was.iov || ev->binv != c->was.binv)
        return false;
    for (int i = 0; i < ev->vsize; i++)
        if (ev->binv[i] != c->binv[i] || !is_rest_of(&ev->iov[i], &c->iov[i]))
            return false;
    return true;
}

void ph_vector_compare(struct ph_port *p, struct ph_vector_copy *c, const ErlIOVec *ev)
{
    if (!is_as_it_was(c, ev))
        ph_port_violation(p, PH_VIOLATION_VECTOR_CHANGED, "outputv", "the vector that it was given is changed");
    if (checksum(c->iov, c->was.vsize) != c->sum)
        ph_port_violation(p, PH_VIOLATION_DATA_CHANGED, "outputv", "the data that it was given is changed: others may see them, too");
    ph_free(c->iov);
    ph_free(c->binv);
}

/* --- answers --- */

void ph_answer_guard(char *end)
{
    memset(end, GUARD_BYTE, PH_ANSWER_GUARD);
}

/* The first byte that is not as it was. */
static size_t damage(const char *end)
{
    size_t n = 0;
    while (n < PH_ANSWER_GUARD && (unsigned char)end[n] == GUARD_BYTE)
        n++;
    return n;
}

static bool is_own_good(struct ph_port *p, const struct ph_answer *a)
{
    if (a->binary || a->given != a->own || a->n <= a->size)
        return true;
    ph_port_violation(p, PH_VIOLATION_BAD_ANSWER, a->callback, "the answer is said to have %zu bytes, the buffer given has %zu", a->n, a->size);
    return false;
}

bool ph_answer_is_good(struct ph_port *p, const struct ph_answer *a)
{
    struct ph_report r = {.kind = PH_VIOLATION_BAD_ANSWER};
    size_t at = damage(a->own + a->size);
    if (at < PH_ANSWER_GUARD)
        ph_port_violation(p, PH_VIOLATION_OVERWRITE, a->callback, "something was written outside of the buffer of %zu bytes given for the answer, at offset %zu", a->size, a->size + at);
    if (!a->given || a->kept || a->given == a->own)
        return is_own_good(p, a);
    r.act.who = ph_port_who(p, a->callback);
    bool good = a->binary ? ph_binary_take((ErlDrvBinary *)(void *)a->given, &r) : ph_block_take(a->given, a->n, &r);
    if (!good)
        ph_report_tell(&r);
    return good;
}
