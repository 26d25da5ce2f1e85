/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a reactor, for crew.c, which gives reactors to threads and takes them away. */
#ifndef PH_REACTOR_H
#define PH_REACTOR_H

#include "sched/sched.h"

/* Runs the reactor on this thread. True: it has come to its end (ph_reactors_stop). False: it was taken away while a callback ran, and is
 * another thread's already. */
bool ph_reactor_run(struct ph_reactor *r);
/* Changes whenever the reactor enters or leaves a lock's run; odd while it is in one. Any thread. */
uint64_t ph_reactor_stint(const struct ph_reactor *r);
/* Takes the reactor from its thread, which has been in the stint `seen` (odd) all the time. True: the caller must have it run by another. */
bool ph_reactor_take(struct ph_reactor *r, uint64_t seen);
bool ph_reactor_is_mine(void); /* Does the calling thread run a reactor, which has not been taken from it? */
/* True: each waits for events, or is about to; before it enters a lock's run it sees what the caller has written before this. Any thread. */
bool ph_reactors_sleep(void);

void ph_reactors_wake(void); /* they look at what there is to do. Any thread */

int ph_reactor_create(unsigned count); /* 0 or errno */
void ph_reactor_destroy_all(void);

/* --- crew.c --- */

/* A reactor is about to enter a driver: somebody must watch that it comes back. Cheap. */
void ph_crew_watch(void);

/* --- worker.c --- */

/* For the watch: starts another worker if locks wait and no worker has taken one since the last look. True: locks wait, or were taken. */
bool ph_workers_watch(void);
/* How many are in a lock's run, about now. Any thread. */
unsigned ph_workers_running(void);
/* Lets so many extra workers end as have had nothing to do since the last call. The watch's. */
void ph_workers_release(void);
void ph_workers_wake(void); /* those that wait look at what there is to do. Any thread */
/* No lock waits, none was taken since the watch has looked, and there are no workers to be let go or joined. Who brings one after this sees what the caller has written before. Any thread. */
bool ph_workers_quiet(void);

#endif
