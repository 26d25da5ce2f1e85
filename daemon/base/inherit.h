/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that each thread has of its own and that outlive it, for others read them: when the thread ends the next one that needs such a block goes on with it. So there
 * are no more of them than there were threads at a time. Any thread, no lock but its own, a leaf. */
#ifndef PH_INHERIT_H
#define PH_INHERIT_H

#include <pthread.h>
#include <stdbool.h>

struct ph_inherited { /* the beginning of a block */
    struct ph_inherited *next;
    struct ph_inheritance *of;
};

struct ph_inheritance { /* of one kind of blocks; static */
    void (*gone)(void); /* the thread, which ends, must not use its block any more */
    pthread_mutex_t mu; /* guards the rest */
    struct ph_inherited *left;
    pthread_key_t key;
    bool made;
};
#define PH_INHERITANCE(function) {.gone = function, .mu = PTHREAD_MUTEX_INITIALIZER}

/* A block that an ended thread has left, this thread's from now on; or NULL: make a new one, and ph_bequeath it. */
void *ph_inherit(struct ph_inheritance *i);
/* The block is this thread's, and the next one's. */
void ph_bequeath(struct ph_inheritance *i, struct ph_inherited *block);

#endif
