/* SPDX-License-Identifier: Apache-2.0 */
/* erl_ddll's side of drivers: users, loading and unloading on their behalf, monitors (OTP reference: erl_ddll(3)). One lock of its
 * own, run by the workers, serialises all of it: loading may block, and no reactor may. */
#ifndef PH_DDLL_H
#define PH_DDLL_H

#include "driver/driver.h"
#include "etf.h"
#include "peer/peer.h"

enum ph_ddll_pending { PH_PENDING_NO, PH_PENDING_PROCESS /* `pending` */, PH_PENDING_DRIVER };
enum ph_ddll_when { PH_WHEN_LOADED, PH_WHEN_UNLOADED, PH_WHEN_UNLOADED_ONLY };

/* One request. Everything in it is the request's own (taken by ph_ddll_submit). */
struct ph_ddll_req {
    struct ph_job job;
    enum ph_request what;
    struct ph_peer *peer;  /* reference: who asks and is answered */
    size_t charge;         /* bytes charged to the peer */
    bool trusted;          /* may load from anywhere */
    uint8_t *frame;        /* what the slices point into; malloc'd */
    struct ph_slice tag, ref;
    ErlDrvTermData user;
    char *path, *name;     /* malloc'd; path NULL or "": the driver path */
    bool too_long;         /* a load whose path or name no file can have: path is NULL */
    struct ph_slice name_term, item; /* the name as it came, for immediate answers; info item or error reason */
    bool kill_ports;
    enum ph_ddll_pending monitor, reload;
    enum ph_ddll_when when;
};

void ph_ddll_init(void);
void ph_ddll_submit(struct ph_ddll_req *req);
void ph_ddll_req_free(struct ph_ddll_req *req);

/* For an open by that peer, or NULL, of a driver that is not loaded: charges the peer, looks for it in the driver path, on a worker, then calls done(arg, driver with a hold, or NULL and why: no_driver, driver_crashed or system_limit) there. */
void ph_ddll_autoload(struct ph_peer *peer, const char *name, size_t len, void (*done)(void *arg, struct ph_driver *d, const char *why), void *arg);
/* Loads it from the driver path as an open would, and waits until that is done: 0, also if it has crashed too often to be loaded; or -1 with a line in the log. Not from a thread that runs jobs. */
int ph_ddll_preload(const char *name);
/* driver_lock_driver: 0, or -1 if linked in. From a callback of one of its ports. */
int ph_ddll_make_permanent(struct ph_driver *d);
void ph_ddll_forget_peer(struct ph_peer *p); /* its connection has ended: nobody waits for messages there */
/* Set once by the port layer: ends all ports of the driver with reason driver_unloaded. */
void ph_ddll_on_kill_ports(void (*kill)(struct ph_driver *d));
/* At the end of the daemon, when no port is left: finish() of all, in a job; then done(). */
void ph_ddll_unload_all(void (*done)(void));

#endif
