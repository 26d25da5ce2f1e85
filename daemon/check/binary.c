/* SPDX-License-Identifier: Apache-2.0 */
/* The references of drivers to binaries. Each binary's own count is the sum of the host's and the drivers'; here the drivers' are counted apart, so that the first
 * one too many that a driver drops is noticed, whoever would have suffered from it. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/bin.h"
#include "check/block.h"
#include "check/memory.h"
#include "check/sent.h"

static struct ph_thing *binary_locked(const ErlDrvBinary *b)
{
    struct ph_thing *t = ph_thing_find_locked(PH_THING_BINARY, b);
    return t && t->kind == PH_THING_BINARY ? t : NULL;
}

void ph_binary_made(ErlDrvBinary *b)
{
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = b ? binary_locked(b) : NULL;
    if (t)
        t->refs = 1;
    pthread_mutex_unlock(&ph_things_mu);
}

static struct ph_thing *refuse_locked(struct ph_report *r, enum ph_violation kind, const struct ph_act *act, const char *function, const void *b, const char *what)
{
    const struct ph_thing *t = ph_thing_find_locked(PH_THING_BLOCK, b);
    ph_report_init(r, kind, act, "%s(%p): %s", function, b, what);
    if (t)
        ph_thing_notes(r, t);
    return NULL;
}

/* The binary, or NULL: r is to be told. free: the function is one that frees. */
static struct ph_thing *live_locked(struct ph_report *r, const ErlDrvBinary *b, const char *function, const struct ph_act *act, bool free)
{
    struct ph_thing *t = ph_thing_find_locked(PH_THING_BLOCK, b);
    if (!t && free)
        return refuse_locked(r, PH_VIOLATION_UNKNOWN_FREE, act, function, b, "that is not a driver binary, or was freed long ago");
    if (!t)
        return refuse_locked(r, PH_VIOLATION_BINARY_UNKNOWN, act, function, b, "that is not a driver binary, or was freed long ago");
    if (t->kind != PH_THING_BINARY)
        return refuse_locked(r, free ? PH_VIOLATION_WRONG_FREE : PH_VIOLATION_BINARY_UNKNOWN, act, function, b, "that is a block of driver_alloc");
    if (t->gone && free)
        return refuse_locked(r, PH_VIOLATION_DOUBLE_FREE, act, function, b, "that binary is free already");
    if (t->gone)
        return refuse_locked(r, PH_VIOLATION_BINARY_AFTER_FREE, act, function, b, "the last reference to that binary is gone");
    ph_sent_settle_locked(t);
    return t;
}

bool ph_binary_is_live(const ErlDrvBinary *b, const char *function)
{
    struct ph_act act;
    struct ph_report r;
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    bool ok = live_locked(&r, b, function, &act, false) != NULL;
    pthread_mutex_unlock(&ph_things_mu);
    if (!ok)
        ph_report_tell(&r);
    return ok;
}

bool ph_binary_has(const ErlDrvBinary *b, size_t offset, size_t len, const char *function)
{
    size_t size = (size_t)b->orig_size;
    bool ok = offset <= size && len <= size - offset;
    if (!ok)
        ph_violation(PH_VIOLATION_BAD_ARGUMENT, "%s: %zu bytes from %zu on of a binary of %zu", function, len, offset, size);
    return ok;
}

/* A binary may have been shortened: what it was made with counts. */
static size_t made_size(const ErlDrvBinary *b)
{
    pthread_mutex_lock(&ph_things_mu);
    const struct ph_thing *t = binary_locked(b);
    size_t size = t ? t->size : 0;
    pthread_mutex_unlock(&ph_things_mu);
    return size;
}

static bool element_is_good(const SysIOVec *v, const ErlDrvBinary *b, const char *function)
{
    if (b && !ph_binary_is_live(b, function))
        return false;
    size_t size = b ? made_size(b) : SIZE_MAX, offset = b ? (uintptr_t)v->iov_base - (uintptr_t)b->orig_bytes : 0;
    if (v->iov_len == 0 || (v->iov_base && offset <= size && v->iov_len <= size - offset))
        return true;
    if (b)
        ph_violation(PH_VIOLATION_BAD_ARGUMENT, "%s: an element of %zu bytes at %p is not in its binary, which has %zu at %p", function, v->iov_len,
                     (void *)v->iov_base, size, (const void *)b->orig_bytes);
    else
        ph_violation(PH_VIOLATION_BAD_ARGUMENT, "%s: an element of %zu bytes at NULL", function, v->iov_len);
    return false;
}

bool ph_vector_is_good(const ErlIOVec *ev, const char *function)
{
    for (int i = 0; i < ev->vsize; i++)
        if (!element_is_good(&ev->iov[i], ev->binv ? ev->binv[i] : NULL, function))
            return false;
    return true;
}

bool ph_vector_has_size(const ErlIOVec *ev, const char *function)
{
    size_t size = 0;
    for (int i = 0; i < ev->vsize; i++)
        size += ev->iov[i].iov_len;
    if (ev->size > size)
        ph_violation(PH_VIOLATION_BAD_ARGUMENT, "%s: a vector of %zu bytes is said to have %zu", function, size, (size_t)ev->size);
    return ev->size <= size;
}

