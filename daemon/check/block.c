/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the memory that driver_alloc and binaries have: guard bytes around it, and a quarantine of what was freed, filled with poison. The binaries' references
 * are in binary.c. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/bin.h"
#include "base/mem.h"
#include "check/block.h"
#include "check/memory.h"
#include "check/sent.h"

#define GUARD 32u /* bytes on each side; keeps the alignment */
#define BEFORE 0xfb
#define AFTER 0xfc
#define POISON 0xfd
#define ZEROED 4096u          /* as api/alloc.c does */
#define QUARANTINE_BYTES (UINT64_C(64) << 20)
#define QUARANTINE_BLOCKS 10000u
#define RECENT 16u

static TAILQ_HEAD(quarantine, ph_thing) quarantine = TAILQ_HEAD_INITIALIZER(quarantine); /* these: guarded by ph_things_mu; the oldest is first */
static size_t quarantined, quarantined_bytes;

static _Thread_local struct {
    const void *at[RECENT];
    unsigned n;
} recent;

/* --- what has been written where --- */

void ph_block_remember(const void *at)
{
    recent.at[recent.n++ % RECENT] = at;
}

static size_t first_other(const char *p, size_t n, int c)
{
    size_t i = 0;
    while (i < n && (unsigned char)p[i] == (unsigned char)c)
        i++;
    return i;
}

/* A binary's size is the driver's to read, and it may say less than was allocated: some shorten an answer so. */
static bool head_is_whole(const struct ph_thing *t)
{
    const ErlDrvBinary *b = t->at;
    return t->kind != PH_THING_BINARY || (b->orig_size >= 0 && (size_t)b->orig_size <= t->size);
}

/* Bytes from the beginning of the block (of a binary: its data) to the first damaged one, or PTRDIFF_MAX. */
static ptrdiff_t damage(const struct ph_thing *t)
{
    ptrdiff_t head = (ptrdiff_t)(t->used - t->size);
    size_t i = first_other(t->raw, GUARD, BEFORE);
    if (i < GUARD)
        return (ptrdiff_t)i - (ptrdiff_t)GUARD - head;
    if (!head_is_whole(t))
        return -(ptrdiff_t)sizeof(ErlDrvSInt);
    i = first_other(t->raw + GUARD + t->used, GUARD, AFTER);
    if (i < GUARD)
        return (ptrdiff_t)(t->size + i);
    if (!t->gone)
        return PTRDIFF_MAX;
    i = first_other(t->raw + GUARD + head, t->size, POISON);
    return i < t->size ? (ptrdiff_t)i : PTRDIFF_MAX;
}

static void mend(struct ph_thing *t)
{
    memset(t->raw, BEFORE, GUARD);
    memset(t->raw + GUARD + t->used, AFTER, GUARD);
    if (!head_is_whole(t))
        ((ErlDrvBinary *)(uintptr_t)t->at)->orig_size = (ErlDrvSInt)t->size;
}

static void tell_sent(struct ph_thing *t, struct ph_report *r, const struct ph_act *act)
{
    char what[80];
    ph_report_init(r, PH_VIOLATION_DATA_CHANGED, act, "%s was changed after it was sent", ph_thing_what(t, what, sizeof what));
    ph_thing_notes(r, t);
}

/* True, with r filled in, if there is something to tell about it that has not been told. */
static bool look_locked(struct ph_thing *t, struct ph_report *r, const struct ph_act *act)
{
    char what[80];
    if (ph_sent_is_changed_locked(t)) {
        tell_sent(t, r, act);
        return true;
    }
    ptrdiff_t at = t->raw && !t->told ? damage(t) : PTRDIFF_MAX;
    if (at == PTRDIFF_MAX)
        return false;
    t->told = true;
    mend(t);
    ph_thing_what(t, what, sizeof what);
    if (at >= 0 && at < (ptrdiff_t)t->size)
        ph_report_init(r, PH_VIOLATION_USE_AFTER_FREE, act, "%s was written to at offset %td after it was freed", what, at);
    else
        ph_report_init(r, PH_VIOLATION_OVERWRITE, act, "something was written outside of %s, at offset %td", what, at);
    ph_thing_notes(r, t);
    return true;
}

/* The report is about who made it, if the host notices. */
static void look(struct ph_thing *t, const struct ph_act *act, struct ph_report *r, bool *found)
{
    struct ph_act of_maker = {.who = t->made.who};
    *found = look_locked(t, r, act->who.driver ? act : &of_maker);
}

/* --- quarantine --- */

static bool quarantine_is_full(void)
{
    return quarantined > QUARANTINE_BLOCKS || quarantined_bytes > QUARANTINE_BYTES;
}

static void release_locked(struct ph_thing *t)
{
    TAILQ_REMOVE(&quarantine, t, link);
    quarantined--;
    quarantined_bytes -= t->used;
    ph_free(t->raw);
    ph_thing_forget_locked(t);
}

