/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the search. Called by expect.c. Where no variable is without a value a pairing is found by augmenting paths; else patterns are tried one
 * after the other, and once that has failed somewhere it is left at the first point from which not even such a pairing is there. */
#include "script/assign.h"

#include <string.h>

#define BIT(i) (UINT64_C(1) << (i))

/* ---- what fits what ---- */

struct open {
    const struct ph_vars *vars;
    bool found;
};

static void look_open(void *arg, struct ph_text name)
{
    struct open *o = arg;
    o->found |= !ph_text_is(name, "_") && !ph_text_is(name, "<<") && ph_vars_get(o->vars, name).len == 0;
}

/* Whether a variable of the pattern is without a value. */
static bool is_open(const struct ph_assignment *a, size_t p)
{
    struct open o = {.vars = a->vars};
    if (!(a->steady & BIT(p)))
        ph_pattern_each_var(a->patterns[p], look_open, &o);
    return o.found;
}

/* The messages from one on that the pattern fits, with variables as they are. */
static uint64_t fitting(const struct ph_assignment *a, size_t p, size_t from)
{
    uint64_t set = 0;
    size_t bound = a->vars->n;
    for (size_t m = from; m < a->n; m++) {
        if (ph_pattern_match(a->patterns[p], a->messages[m], a->vars, NULL))
            set |= BIT(m);
        ph_vars_truncate(a->vars, bound);
    }
    return set;
}

static void learn(struct ph_assignment *a)
{
    for (size_t p = 0; a->known == 0 && p < a->npatterns; p++)
        if (!is_open(a, p))
            a->steady |= BIT(p);
    for (size_t p = 0; p < a->npatterns && a->known < a->n; p++)
        if (a->steady & BIT(p))
            a->fits[p] |= fitting(a, p, a->known);
    if (a->known < a->n)
        a->known = a->n;
}

/* ---- pairing ---- */

struct pairing {
    size_t npatterns;
    uint64_t fits[PH_ASSIGN_MAX], tried;
    int message_of[PH_ASSIGN_MAX]; /* -1: none */
};

/* The message gets a pattern; who had that gets another. */
static bool place(struct pairing *q, size_t m)
{
    for (size_t p = 0; p < q->npatterns; p++) {
        if (!(q->fits[p] & BIT(m)) || (q->tried & BIT(p)))
            continue;
        q->tried |= BIT(p);
        if (q->message_of[p] >= 0 && !place(q, (size_t)q->message_of[p]))
            continue;
        q->message_of[p] = (int)m;
        return true;
    }
    return false;
}

/* Whether each message from i on can have a pattern of its own, if what one gives to variables does not matter to others. *taken gets those patterns. */
static bool pair_rest(const struct ph_assignment *a, size_t i, uint64_t *taken)
{
    struct pairing q = {.npatterns = a->npatterns};
    for (size_t p = 0; p < a->npatterns; p++) {
        q.message_of[p] = -1;
        if (!(a->used & BIT(p)))
            q.fits[p] = a->steady & BIT(p) ? a->fits[p] : fitting(a, p, i);
    }
    for (size_t m = i; m < a->n; m++) {
        q.tried = 0;
        if (!place(&q, m))
            return false;
    }
    for (size_t p = 0; p < a->npatterns; p++)
        if (q.message_of[p] >= 0)
            *taken |= BIT(p);
    return true;
}

/* ---- the search ---- */

static bool assign_from(struct ph_assignment *a, size_t i);

static bool same_as_tried(const struct ph_assignment *a, uint64_t tried, size_t p)
{
    for (size_t q = 0; q < p; q++)
        if ((tried & BIT(q)) && a->patterns[q].len == a->patterns[p].len && memcmp(a->patterns[q].p, a->patterns[p].p, a->patterns[p].len) == 0)
            return true;
    return false;
}

static bool try_each(struct ph_assignment *a, size_t i)
{
    bool checked = a->careful;
    size_t bound = a->vars->n;
    uint64_t tried = 0, ignored = 0;
    for (size_t p = 0; p < a->npatterns; p++) {
        if ((a->used & BIT(p)) || same_as_tried(a, tried, p))
            continue;
        tried |= BIT(p);
        if (!ph_pattern_match(a->patterns[p], a->messages[i], a->vars, NULL))
            continue;
        a->used |= BIT(p);
        if (assign_from(a, i + 1))
            return true;
        a->used &= ~BIT(p);
        ph_vars_truncate(a->vars, bound);
        a->careful = true;
        if (a->stopped || (!checked && !pair_rest(a, i, &ignored)))
            return false;
        checked = true;
    }
    return false;
}

static bool assign_from(struct ph_assignment *a, size_t i)
{
    bool open = false;
    if (i == a->n)
        return true;
    a->stopped = a->stopped || a->must_stop(a->arg);
    if (a->stopped)
        return false;
    for (size_t p = 0; p < a->npatterns && !open; p++)
        open = !(a->used & BIT(p)) && is_open(a, p);
    if (!open)
        return pair_rest(a, i, &a->used);
    uint64_t ignored = 0;
    return (!a->careful || pair_rest(a, i, &ignored)) && try_each(a, i);
}

bool ph_assign(struct ph_assignment *a)
{
    learn(a);
    a->used = 0;
    a->careful = false;
    return assign_from(a, 0);
}