/* The binary's own count moves with the books, here and below: nobody sees the one without the other. One that was 0 is the host's, which is about to free it. */
static struct ph_thing *inc_locked(struct ph_report *r, ErlDrvBinary *b, const char *function, const struct ph_act *act, ErlDrvSInt *count)
{
    struct ph_thing *t = live_locked(r, b, function, act, false);
    *count = t ? ph_bin_inc(b) : 0;
    if (*count == 1) {
        *count = ph_bin_dec(b);
        return refuse_locked(r, PH_VIOLATION_BINARY_AFTER_FREE, act, function, b, "the last reference to that binary is gone");
    }
    if (!t)
        return NULL;
    if (!t->made.who.driver) /* the host's: whoever takes the first reference is answerable for it */
        t->made.who = act->who;
    t->refs++;
    ph_thing_change_locked(t, function, act);
    return t;
}

ErlDrvSInt ph_binary_inc(ErlDrvBinary *b, const char *function)
{
    struct ph_act act;
    struct ph_report r;
    ErlDrvSInt count;
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    const struct ph_thing *t = inc_locked(&r, b, function, &act, &count);
    pthread_mutex_unlock(&ph_things_mu);
    if (!t)
        ph_report_tell(&r);
    return count;
}

/* The binary, whose driver has a reference less; or NULL: r is to be told. free: the function may free it. */
static struct ph_thing *drop_locked(struct ph_report *r, ErlDrvBinary *b, const char *function, const struct ph_act *act, bool free)
{
    struct ph_thing *t = live_locked(r, b, function, act, free);
    if (!t)
        return NULL;
    if (t->refs <= 0)
        return refuse_locked(r, PH_VIOLATION_REFCOUNT, act, function, b, "the driver has no reference to that binary left");
    if (!free && ph_bin_refc(b) == 1)
        return refuse_locked(r, PH_VIOLATION_REFCOUNT, act, function, b, "that is the last reference, and this function does not free");
    t->refs--;
    ph_thing_change_locked(t, function, act);
    return t;
}

ErlDrvSInt ph_binary_dec(ErlDrvBinary *b, const char *function)
{
    struct ph_act act;
    struct ph_report r;
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    const struct ph_thing *t = drop_locked(&r, b, function, &act, false);
    ErlDrvSInt count = t ? ph_bin_dec(b) : 0;
    pthread_mutex_unlock(&ph_things_mu);
    if (!t)
        ph_report_tell(&r);
    return count;
}

void ph_binary_free(ErlDrvBinary *b, const char *function)
{
    struct ph_act act;
    struct ph_report r;
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = drop_locked(&r, b, function, &act, true);
    bool tell = !t || (ph_bin_dec(b) == 0 && ph_block_end_locked(t, &r, &act));
    pthread_mutex_unlock(&ph_things_mu);
    if (tell)
        ph_report_tell(&r);
    ph_quarantine_drain(&act);
}

bool ph_binary_take(const ErlDrvBinary *b, struct ph_report *r)
{
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = binary_locked(b);
    bool ok = t && !t->gone && t->refs > 0;
    if (ok) {
        ph_sent_settle_locked(t);
        t->refs--;
        ph_thing_change_locked(t, "answer", &r->act);
    } else {
        snprintf(r->text, sizeof r->text, "the answer at %p is neither in the buffer given nor a binary that the driver has a reference to", (const void *)b);
        if (t)
            ph_thing_notes(r, t);
    }
    pthread_mutex_unlock(&ph_things_mu);
    return ok;
}

/* Only one that nobody else has may move. */
static struct ph_thing *movable_locked(struct ph_report *r, ErlDrvBinary *b, const char *function, const struct ph_act *act)
{
    struct ph_thing *t = live_locked(r, b, function, act, false);
    if (t && (t->refs != 1 || ph_bin_refc(b) != 1))
        return refuse_locked(r, PH_VIOLATION_REFCOUNT, act, function, b, "others have references to that binary, which would move");
    return t;
}

static bool move_locked(struct ph_thing *from, ErlDrvBinary *b, struct ph_report *r, const struct ph_act *act)
{
    struct ph_thing *to = ph_thing_find_locked(PH_THING_BINARY, b);
    memcpy(b->orig_bytes, ((const ErlDrvBinary *)from->at)->orig_bytes, from->size < to->size ? from->size : to->size);
    to->refs = from->refs;
    to->history = from->history;
    from->history = NULL;
    return ph_block_end_locked(from, r, act);
}

ErlDrvBinary *ph_binary_realloc(ErlDrvBinary *b, size_t size, const char *function)
{
    struct ph_act act;
    struct ph_report r;
    ErlDrvBinary *new = ph_bin_new(size);
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = movable_locked(&r, b, function, &act);
    bool tell = !t || (new && move_locked(t, new, &r, &act));
    pthread_mutex_unlock(&ph_things_mu);
    if (tell)
        ph_report_tell(&r);
    ph_quarantine_drain(&act);
    if (t)
        return new;
    ph_bin_unref(new);
    return NULL;
}
