/* SPDX-License-Identifier: Apache-2.0 */
/* Owns each thread's list of what it holds, and learns when a thread that holds something ends, whoever made it. A lock that a callback left locked is unlocked there and then,
 * so that nobody waits for ever; it is an orphan until it is taken again, and unlocking it does nothing. A key that the thread has data with is held, too, and the thing's refs
 * are the threads that have data. */
#include "check/lock.h"

#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/thread.h"

#define HELD_FIRST 16u

struct held {
    const void *lock;
    enum ph_thing_kind kind;
    enum ph_hold how;
    struct ph_act taken;
};

static _Thread_local struct {
    struct held *v; /* as long as the thread, which frees it at its end */
    unsigned n, cap;
} mine;

static pthread_key_t at_end;
static pthread_once_t at_end_once = PTHREAD_ONCE_INIT;

static void (*unlock_left[PH_THING_KEY + 1])(void *lock);

void ph_lock_on_left(enum ph_thing_kind kind, void (*unlock)(void *lock))
{
    unlock_left[kind] = unlock;
}

static int held_index(const void *lock)
{
    for (int i = (int)mine.n - 1; i >= 0; i--)
        if (mine.v[i].lock == lock)
            return i;
    return -1;
}

/* A destructor that runs later may lock something: then this one runs again. */
static void thread_ends(void *unused)
{
    (void)unused;
    ph_locks_leave();
    ph_free(mine.v);
    mine.v = NULL;
    mine.cap = 0;
}

static void make_at_end(void)
{
    if (pthread_key_create(&at_end, thread_ends))
        ph_fatal("no key is left for the locks of threads");
}

static void make_room(void)
{
    mine.cap = mine.cap ? 2 * mine.cap : HELD_FIRST;
    mine.v = ph_realloc(mine.v, mine.cap * sizeof *mine.v);
    pthread_once(&at_end_once, make_at_end);
    pthread_setspecific(at_end, &mine);
}

static void push(enum ph_thing_kind kind, const void *lock, enum ph_hold how, const struct ph_act *taken)
{
    if (mine.n == mine.cap)
        make_room();
    mine.v[mine.n++] = (struct held){lock, kind, how, *taken};
}

static void pop(int i)
{
    mine.n--;
    for (unsigned j = (unsigned)i; j < mine.n; j++)
        mine.v[j] = mine.v[j + 1];
}

/* --- things --- */

void ph_thing_made(enum ph_thing_kind kind, const void *at, const char *name)
{
    struct ph_act act;
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    ph_thing_new_locked(kind, at, name, &act);
    pthread_mutex_unlock(&ph_things_mu);
}

void ph_thing_ended(enum ph_thing_kind kind, const void *at)
{
    struct ph_act act;
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = ph_thing_find_locked(kind, at);
    if (t)
        ph_thing_end_locked(t, &act);
    pthread_mutex_unlock(&ph_things_mu);
}

bool ph_thing_is_known(enum ph_thing_kind kind, const void *at)
{
    pthread_mutex_lock(&ph_things_mu);
    const struct ph_thing *t = ph_thing_find_locked(kind, at);
    bool known = t && !t->gone;
    pthread_mutex_unlock(&ph_things_mu);
    return known;
}

void ph_lock_made(enum ph_thing_kind kind, const void *lock, const char *name)
{
    if (lock)
        ph_thing_made(kind, lock, name);
}

/* --- rules --- */

/* Reports: the lock, if it is known, with where it came from and where this thread has taken it. False. */
static bool refuse(enum ph_violation violation, enum ph_thing_kind kind, const void *lock, const char *function, const char *why)
{
    struct ph_act act;
    struct ph_report r;
    char what[80];
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    const struct ph_thing *t = ph_thing_find_locked(kind, lock);
    snprintf(what, sizeof what, "%p", lock);
    ph_report_init(&r, violation, &act, "%s: %s %s", function, t ? ph_thing_what(t, what, sizeof what) : what, why);
    int i = held_index(lock);
    if (i >= 0)
        ph_report_note(&r, &mine.v[i].taken.stack, "taken by this thread");
    if (t)
        ph_thing_notes(&r, t);
    pthread_mutex_unlock(&ph_things_mu);
    ph_report_tell(&r);
    return false;
}

bool ph_lock_is_known(enum ph_thing_kind kind, const void *lock, const char *function)
{
    return ph_thing_is_known(kind, lock) || refuse(PH_VIOLATION_LOCK_UNKNOWN, kind, lock, function, "does not exist, or not any more");
}

/* True: it was an orphan. */
static bool adopt(enum ph_thing_kind kind, const void *lock)
{
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = ph_thing_find_locked(kind, lock);
    bool orphan = t && t->orphan;
    if (t)
        t->orphan = false;
    pthread_mutex_unlock(&ph_things_mu);
    return orphan;
}

static void take(enum ph_thing_kind kind, const void *lock, enum ph_hold how)
{
    struct ph_act act;
    ph_act_now(&act);
    push(kind, lock, how, &act);
}

bool ph_lock_take(enum ph_thing_kind kind, const void *lock, enum ph_hold how, const char *function)
{
    if (!ph_lock_is_known(kind, lock, function))
        return false;
    if (held_index(lock) >= 0)
        return refuse(PH_VIOLATION_LOCK_TWICE, kind, lock, function, "is held by this thread already");
    adopt(kind, lock);
    take(kind, lock, how);
    return true;
}