void ph_quarantine_drain(const struct ph_act *act)
{
    struct ph_report r;
    bool found = true, full = true;
    while (full) {
        pthread_mutex_lock(&ph_things_mu);
        struct ph_thing *t = quarantine_is_full() ? TAILQ_FIRST(&quarantine) : NULL;
        full = t != NULL;
        found = false;
        if (t) {
            look(t, act, &r, &found);
            release_locked(t);
        }
        pthread_mutex_unlock(&ph_things_mu);
        if (found)
            ph_report_tell(&r);
    }
}

bool ph_block_end_locked(struct ph_thing *t, struct ph_report *r, const struct ph_act *act)
{
    bool found;
    look(t, act, r, &found);
    ph_thing_end_locked(t, act);
    memset(t->raw + GUARD + (t->used - t->size), POISON, t->size);
    TAILQ_INSERT_TAIL(&quarantine, t, link);
    quarantined++;
    quarantined_bytes += t->used;
    ph_block_remember(t->at);
    return found;
}

/* --- blocks --- */

/* New memory with its record: used bytes between the guards, size of them the driver's, at `offset`; NULL: out of memory. */
static char *make(enum ph_thing_kind kind, size_t used, size_t size, size_t offset)
{
    struct ph_act act;
    char *raw = used > PTRDIFF_MAX - 2 * GUARD ? NULL : ph_alloc_try(used + 2 * GUARD);
    if (!raw)
        return NULL;
    ph_act_now(&act);
    memset(raw, BEFORE, GUARD);
    memset(raw + GUARD + used, AFTER, GUARD);
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = ph_thing_new_locked(kind, raw + GUARD + offset, NULL, &act);
    t->raw = raw;
    t->used = used;
    t->size = size;
    ph_block_remember(t->at);
    pthread_mutex_unlock(&ph_things_mu);
    return raw + GUARD;
}

void *ph_block_alloc(size_t size)
{
    char *p = make(PH_THING_BLOCK, size, size, 0);
    if (p && size <= ZEROED)
        memset(p, 0, size);
    return p;
}

/* What is wrong with freeing it, or -1. */
static int wrong_block(const struct ph_thing *t)
{
    if (!t)
        return PH_VIOLATION_UNKNOWN_FREE;
    if (t->gone)
        return PH_VIOLATION_DOUBLE_FREE;
    return t->kind == PH_THING_BINARY ? PH_VIOLATION_WRONG_FREE : -1;
}

/* The live block, or NULL: r is to be told. */
static struct ph_thing *block_locked(const void *p, const char *function, const struct ph_act *act, struct ph_report *r)
{
    static const char *const texts[] = {[PH_VIOLATION_DOUBLE_FREE] = "is free already",
                                        [PH_VIOLATION_UNKNOWN_FREE] = "is not from driver_alloc, or was freed long ago",
                                        [PH_VIOLATION_WRONG_FREE] = "is a driver binary"};
    struct ph_thing *t = ph_thing_find_locked(PH_THING_BLOCK, p);
    int wrong = wrong_block(t);
    if (wrong < 0)
        return t;
    ph_report_init(r, (enum ph_violation)wrong, act, "%s(%p): that %s", function, p, texts[wrong]);
    if (t)
        ph_thing_notes(r, t);
    return NULL;
}

/* Nobody has seen it. */
static void unmake(char *p)
{
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = ph_thing_find_locked(PH_THING_BLOCK, p);
    ph_free(t->raw);
    ph_thing_forget_locked(t);
    pthread_mutex_unlock(&ph_things_mu);
}

/* The old one is looked at, copied and ended with the mutex held throughout: of two threads that free it only one does. */
void *ph_block_realloc(void *p, size_t size)
{
    struct ph_act act;
    struct ph_report r;
    bool tell = true;
    if (!p)
        return ph_block_alloc(size);
    ph_act_now(&act);
    char *new = ph_block_alloc(size);
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = block_locked(p, "driver_realloc", &act, &r);
    if (t && new)
        memcpy(new, p, t->size < size ? t->size : size);
    if (t)
        tell = new && ph_block_end_locked(t, &r, &act);
    pthread_mutex_unlock(&ph_things_mu);
    if (!t && new)
        unmake(new);
    if (tell)
        ph_report_tell(&r);
    ph_quarantine_drain(&act);
    return t ? new : NULL;
}

void ph_block_free(void *p)
{
    struct ph_act act;
    struct ph_report r;
    if (!p)
        return;
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = block_locked(p, "driver_free", &act, &r);
    bool tell = !t || ph_block_end_locked(t, &r, &act);
    pthread_mutex_unlock(&ph_things_mu);
    if (tell)
        ph_report_tell(&r);
    ph_quarantine_drain(&act);
}

/* What is known of it, if anything, goes to the report's notes. */
static bool find_block(const void *p, size_t *size, struct ph_report *r)
{
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = ph_thing_find_locked(PH_THING_BLOCK, p);
    bool live = t && t->kind == PH_THING_BLOCK && !t->gone;
    *size = live ? t->size : 0;
    if (t)
        ph_thing_notes(r, t);
    pthread_mutex_unlock(&ph_things_mu);
    return live;
}

