/* SPDX-License-Identifier: Apache-2.0 */
/* A peer is the other end of a connection as ports and drivers see it: somewhere to send frames, processes to monitor, and
 * the ids of its ports. What reads from it (conn/) sits above. Reference-counted; outlives its connection while ports refer to it. */
#ifndef PH_PEER_H
#define PH_PEER_H

#include <erl_driver.h>
#include <stdbool.h>
#include <stdint.h>

#include "etf.h"
#include "proto.h"
#include "sched/sched.h"
#include "wbuf.h"

struct ph_peer;
struct ph_monitor;

/* What the connection above is asked for; called on the peer's reactor. */
struct ph_peer_owner {
    void (*drained)(void *conn); /* unsent and unprocessed bytes fell below the low marks: reading may go on */
    void (*broken)(void *conn, enum ph_fault fault, const char *why); /* NONE: writing failed, or too much is unsent. NO_MEMORY: a frame was lost, goodbye can be said */
    void *conn;
};

struct ph_peer *ph_peer_new(struct ph_reactor *r, int fd_out, uint64_t id, const struct ph_peer_owner *owner); /* new; borrows the fd until ph_peer_close. NULL: no memory */
struct ph_peer *ph_peer_ref(struct ph_peer *p);
void ph_peer_unref(struct ph_peer *p);
void ph_peer_ref_obj(void *p); /* the same as callbacks */
uint64_t ph_peer_id(const struct ph_peer *p);
struct ph_reactor *ph_peer_reactor(const struct ph_peer *p);
struct ph_lane *ph_peer_lane(struct ph_peer *p); /* of its requests in the lock of ddll, whose jobs hold references */

/* --- sending; any thread --- */

/* An empty frame (room for its length, and 131, written) to fill and commit before the next begin; per thread, borrowed. Refs in it are driver binaries. */
struct ph_wbuf *ph_peer_begin(void);
struct ph_wbuf *ph_peer_begin_with(const uint8_t *head, size_t len); /* the same, with the beginning of another frame that was begun like this */
/* Queues the frame, resets the buffer. Frames from one thread, and from one lock, stay in order. Dropped if the peer is closed. Without memory for it the connection ends. */
void ph_peer_commit(struct ph_peer *p, struct ph_wbuf *w);
/* Something that came from it, or is for it, is lost for lack of memory: nothing but goodbye follows, and its connection ends. Any thread. */
void ph_peer_starve(struct ph_peer *p);
bool ph_peer_is_open(const struct ph_peer *p);
size_t ph_peer_unsent(const struct ph_peer *p); /* bytes that wait to be written, about now */
/* Bytes of requests taken from the connection and not yet worked off: what holds back a client that floods. */
void ph_peer_charge(struct ph_peer *p, size_t bytes);
void ph_peer_discharge(struct ph_peer *p, size_t bytes);
bool ph_peer_may_read(const struct ph_peer *p);
/* May its ports be told that there is input? If not, ph_peer_on_input_again's function is called for it when they may. Any thread. */
bool ph_peer_may_input(struct ph_peer *p);
void ph_peer_on_input_again(void (*again)(struct ph_peer *p)); /* set once, at start; called on the peer's reactor */
/* Bytes that stay for the client until its ports are gone, or the drivers that it uses: names, set_data, users, monitors of drivers. False: over the limit, and not counted. */
bool ph_peer_keep(struct ph_peer *p, size_t bytes);
void ph_peer_unkeep(struct ph_peer *p, size_t bytes);
atomic_uint *ph_peer_names(struct ph_peer *p); /* its allowance for ph_pid_word */

/* --- for its connection, on its reactor --- */

void ph_peer_say_goodbye(struct ph_peer *p, enum ph_fault fault, const char *detail); /* detail may be NULL */
bool ph_peer_flush(struct ph_peer *p); /* writes what it can; true if nothing is left */
void ph_peer_drop_output(struct ph_peer *p); /* what is unsent, and all that is committed from now on; ports and monitors go on */
void ph_peer_close(struct ph_peer *p); /* drops what is unsent; its monitors fire. The owner is not called any more */

/* --- which peer speaks for a process --- */

/* From hello. routable: other connections' ports may send to that node through p; not so for nonode@nohost, which everybody is. */
void ph_peer_set_origin(struct ph_peer *p, ErlDrvTermData self, bool routable);
void ph_peer_commit_to(struct ph_peer *own, ErlDrvTermData pid, struct ph_wbuf *w); /* ph_peer_commit to ph_peer_for */
/* The peer to send to for process pid, when a port of `own` does it: new reference. */
struct ph_peer *ph_peer_for(struct ph_peer *own, ErlDrvTermData pid);

/* --- ids of its ports; any thread --- */

bool ph_peer_may_add_port(struct ph_peer *p); /* false, and counted, if it has as many as it may */
enum ph_added { PH_ADDED, PH_ADDED_IN_USE, PH_ADDED_NO_MEMORY };
enum ph_added ph_peer_add_port(struct ph_peer *p, uint64_t id, void *port); /* IN_USE: also closed or barred */
void ph_peer_bar_ports(struct ph_peer *p); /* from now on ph_peer_add_port fails */
void ph_peer_remove_port(struct ph_peer *p, uint64_t id); /* the id is free */
void ph_peer_port_told(struct ph_peer *p); /* the last frame about that port is committed: the connection may end */
void *ph_peer_get_port(struct ph_peer *p, uint64_t id, void (*ref)(void *port));
void ph_peer_each_port(struct ph_peer *p, void (*fn)(void *port, void *arg), void *arg); /* under the peer's mutex: fn must be short */
size_t ph_peer_port_count(struct ph_peer *p); /* that have an id */
bool ph_peer_has_ports(struct ph_peer *p);    /* also such as are not told yet */
/* Ids and port terms the client has granted for ports that drivers make. At most 64 are kept: false if there are so many, or no memory. */
bool ph_peer_grant(struct ph_peer *p, uint64_t id, struct ph_slice term);
struct ph_grant {
    STAILQ_ENTRY(ph_grant) link;
    uint64_t id;
    size_t len;
    uint8_t term[]; /* encoded */
};
struct ph_grant *ph_peer_take_grant(struct ph_peer *p); /* the first, or NULL; the caller's, to be returned or freed */
void ph_peer_return_grant(struct ph_peer *p, struct ph_grant *g); /* it was not used: it will be the next */
void ph_peer_free_grant(struct ph_grant *g);

/* --- process monitors (peer/monitor.c); any thread --- */

void ph_monitors_init(void); /* at start, when there is memory */

/* Asks the peer of pid to say when the process ends; then, or when that peer goes, calls fired(arg, id, reason) once on some reactor,
 * with arg's reference (taken here; dropped by unref after that or at cancel). The id is never 0; 0: the peer is closed, or no memory; arg not taken. */
uint64_t ph_monitor_new(struct ph_peer *own, ErlDrvTermData pid, void (*fired)(void *arg, uint64_t id), void (*unref)(void *arg), void *arg);
/* True if it was there and will not fire. */
bool ph_monitor_cancel(uint64_t id);
bool ph_monitor_was_made(uint64_t id, const void *arg); /* with this arg; of one that has ended it is not known any more with which */
/* `down` came from p: fires it if it is p's. */
void ph_monitor_down(struct ph_peer *p, uint64_t id);
void ph_monitors_of_closed_peer(struct ph_peer *p); /* for ph_peer_close */

#endif