bool ph_lock_try(enum ph_thing_kind kind, const void *lock, enum ph_hold how, const char *function)
{
    if (!ph_lock_is_known(kind, lock, function))
        return false;
    take(kind, lock, how);
    return true;
}

void ph_lock_not_taken(const void *lock, enum ph_hold how)
{
    int i = held_index(lock);
    if (i >= 0 && mine.v[i].how == how)
        pop(i);
}

bool ph_lock_drop(enum ph_thing_kind kind, const void *lock, enum ph_hold how, const char *function)
{
    if (!ph_lock_is_known(kind, lock, function))
        return false;
    int i = held_index(lock);
    if (i < 0 && adopt(kind, lock))
        return false;
    if (i < 0)
        return refuse(PH_VIOLATION_LOCK_NOT_HELD, kind, lock, function, "is not held by this thread");
    if (mine.v[i].how != how)
        return refuse(PH_VIOLATION_LOCK_NOT_HELD, kind, lock, function, "is held in the other way (read, write)");
    pop(i);
    return true;
}

bool ph_lock_is_held(enum ph_thing_kind kind, const void *lock, const char *function)
{
    return ph_lock_is_known(kind, lock, function) &&
           (held_index(lock) >= 0 || refuse(PH_VIOLATION_LOCK_NOT_HELD, kind, lock, function, "is not held by this thread"));
}

void ph_lock_is_busy(enum ph_thing_kind kind, const void *lock, const char *function)
{
    refuse(PH_VIOLATION_LOCK_DESTROYED, kind, lock, function, "is held");
}

bool ph_lock_may_end(enum ph_thing_kind kind, const void *lock, const char *function)
{
    if (!ph_lock_is_known(kind, lock, function))
        return false;
    return held_index(lock) < 0 || refuse(PH_VIOLATION_LOCK_DESTROYED, kind, lock, function, "is held");
}

/* --- references to a port data lock, threads with data of a key --- */

/* False: there are none left. */
static bool change_refs(enum ph_thing_kind kind, const void *at, long by, const char *function)
{
    struct ph_act act;
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = ph_thing_find_locked(kind, at);
    bool ok = t && t->refs + by >= 0;
    if (ok) {
        t->refs += by;
        ph_thing_change_locked(t, function, &act);
    }
    pthread_mutex_unlock(&ph_things_mu);
    return ok;
}

bool ph_pdl_inc(const void *pdl, const char *function)
{
    return ph_lock_is_known(PH_THING_PDL, pdl, function) && change_refs(PH_THING_PDL, pdl, 1, function);
}

bool ph_pdl_dec(const void *pdl, const char *function)
{
    return ph_lock_is_known(PH_THING_PDL, pdl, function) &&
           (change_refs(PH_THING_PDL, pdl, -1, function) || refuse(PH_VIOLATION_REFCOUNT, PH_THING_PDL, pdl, function, "has no reference of the driver's left"));
}

void ph_tsd_set(const void *key, bool some, const char *function)
{
    int i = held_index(key);
    if (some == (i >= 0))
        return;
    if (some)
        take(PH_THING_KEY, key, PH_HOLD);
    else
        pop(i);
    change_refs(PH_THING_KEY, key, some ? 1 : -1, function);
}

void ph_tsd_destroyed(const void *key, const char *function)
{
    pthread_mutex_lock(&ph_things_mu);
    const struct ph_thing *t = ph_thing_find_locked(PH_THING_KEY, key);
    bool used = t && t->refs > 0;
    pthread_mutex_unlock(&ph_things_mu);
    if (used)
        refuse(PH_VIOLATION_TSD_LEFT, PH_THING_KEY, key, function, "is still set in a thread");
    int i = held_index(key);
    if (i >= 0)
        pop(i);
    ph_thing_ended(PH_THING_KEY, key);
}

bool ph_lock_has_pdl(void)
{
    for (unsigned i = 0; i < mine.n; i++)
        if (mine.v[i].kind == PH_THING_PDL)
            return true;
    return false;
}

/* --- what is left --- */

static void leave_behind(const struct held *h)
{
    const bool data = h->kind == PH_THING_KEY;
    struct ph_act act;
    struct ph_report r;
    char what[80];
    ph_act_now(&act);
    if (ph_self.kind == PH_THREAD_FOREIGN) /* it ends, and is in none of its driver's functions any more */
        act.who = h->taken.who;
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = ph_thing_find_locked(h->kind, h->lock);
    if (t) {
        t->orphan = !data;
        ph_report_init(&r, data ? PH_VIOLATION_TSD_LEFT : PH_VIOLATION_LOCK_LEFT, &act, "%s is still %s when it returns", ph_thing_what(t, what, sizeof what),
                       data ? "set" : "held");
        ph_report_note(&r, &h->taken.stack, data ? "set" : "taken");
        ph_thing_notes(&r, t);
    }
    pthread_mutex_unlock(&ph_things_mu);
    if (!t)
        return;
    ph_report_tell(&r);
    unlock_left[h->kind]((void *)(uintptr_t)h->lock);
}

/* The data of others are gone when they end: that breaks no rule. */
static bool is_of_host(void)
{
    return ph_thread_is_host() || ph_self.kind == PH_THREAD_ASYNC;
}

void ph_locks_leave(void)
{
    while (mine.n > 0) {
        struct held h = mine.v[--mine.n];
        bool data = h.kind == PH_THING_KEY;
        if (!data || is_of_host())
            leave_behind(&h);
        if (data)
            change_refs(PH_THING_KEY, h.lock, -1, "the end");
    }
}
