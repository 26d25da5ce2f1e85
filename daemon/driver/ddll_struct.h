/* SPDX-License-Identifier: Apache-2.0 */
/* Users and waiters of a driver, for the files of ddll. Only jobs of ddll's lock touch them.
 * How many there are is the clients' choice: each is in a tree, too (tsearch), for whose depth keys that a client picks make no difference, and counts in what is kept for
 * its connection (ph_peer_keep). */
#ifndef PH_DDLL_STRUCT_H
#define PH_DDLL_STRUCT_H

#include "driver/ddll.h"

#define PH_DDLL_KEPT_LEAST 1024u /* bytes that each counts as at least: they take time rather than memory, when the driver goes */

struct ph_watch { /* first in a user or waiter: the process that it is for */
    atomic_uint refs;         /* the registry's, the monitor's, the job's */
    struct ph_driver *driver; /* NULL: in no list any more */
    struct ph_peer *peer;     /* reference */
    ErlDrvTermData pid;
    size_t kept;
    uint64_t monitor;         /* of the process, see peer.h; 0: none */
    void (*gone)(struct ph_watch *w);
    struct ph_job down;       /* with a reference: the process has ended */
};

struct ph_user { /* a process that has loaded the driver, count times */
    struct ph_watch watch;
    LIST_ENTRY(ph_user) link;
    unsigned count;
};

struct ph_waiter { /* one message to come */
    struct ph_watch watch;
    TAILQ_ENTRY(ph_waiter) link;
    enum ph_ddll_when when;
    struct ph_slice ref; /* encoded reference: in body */
    uint8_t body[];
};

static inline bool ph_driver_reloads(const struct ph_driver *d)
{
    return d->status == PH_DRIVER_RELOAD || d->status == PH_DRIVER_FORCE_RELOAD;
}

#define PH_UNLOAD_WAITS (1u << PH_WHEN_UNLOADED | 1u << PH_WHEN_UNLOADED_ONLY)

/* --- ddll.c --- */
void ph_ddll_run(struct ph_peer *peer, struct ph_job *job); /* in ddll's lock, behind the requests of that peer; any thread */

/* --- ddll_load.c --- */
void ph_ddll_try_load(struct ph_ddll_req *req, struct ph_driver *d);
/* For a client that is not trusted: the resolved file (malloc'd), or NULL and err. */
char *ph_ddll_permitted(const char *name, const char *file, uint64_t conn, struct ph_load_error *err);
/* A new driver from file (taken), listed, its user being req's unless req is NULL; NULL and err. */
struct ph_driver *ph_ddll_load_file(const char *name, const struct ph_ddll_req *req, char *file, struct ph_load_error *err);

/* --- ddll_watch.c --- */
int ph_watch_order(uint64_t a, uint64_t b);                   /* for trees: as strcmp */
int ph_watch_by_peer(const void *key, const void *watch); /* the same, of what begins with a watch */
/* size bytes that begin with a watch, for the process of a request: the rest is zero, and driver to be set by who lists it. When the process has ended, gone is called in ddll's
 * lock, if it is listed still. NULL, and why. */
void *ph_watch_new(size_t size, const struct ph_ddll_req *req, void (*gone)(struct ph_watch *w), const char **why);
bool ph_watch_begin(struct ph_watch *w);   /* monitors the process; false: the connection that speaks for it has closed, or no memory */
void ph_watch_is_over(struct ph_watch *w); /* as if it had just ended */
void ph_watch_end(struct ph_watch *w);     /* it is listed no more: freed, when a down that is on its way has come */

/* --- ddll_user.c --- */
struct ph_user *ph_user_find(struct ph_driver *d, ErlDrvTermData pid, struct ph_peer *peer); /* NULL: not there */
/* One more, or counts it once more. NULL, and why not. */
struct ph_user *ph_user_add(struct ph_driver *d, const struct ph_ddll_req *req, const char **why);
void ph_user_watch(struct ph_user *u); /* after the answer to ph_user_add: monitors one that is new */
void ph_user_drop(struct ph_user *u);  /* counts it once less: it may be gone afterwards */
void ph_user_free(struct ph_user *u);
bool ph_user_is_only(struct ph_driver *d); /* has the driver one user, who has loaded it once? */
bool ph_user_forget(struct ph_peer *peer); /* one user of that peer is gone; false: it has none */

/* --- ddll_unload.c --- */
/* Its process or its connection has ended: the driver may be gone afterwards. */
void ph_user_gone(struct ph_user *u);
/* Does what the status says if nothing holds the driver any more: d may be gone afterwards. */
void ph_ddll_go_if_idle(struct ph_driver *d);
/* The driver is to go, or to be loaded anew (status). req, if not NULL, is answered: only when the status is set, for who has the answer may open the driver at
 * once, but before anybody is told what follows. d may be gone afterwards. */
void ph_ddll_go(struct ph_driver *d, enum ph_driver_status status, const struct ph_ddll_req *req, const char *answer, bool with_ref);
void ph_ddll_try_unload(struct ph_ddll_req *req, struct ph_driver *d);

/* --- ddll_wait.c --- */
/* Before the answer: NULL, or why not. Its process is monitored from now on. */
const char *ph_waiter_add(struct ph_driver *d, const struct ph_ddll_req *req, enum ph_ddll_when when);
void ph_waiters_tell(struct ph_driver *d, unsigned whens, const char *up_or_down, const char *what); /* whens: bits 1 << when; they are removed */
void ph_waiters_tell_load_failure(struct ph_driver *d, const struct ph_load_error *err);
void ph_waiter_remove(struct ph_peer *peer, struct ph_slice ref); /* one that waits for a message with that reference, if there is any */
bool ph_waiter_forget(struct ph_peer *peer);                      /* one of that peer; false: it has none */
void ph_waiters_free(struct ph_driver *d);
/* A message right away, with the name as the caller wrote it. */
void ph_ddll_tell_now(const struct ph_ddll_req *req, const char *up_or_down, const char *what);
void ph_ddll_reply_pending(const struct ph_ddll_req *req, const char *what, bool with_ref);

/* --- ddll_info.c --- */
void ph_ddll_info(struct ph_ddll_req *req, struct ph_driver *d);
void ph_ddll_list_drivers(struct ph_ddll_req *req);
void ph_ddll_format_error(struct ph_ddll_req *req);
void ph_w_load_error(struct ph_wbuf *w, const struct ph_load_error *err);

#endif