void ph_block_lost(const void *p, const struct ph_act *given)
{
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = ph_thing_find_locked(PH_THING_BLOCK, p);
    if (t && t->kind == PH_THING_BLOCK && !t->gone && !t->given) {
        t->given = ph_alloc(sizeof *t->given);
        *t->given = *given;
    }
    pthread_mutex_unlock(&ph_things_mu);
}

bool ph_block_take(const void *p, size_t size, struct ph_report *r)
{
    size_t has;
    if (!find_block(p, &has, r))
        snprintf(r->text, sizeof r->text, "the answer at %p is neither in the buffer given nor from driver_alloc", p);
    else if (size > has)
        snprintf(r->text, sizeof r->text, "the answer is said to have %zu bytes, its block has %zu", size, has);
    else
        return true;
    return false;
}

/* --- memory of binaries (base/bin.h) --- */

static void *bin_alloc(size_t total, size_t used)
{
    (void)total;
    size_t head = PH_BIN_HEAD + offsetof(ErlDrvBinary, orig_bytes);
    return make(PH_THING_BINARY, used, used - head, PH_BIN_HEAD);
}

static struct ph_thing *bin_locked(void *block)
{
    return ph_thing_find_locked(PH_THING_BLOCK, (char *)block + PH_BIN_HEAD);
}

static void bin_free(void *block)
{
    struct ph_act act;
    struct ph_report r;
    ph_act_now(&act);
    pthread_mutex_lock(&ph_things_mu);
    bool found = ph_block_end_locked(bin_locked(block), &r, &act);
    pthread_mutex_unlock(&ph_things_mu);
    if (found)
        ph_report_tell(&r);
    ph_quarantine_drain(&act);
}

/* Of the host's own: drivers have ph_binary_realloc. */
static void *bin_realloc(void *block, size_t total, size_t used)
{
    char *new = bin_alloc(total, used);
    if (!new)
        return NULL;
    pthread_mutex_lock(&ph_things_mu);
    size_t before = bin_locked(block)->used;
    pthread_mutex_unlock(&ph_things_mu);
    memcpy(new, block, before < used ? before : used);
    bin_free(block);
    return new;
}

void ph_blocks_start(void)
{
    static const struct ph_bin_memory memory = {bin_alloc, bin_realloc, bin_free};
    ph_bin_set_memory(&memory);
}

/* --- looking --- */

void ph_blocks_look_recent(void)
{
    struct ph_report r;
    struct ph_act act;
    ph_act_now(&act);
    for (unsigned i = 0; i < RECENT && i < recent.n; i++) {
        bool found = false;
        pthread_mutex_lock(&ph_things_mu);
        struct ph_thing *t = ph_thing_find_locked(PH_THING_BLOCK, recent.at[i]);
        if (t)
            look(t, &act, &r, &found);
        pthread_mutex_unlock(&ph_things_mu);
        if (found)
            ph_report_tell(&r);
    }
}

static bool is_damaged(struct ph_thing *t, struct ph_report *r, const struct ph_act *act)
{
    struct ph_act of_maker = {.who = t->made.who};
    (void)act;
    return look_locked(t, r, &of_maker);
}

static bool is_left(const struct ph_thing *t)
{
    bool is_counted = t->kind == PH_THING_BINARY || t->kind == PH_THING_PDL;
    return !t->gone && (!is_counted || t->refs > 0);
}

/* Told once, and nobody's afterwards: the driver may be loaded again. */
static bool is_leak(struct ph_thing *t, struct ph_report *r, const struct ph_act *act)
{
    char what[80], who[160];
    if (!is_left(t))
        return false;
    ph_thing_what(t, what, sizeof what);
    ph_report_init(r, PH_VIOLATION_LEAK, act, "%s, made %s, is left when the driver is unloaded", what, ph_who_text(&t->made.who, who, sizeof who));
    ph_thing_notes(r, t);
    t->made.who.driver = NULL;
    return true;
}

/* Of those that are still there and the driver's, one after the other; others may go on meanwhile. */
static void tell_each(const struct ph_thing_name *names, size_t n, const struct ph_act *act,
                      bool (*fn)(struct ph_thing *t, struct ph_report *r, const struct ph_act *act))
{
    struct ph_report r;
    for (size_t i = 0; i < n; i++) {
        pthread_mutex_lock(&ph_things_mu);
        struct ph_thing *t = ph_thing_find_locked(names[i].kind, names[i].at);
        bool found = t && t->made.who.driver == act->who.driver && fn(t, &r, act);
        pthread_mutex_unlock(&ph_things_mu);
        if (found)
            ph_report_tell(&r);
    }
}

void ph_things_left(const char *driver)
{
    struct ph_act act = {.who = ph_who_driver(driver, "finish")};
    size_t n;
    struct ph_thing_name *names = ph_things_of(act.who.driver, &n);
    tell_each(names, n, &act, is_damaged);
    tell_each(names, n, &act, is_leak);
    ph_free(names);
}
