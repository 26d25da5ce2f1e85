/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver can have, by address: who made it and where, who ended it. For check/. */
#ifndef PH_THING_H
#define PH_THING_H

#include <pthread.h>
#include <sys/queue.h>

#include "check/violation.h"

enum ph_thing_kind { PH_THING_BLOCK, PH_THING_BINARY, PH_THING_MUTEX, PH_THING_COND, PH_THING_RWLOCK, PH_THING_PDL, PH_THING_THREAD, PH_THING_KEY };

#define PH_HISTORY 6u

struct ph_ref_change {
    const char *function; /* static */
    long left;            /* what the driver had then */
    struct ph_act act;
};

struct ph_history {
    unsigned n; /* in all; the last PH_HISTORY are kept */
    struct ph_ref_change change[PH_HISTORY];
};

struct ph_thing { /* guarded by ph_things_mu */
    enum ph_thing_kind kind;
    bool gone;   /* freed, destroyed, joined; a block is in quarantine then */
    bool told;   /* its damage, or that it was left */
    bool orphan; /* a lock whose holder has gone */
    const void *at;
    struct ph_act *given; /* of a block: to a driver_async that nothing frees the data of, and whose port has ended. NULL: not so */
    size_t size; /* of a block, or of a binary's data */
    char *raw;   /* a block's memory, guards included */
    size_t used; /* of raw, between the guards */
    long refs;   /* of a binary or PDL: the driver's */
    struct ph_act made, ended;
    struct ph_history *history; /* NULL: no change yet */
    struct ph_sent *sent;       /* of a binary, see sent.c; NULL: nothing yet */
    TAILQ_ENTRY(ph_thing) link; /* in quarantine */
    char name[32];
};

extern pthread_mutex_t ph_things_mu; /* a leaf; reports are told without it */

struct ph_thing_name {
    enum ph_thing_kind kind;
    const void *at;
};
/* Where all are that this driver has made, gone or not, for who looks at one after the other and gives the mutex back in between; to be freed. */
struct ph_thing_name *ph_things_of(const char *driver, size_t *n);

/* All with ph_things_mu. */
struct ph_thing *ph_thing_new_locked(enum ph_thing_kind kind, const void *at, const char *name, const struct ph_act *made); /* takes the place of one that was there */
struct ph_thing *ph_thing_find_locked(enum ph_thing_kind kind, const void *at); /* blocks and binaries are one kind here; NULL: unknown */
void ph_thing_end_locked(struct ph_thing *t, const struct ph_act *ended);
void ph_thing_forget_locked(struct ph_thing *t); /* frees the record */
void ph_thing_change_locked(struct ph_thing *t, const char *function, const struct ph_act *act); /* to the history */
/* To a report of it: where it was made, where its references changed, where it ended. */
void ph_thing_notes(struct ph_report *r, const struct ph_thing *t);
const char *ph_thing_what(const struct ph_thing *t, char *buf, size_t size); /* "a block of 12 bytes", "the mutex \"x\"" */

#endif
