/* SPDX-License-Identifier: Apache-2.0 */
/* A walk has two marks in the list: up to where it has come, and behind the last that was there when it began, so that it ends however fast others add. */
#include "base/walk.h"

void ph_walk_begin(struct ph_members *list, struct ph_walk *w)
{
    w->at.object = w->end.object = NULL;
    TAILQ_INSERT_HEAD(list, &w->at, link);
    TAILQ_INSERT_TAIL(list, &w->end, link);
}

bool ph_walk_some(struct ph_members *list, struct ph_walk *w, size_t n, void (*fn)(void *object, void *arg), void *arg)
{
    struct ph_member *m = TAILQ_NEXT(&w->at, link);
    for (; n > 0 && m != &w->end; n--, m = TAILQ_NEXT(m, link)) /* others' marks count as well: there may be many */
        if (m->object)
            fn(m->object, arg);
    if (m == &w->end) {
        ph_walk_give_up(list, w);
        return false;
    }
    TAILQ_REMOVE(list, &w->at, link);
    TAILQ_INSERT_BEFORE(m, &w->at, link);
    return true;
}

void ph_walk_give_up(struct ph_members *list, struct ph_walk *w)
{
    TAILQ_REMOVE(list, &w->at, link);
    TAILQ_REMOVE(list, &w->end, link);
}
