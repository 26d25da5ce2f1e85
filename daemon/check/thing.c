/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the records, in one map for each kind of address. */
#include "check/thing.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "check/memory.h"

pthread_mutex_t ph_things_mu = PTHREAD_MUTEX_INITIALIZER;

static struct ph_map maps[PH_THING_KEY + 1]; /* that of blocks has the binaries too */

static struct ph_map *map_of(enum ph_thing_kind kind)
{
    return &maps[kind == PH_THING_BINARY ? PH_THING_BLOCK : kind];
}

struct ph_thing *ph_thing_find_locked(enum ph_thing_kind kind, const void *at)
{
    return ph_map_get(map_of(kind), (uintptr_t)at);
}

void ph_thing_forget_locked(struct ph_thing *t)
{
    ph_free(t->given);
    ph_map_del(map_of(t->kind), (uintptr_t)t->at);
    ph_free(t->history);
    ph_free(t->sent);
    ph_free(t);
}

struct ph_thing *ph_thing_new_locked(enum ph_thing_kind kind, const void *at, const char *name, const struct ph_act *made)
{
    struct ph_thing *t = ph_thing_find_locked(kind, at);
    if (t)
        ph_thing_forget_locked(t);
    t = ph_calloc(1, sizeof *t);
    t->kind = kind;
    t->at = at;
    t->made = *made;
    snprintf(t->name, sizeof t->name, "%s", name ? name : "");
    ph_map_put(map_of(kind), (uintptr_t)at, t);
    return t;
}

void ph_thing_end_locked(struct ph_thing *t, const struct ph_act *ended)
{
    t->gone = true;
    t->ended = *ended;
}

void ph_thing_change_locked(struct ph_thing *t, const char *function, const struct ph_act *act)
{
    if (!t->history)
        t->history = ph_calloc(1, sizeof *t->history);
    t->history->change[t->history->n++ % PH_HISTORY] = (struct ph_ref_change){.function = function, .left = t->refs, .act = *act};
}

struct walk {
    const char *driver; /* compared by address */
    struct ph_thing_name *names; /* NULL: they are counted only */
    size_t n;
};

static void visit(void *thing, void *arg)
{
    const struct ph_thing *t = thing;
    struct walk *w = arg;
    if (t->made.who.driver != w->driver)
        return;
    if (w->names)
        w->names[w->n] = (struct ph_thing_name){t->kind, t->at};
    w->n++;
}

static void walk_locked(struct walk *w)
{
    w->n = 0;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        ph_map_each(&maps[i], visit, w);
}

struct ph_thing_name *ph_things_of(const char *driver, size_t *n)
{
    struct walk w = {.driver = driver};
    pthread_mutex_lock(&ph_things_mu);
    walk_locked(&w);
    w.names = ph_alloc((w.n + 1) * sizeof *w.names);
    walk_locked(&w);
    pthread_mutex_unlock(&ph_things_mu);
    *n = w.n;
    return w.names;
}

struct rest {
    const char *driver; /* compared by address */
    bool some, threads;
};

static void look_at_rest(void *thing, void *arg)
{
    const struct ph_thing *t = thing;
    struct rest *r = arg;
    if (t->gone || t->made.who.driver != r->driver)
        return;
    r->some = true;
    r->threads = r->threads || t->kind == PH_THING_THREAD || (t->kind == PH_THING_PDL && t->refs > 0);
}

bool ph_things_may_be_freed(const char *driver)
{
    struct rest r = {.driver = ph_who_driver(driver, "").driver};
    pthread_mutex_lock(&ph_things_mu);
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        ph_map_each(&maps[i], look_at_rest, &r);
    pthread_mutex_unlock(&ph_things_mu);
    return r.some && !r.threads;
}

void ph_thing_notes(struct ph_report *r, const struct ph_thing *t)
{
    char who[160];
    ph_report_note(r, &t->made.stack, "made %s", ph_who_text(&t->made.who, who, sizeof who));
    unsigned n = t->history ? t->history->n : 0;
    for (unsigned i = n > PH_HISTORY ? n - PH_HISTORY : 0; i < n; i++) {
        const struct ph_ref_change *c = &t->history->change[i % PH_HISTORY];
        ph_report_note(r, &c->act.stack, "%s %s: %ld left", c->function, ph_who_text(&c->act.who, who, sizeof who), c->left);
    }
    if (t->given)
        ph_report_note(r, &t->given->stack, "given to driver_async %s, which ended before the job was done", ph_who_text(&t->given->who, who, sizeof who));
    if (t->gone)
        ph_report_note(r, &t->ended.stack, "ended %s", ph_who_text(&t->ended.who, who, sizeof who));
}

const char *ph_thing_what(const struct ph_thing *t, char *buf, size_t size)
{
    static const char *const names[] = {[PH_THING_MUTEX] = "mutex", [PH_THING_COND] = "condition variable", [PH_THING_RWLOCK] = "rwlock",
                                        [PH_THING_PDL] = "port data lock", [PH_THING_THREAD] = "thread", [PH_THING_KEY] = "thread-specific data key"};
    if (t->kind == PH_THING_BLOCK)
        snprintf(buf, size, "a block of %zu bytes", t->size);
    else if (t->kind == PH_THING_BINARY)
        snprintf(buf, size, "a binary of %zu bytes", t->size);
    else
        snprintf(buf, size, "the %s \"%s\"", names[t->kind], t->name);
    return buf;
}
