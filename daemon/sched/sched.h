/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs what: port locks as queues of jobs, and the threads that run them.
 *
 *   job      one entry into a driver (a command, a timer, a ready fd, ...), embedded in a larger struct
 *   lane     a FIFO of jobs: one port's, embedded in it
 *   lock     lanes that take turns, of whose jobs one thread at a time runs any; nobody ever waits for one
 *   reactor  a thread with an event base: connections, listeners, timers, selected fds, and quick jobs
 *   worker   a thread of the pool that runs the jobs of heavy drivers
 */
#ifndef PH_SCHED_H
#define PH_SCHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

uint64_t ph_now_ns(void); /* CLOCK_MONOTONIC */

struct event_base;
struct ph_reactor;
struct ph_lock;

struct ph_job {
    STAILQ_ENTRY(ph_job) link;
    void (*run)(struct ph_job *job); /* takes the job: frees it or submits it again */
};
STAILQ_HEAD(ph_jobs, ph_job);

/* Of one lock. Its owner must live as long as jobs are in it: jobs hold references. Guarded by the lock's mutex once the lock knows of it. */
struct ph_lane {
    STAILQ_ENTRY(ph_lane) link;
    struct ph_jobs jobs; /* some: the lane is in the lock's list */
};

/* --- locks (lock.c) --- */

void ph_lane_init(struct ph_lane *lane);

/* New, one reference. home: the reactor that runs its jobs when they come from elsewhere. pace_of: the lock whose measured run
 * times decide (a driver's lock for its ports' locks; a reference is taken), or NULL for its own. */
struct ph_lock *ph_lock_new(struct ph_reactor *home, struct ph_lock *pace_of);
struct ph_lock *ph_lock_ref(struct ph_lock *l);
void ph_lock_unref(struct ph_lock *l);
/* From now on, whatever the pace; for a driver's lock also of those whose pace it is. The administrator's word: NEVER goes before ph_lock_force_worker. */
enum ph_run_by { PH_RUN_BY_PACE, PH_RUN_ALWAYS_BY_WORKER, PH_RUN_NEVER_BY_WORKER };
void ph_lock_run_by(struct ph_lock *l, enum ph_run_by by);
void ph_lock_force_worker(struct ph_lock *l); /* from now on, whatever the pace: {parallelism,true}, loading of drivers */

/* Appends the job (taken) to the lane. Any thread, never blocks, never runs the job itself: jobs run in the current turn
 * of the reactor that brings them, or on its home reactor, or on a worker. */
void ph_lock_submit(struct ph_lock *l, struct ph_lane *lane, struct ph_job *job);
void ph_lock_submit_all(struct ph_lock *l, struct ph_lane *lane, struct ph_jobs *jobs); /* the same for several, at least one, in their order; jobs becomes empty */
/* The same for all that was put into the lane before the lock was known. */
void ph_lock_adopt(struct ph_lock *l, struct ph_lane *lane);
/* Only from a job of this lock: puts jobs before all that wait in the lane, keeping their order; jobs becomes empty. */
void ph_lock_requeue(struct ph_lock *l, struct ph_lane *lane, struct ph_jobs *jobs);
/* Runs waiting jobs within the budget; for reactors and workers, who got the lock from ph_lock_submit's choice. */
void ph_lock_run(struct ph_lock *l);

/* --- reactors (reactor.c) --- */

struct ph_task { /* something for a reactor to do that enters no driver */
    STAILQ_ENTRY(ph_task) link;
    void (*run)(struct ph_task *task); /* takes the task */
};

/* For all three kinds of threads: stack in bytes, 0 for the system's default; 0 or errno. */
int ph_reactors_start(unsigned count, size_t stack); /* the calling thread is one of those that run them, see ph_reactor_main */
/* Before start: how long they poll before they sleep (0: not at all). At most half of the cores do at a time, and none while workers have them all. */
void ph_reactors_poll(unsigned microseconds, unsigned cores);
void ph_reactor_main(void);                       /* until ph_reactors_stop, and all have ended */
void ph_reactors_stop(void);                      /* any thread: makes ph_reactor_main return; then ph_reactors_join */
void ph_reactors_join(void);                      /* whoever stops, submits or posts from a thread of its own must be through with it */
struct ph_reactor *ph_reactor_next(void);         /* round robin, for a new connection */
struct ph_reactor *ph_reactor_first(void);
struct ph_reactor *ph_reactor_at(unsigned index); /* NULL behind the last */
struct event_base *ph_reactor_base(struct ph_reactor *r);
uint8_t *ph_reactor_buffer(struct ph_reactor *r, size_t *size); /* scratch for reading; only on its own thread, within one event callback */
void ph_reactor_post(struct ph_reactor *r, struct ph_task *task); /* any thread; the task (taken) runs in the next turn, in order */
/* Runs at the end of the current turn, or of the next. Any thread. For flushing output once per turn. */
void ph_reactor_at_turn_end(struct ph_reactor *r, struct ph_task *task);
void ph_reactor_take_lock(struct ph_reactor *r, struct ph_lock *l); /* for lock.c: a queued lock (with its reference) to run */

/* --- workers (worker.c) --- */

int ph_workers_start(unsigned count, size_t stack);
void ph_workers_stop(void); /* lets what is queued run, then joins */
void ph_worker_take_lock(struct ph_lock *l); /* for lock.c */

/* --- async threads (async.c) --- */

struct ph_async_job {
    STAILQ_ENTRY(ph_async_job) link;
    void (*invoke)(struct ph_async_job *job); /* on the async thread; takes the job */
    long id;
};
int ph_async_start(unsigned count, size_t stack); /* with 0 nothing may be submitted */
void ph_async_stop(void);                       /* runs what is queued, then joins */
void ph_async_wake(void);                       /* for crew.c, at any time: all threads look at what they have to do */
/* Queues the job (taken) for the thread *key modulo their number (*key is set to that), or the next one if key is NULL. Its id, > 0. In a reactor's turn the thread may be
 * woken a little later, by ph_async_wake_late or ph_async_wake_due: whoever is woken often takes the core from who wakes, which has answers to write. */
long ph_async_submit(unsigned *key, struct ph_async_job *job);
void ph_async_wake_due(void); /* for reactor.c: wakes those that this thread has let sleep; at the end of a turn, and when it has lost the reactor */
extern _Thread_local struct ph_async_due {
    uint64_t threads; /* those that are to be woken, a bit for each */
    uint64_t since_ns;
} ph_async_due;
#define PH_ASYNC_LATE_NS 50000u
static inline void ph_async_wake_late(uint64_t now_ns) /* for lock.c, after each job: the same if it is some time since */
{
    if (ph_async_due.threads && now_ns - ph_async_due.since_ns > PH_ASYNC_LATE_NS)
        ph_async_wake_due();
}
/* Takes back a job that has not begun; NULL if it has, or never was. The caller owns it again. */
struct ph_async_job *ph_async_cancel(long id);

unsigned ph_async_threads(void);
unsigned ph_scheduler_threads(void); /* reactors and workers: what a driver sees as schedulers */

#endif
