/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent to a port before its driver is known: daemon/port/port.c (ph_port_submit, ph_port_set_lock, ph_port_await_lock), open.c, sched/lock.c (ph_lock_adopt).
 * For scripts/model.
 *
 * A client sends three requests, somebody else one; meanwhile the driver is found, and the port's lock is set with start() in front. The lock is run by a worker.
 * What a mutex guards that nothing else looks at is one step.
 *
 * Looked for: a request that is lost, or overtakes another of its client, or start(); a start() that does not find the port's lock. */

#define REQUESTS 3
#define START 9
#define OTHER 8

bit pending_mu;              /* port.c */
bit lock;                    /* port->lock is set */
chan lane = [5] of { byte };
bit waiting, runs;           /* the lane is in the lock's list; the lock has a runner */

/* What is looked at, not part of the daemon. */
byte done;
bit started, other;

inline enter(mu) { atomic { !mu -> mu = 1 } }

/* lock.c, ph_lock_submit: under lock->mu */
inline lock_submit(job) { d_step { lane!job; waiting = 1 } }

/* port.c, ph_port_submit */
inline submit(job)
{
    has = lock;
    if
    :: !has ->
       enter(pending_mu);
#ifndef BROKEN_DOES_NOT_LOOK_AGAIN
       has = lock;
#endif
       if
       :: !has -> lane!job
       :: has
       fi;
       pending_mu = 0
    :: has
    fi;
    if
    :: has -> lock_submit(job)
    :: !has
    fi
}

active proctype client()
{
    byte n = 1;
    bit has;
    do
    :: n <= REQUESTS -> submit(n); n++
    :: n > REQUESTS -> break
    od
}

active proctype somebody()
{
    bit has;
    submit(OTHER)
}

/* port.c, ph_port_set_lock; open.c, begin */
active proctype loader()
{
    byte j, n;
    enter(pending_mu);
#ifdef BROKEN_PUBLISHES_FIRST
    lock = 1;
#endif
    d_step { /* STAILQ_INSERT_HEAD */
        n = len(lane);
        lane!START;
        do
        :: n > 0 -> lane?j; lane!j; n--
        :: n == 0 -> break
        od
    };
    waiting = 1; /* ph_lock_adopt */
#ifndef BROKEN_PUBLISHES_FIRST
    lock = 1;
#endif
    pending_mu = 0
}

active proctype worker()
{
    byte job;
    do
    :: true ->
end_idle:
       waiting; /* lock.c, take_lane */
       do
       :: d_step { nempty(lane) -> lane?job };
          if
          :: job == START -> /* open.c, run_start */
#ifndef BROKEN_DOES_NOT_AWAIT
             enter(pending_mu); /* ph_port_await_lock */
             pending_mu = 0;
#endif
             assert(lock && !started);
             started = 1
          :: job == OTHER -> assert(started); other = 1
          :: job <= REQUESTS -> assert(started && job == done + 1); done = job
          fi
       :: d_step { empty(lane) -> waiting = 0 } ; break
       od
    od
}

init
{
    timeout;
    assert(started && other && done == REQUESTS)
}
