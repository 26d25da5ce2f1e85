/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the memory of ports that have ended, as far as it goes back, and the time that callbacks may take. */
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
    uint64_t handle, id;
    struct ph_who who;
};

static pthread_mutex_t ended_mu = PTHREAD_MUTEX_INITIALIZER; /* guards these; a leaf */
static struct ended ended[ENDED_MAX];
static unsigned ended_count;

static atomic_uint_fast64_t limit_ns = 100000000;

/* --- handles --- */

void ph_port_remember_end(const struct ph_port *p)
{
    struct ph_where where;
    struct ph_who who = ph_who_driver(ph_port_where(p, &where)->driver, "");
    pthread_mutex_lock(&ended_mu);
    ended[ended_count++ % ENDED_MAX] = (struct ended){.handle = p->handle, .id = p->id, .who = who};
    pthread_mutex_unlock(&ended_mu);
}

static bool find_ended(uint64_t handle, struct ended *found)
{
    bool yes = false;
    pthread_mutex_lock(&ended_mu);
    for (unsigned i = 0; !yes && i < ENDED_MAX && i < ended_count; i++) {
        *found = ended[i];
        yes = found->handle == handle;
    }
    pthread_mutex_unlock(&ended_mu);
    return yes;
}

/* If the handle stands for no live port: reports, and true. */
static bool is_no_port(uint64_t handle, const char *function)
{
    struct ended old;
    struct ph_port *p = ph_port_by_handle(handle);
    bool alive = p && ph_port_state(p) != PH_PORT_DEAD;
    if (!alive && p)
        ph_violation(PH_VIOLATION_STALE_PORT, "%s: port %llu has ended", function, (unsigned long long)p->id);
    else if (!alive && find_ended(handle, &old))
        ph_violation(PH_VIOLATION_STALE_PORT, "%s: port %llu of %s has ended", function, (unsigned long long)old.id, old.who.driver);
    else if (!alive)
        ph_violation(PH_VIOLATION_UNKNOWN_PORT, "%s: 0x%llx never was a port, or ended long ago", function, (unsigned long long)handle);
    if (p)
        ph_port_unref(p);
    return !alive;
}

void ph_port_not_here(ErlDrvPort port, const char *function)
{
    uint64_t handle = (uint64_t)(uintptr_t)port;
    if (is_no_port(handle, function))
        return;
    ph_violation(PH_VIOLATION_WRONG_THREAD, "%s: only callbacks of that port, or of its driver if all its ports have one lock, may do that", function);
}

void ph_port_queue_not_here(ErlDrvPort port, const char *what)
{
    uint64_t handle = (uint64_t)(uintptr_t)port;
    if (ph_lock_has_pdl() || is_no_port(handle, what)) /* with its lock, a thread may be late without being wrong */
        return;
    ph_violation(PH_VIOLATION_QUEUE_WITHOUT_LOCK, "%s of a port, from another thread that does not hold its port data lock", what);
}

/* --- callbacks --- */

void ph_port_callback_limit(uint64_t ms)
{
    atomic_store_explicit(&limit_ns, ms * 1000000, memory_order_relaxed);
}

void ph_port_callback_left(struct ph_port *p, uint64_t ns)
{
    uint64_t most = atomic_load_explicit(&limit_ns, memory_order_relaxed);
    if (ns > most)
        ph_violation(PH_VIOLATION_SLOW_CALLBACK, "it took %llu ms, more than %llu", (unsigned long long)(ns / 1000000), (unsigned long long)(most / 1000000));
    ph_locks_leave();
    ph_blocks_look_recent();
    ph_fds_verify(p);
}

void ph_port_violation(struct ph_port *p, enum ph_violation kind, const char *callback, const char *fmt, ...)
{
    struct ph_report r = {.kind = kind, .act.who = ph_who_driver(p->driver->name, callback)};
    va_list ap;
    r.act.who.has_port = true;
    r.act.who.port = p->id;
    r.act.who.connection = ph_peer_id(p->peer);
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

static size_t beyond(const char *end)
{
    size_t n = PH_ANSWER_GUARD;
    while (n && (unsigned char)end[n - 1] == GUARD_BYTE)
        n--;
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
    size_t over = beyond(a->own + a->size);
    if (over)
        ph_port_violation(p, PH_VIOLATION_OVERWRITE, a->callback, "%zu bytes after the end of the buffer given for the answer were overwritten", over);
    if (!a->given || a->kept || a->given == a->own)
        return is_own_good(p, a);
    r.act.who = (struct ph_who){ph_who_driver(p->driver->name, a->callback).driver, true, p->id, ph_peer_id(p->peer), a->callback};
    bool good = a->binary ? ph_binary_take((ErlDrvBinary *)(void *)a->given, &r) : ph_block_take(a->given, a->n, &r);
    if (!good)
        ph_report_tell(&r);
    return good;
}
