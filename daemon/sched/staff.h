/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of one kind, of which there are more while they are needed. For crew.c and worker.c, each of which has one, guarded by a mutex of its own: who calls has it locked where
 * the name says so. */
#ifndef PH_STAFF_H
#define PH_STAFF_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define PH_STAFF_EXTRA 64u /* threads beyond those that there always are, for when those are stuck */

struct ph_staff {
    unsigned n;    /* threads, without those that have left */
    unsigned idle; /* those that wait for something to do, or have been woken or started and have not come to do it yet */
    pthread_t *threads, left[PH_STAFF_EXTRA]; /* left: have ended, and are to be joined */
    unsigned most, left_n;
    unsigned idle_least; /* since ph_staff_release_locked */
    unsigned leave;      /* so many idle ones are to end */
    const char *name;
    size_t stack;
};

void ph_staff_init(struct ph_staff *s, const char *name, unsigned count, size_t stack); /* name: static; count: that there always are */
int ph_staff_start_locked(struct ph_staff *s, void *(*run)(void *)); /* one more, which is idle; 0 or errno: EAGAIN if there are as many as there may be */
/* An idle thread has something to do again, or ends. */
void ph_staff_wakes_locked(struct ph_staff *s);
/* The calling thread, which is idle, has to end; false: nobody has to any more, or it is none of them. */
bool ph_staff_leaves_locked(struct ph_staff *s);
/* Joins those that have left. At most extra threads are to end, of those that have had nothing to do since the last call; true: some are, and are to be woken. */
void ph_staff_join_left(struct ph_staff *s, pthread_mutex_t *mu);
bool ph_staff_release_locked(struct ph_staff *s, unsigned extra);
void ph_staff_join(struct ph_staff *s, pthread_mutex_t *mu); /* all of them, at the end, and frees what there is; nobody starts one any more */

#endif
