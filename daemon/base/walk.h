/* SPDX-License-Identifier: Apache-2.0 */
/* Lists that are walked in pieces, between which members come and go: for what is too much for one turn of a reactor. The list's owner has a mutex for it and all walks in it. */
#ifndef PH_WALK_H
#define PH_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct ph_member { /* embedded in the object */
    TAILQ_ENTRY(ph_member) link;
    void *object; /* NULL: a mark of a walk */
};
TAILQ_HEAD(ph_members, ph_member);

struct ph_walk { /* its address must not change */
    struct ph_member at, end;
};

static inline void ph_member_add(struct ph_members *list, struct ph_member *m, void *object)
{
    m->object = object;
    TAILQ_INSERT_TAIL(list, m, link);
}

static inline void ph_member_remove(struct ph_members *list, struct ph_member *m)
{
    TAILQ_REMOVE(list, m, link);
}

/* Of those that are there now; each is visited once, unless it goes before. In the order in which they were added. */
void ph_walk_begin(struct ph_members *list, struct ph_walk *w);
/* fn for the next, at most n; it must not change the list. False: that was the last piece, and the walk is over. */
bool ph_walk_some(struct ph_members *list, struct ph_walk *w, size_t n, void (*fn)(void *object, void *arg), void *arg);
void ph_walk_give_up(struct ph_members *list, struct ph_walk *w); /* one that is not over */

#endif
