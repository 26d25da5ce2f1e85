/* SPDX-License-Identifier: Apache-2.0 */
/* Users and waiters of a driver, for the files of ddll. Only jobs of ddll's lock touch them. */
#ifndef PH_DDLL_STRUCT_H
#define PH_DDLL_STRUCT_H

#include "driver/ddll.h"

struct ph_user { /* a process that has loaded the driver, count times */
    LIST_ENTRY(ph_user) link;
    struct ph_peer *peer; /* reference */
    ErlDrvTermData pid;
    unsigned count;
    uint64_t monitor; /* of the process, see peer.h */
};

struct ph_waiter { /* one message to come */
    TAILQ_ENTRY(ph_waiter) link;
    struct ph_peer *peer; /* reference */
    ErlDrvTermData pid;
    enum ph_ddll_when when;
    size_t ref_len;
    uint8_t ref[]; /* encoded reference */
};

#define PH_UNLOAD_WAITS (1u << PH_WHEN_UNLOADED | 1u << PH_WHEN_UNLOADED_ONLY)

/* --- ddll.c --- */
void ph_ddll_run(struct ph_job *job); /* in ddll's lock; any thread */

/* --- ddll_unload.c --- */
struct ph_user *ph_user_find(struct ph_driver *d, ErlDrvTermData pid, const struct ph_peer *peer); /* NULL: not there */
void ph_user_add(struct ph_driver *d, const struct ph_ddll_req *req); /* or counts it once more */
void ph_user_free(struct ph_user *u);
bool ph_user_is_only(struct ph_driver *d); /* has the driver one user, who has loaded it once? */
/* Its process or its connection has ended: d may be gone afterwards. */
void ph_user_gone(struct ph_driver *d, struct ph_user *u);
/* Does what the status says if nothing holds the driver any more: d may be gone afterwards. */
void ph_ddll_go_if_idle(struct ph_driver *d);
/* The driver is to go, or to be loaded anew (status). req, if not NULL, is answered: only when the status is set, for who has the answer may open the driver at
 * once, but before anybody is told what follows. d may be gone afterwards. */
void ph_ddll_go(struct ph_driver *d, enum ph_driver_status status, const struct ph_ddll_req *req, const char *answer, bool with_ref);
void ph_ddll_try_unload(struct ph_ddll_req *req, struct ph_driver *d);

/* --- ddll_wait.c --- */
void ph_waiter_add(struct ph_driver *d, const struct ph_ddll_req *req, enum ph_ddll_when when);
void ph_waiters_tell(struct ph_driver *d, unsigned whens, const char *up_or_down, const char *what); /* whens: bits 1 << when; they are removed */
void ph_waiters_tell_load_failure(struct ph_driver *d, const struct ph_load_error *err);
bool ph_waiter_remove(struct ph_driver *d, struct ph_peer *peer, struct ph_slice ref);
void ph_waiters_remove_of(struct ph_driver *d, const struct ph_peer *peer);
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
