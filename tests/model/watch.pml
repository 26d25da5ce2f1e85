/* SPDX-License-Identifier: Apache-2.0 */
/* How the watch falls asleep while nothing happens, and is awake when a callback does not come back: daemon/sched/crew.c (watch, look, find_threads, may_sleep, ph_crew_watch),
 * reactor.c (ph_reactors_sleep, empty_inbox, may_sleep, run_turn), worker.c (ph_worker_take_lock, ph_workers_watch, ph_workers_quiet). For scripts/model.
 *
 * One reactor that events come to, one worker, and a watch that sleeps after one quiet look. Any callback may never come back by itself: then the reactor must be
 * taken, or another worker started. Now and then no thread can be started.
 *
 * Looked for: a reactor that stays with a thread that is stuck, or a lock that waits for a worker that is; a watch that wakes and sleeps for ever. */

#define EVENTS 2
#define LOCKS 2
#ifndef FAILURES
#define FAILURES 2
#endif
#ifdef BROKEN_DOES_NOT_TRY_AGAIN
#define TRIES (orphan && took)
#else
#define TRIES (orphan)
#endif

/* crew.c */
bit watch_sleeps;
bit orphan;            /* the reactor was taken, and nobody has it */
byte failures = FAILURES; /* so often starting a thread may fail */

/* struct ph_reactor */
byte events;           /* what event_base_loop waits for */
bit awake;
byte stint;
bit taken;             /* there is a spare thread that goes on with it, here */

/* worker.c */
byte waiting;          /* locks in the queue */
byte idle;             /* workers */
byte more;             /* workers to be started yet */
bool taken_one;        /* pool.taken != pool.seen */

inline crew_watch() /* ph_crew_watch */
{
    if
    :: watch_sleeps -> watch_sleeps = 0
    :: !watch_sleeps
    fi
}

active proctype outside()
{
    byte n;
    do
    :: n < EVENTS -> events++; n++
    :: n == EVENTS -> break
    od
}

/* Whichever thread has it. */
active proctype reactor()
{
    do
    :: true ->
       awake = 0; /* may_sleep */
end_idle:
       events > 0;
       awake = 1; /* empty_inbox: after the event, before the lock's run */
       events--;
#ifndef BROKEN_NOBODY_IS_WOKEN
       crew_watch(); /* run_turn */
#endif
       stint++;
       if
       :: true
       :: true -> taken /* the callback takes until another thread goes on with the reactor */
       fi;
       d_step {
           if
           :: taken -> taken = 0 /* the spare thread goes on */
           :: orphan -> orphan = 0 /* next_reactor: it does itself */
           :: else -> stint++
           fi
       }
    od
}

/* A thread of another that makes a heavy lock ready. */
active proctype submitter()
{
    byte n;
    do
    :: n < LOCKS ->
       waiting++; /* ph_worker_take_lock */
       crew_watch();
       n++
    :: n == LOCKS -> break
    od
}

proctype worker()
{
    do
    :: true ->
end_idle:
       d_step { waiting > 0 -> waiting--; idle--; taken_one = 1 };
       if
       :: idle++
       :: true ->
end_stuck: false /* the callback never comes back */
       fi
    od
}

active proctype watch()
{
    byte seen;
    bit quiet, active_now, took;
    do
    :: true ->
       /* look: ph_workers_watch */
       atomic {
           active_now = waiting > 0 || taken_one;
           if
           :: waiting > 0 && idle == 0 && !taken_one && more > 0 -> more--; idle++; run worker()
           :: waiting > 0 && idle == 0 && !taken_one && failures > 0 -> failures--
           :: !(waiting > 0 && idle == 0 && !taken_one && (more > 0 || failures > 0))
           fi;
           taken_one = 0
       };
       d_step { /* and each reactor */
           active_now = active_now || stint != seen;
           if
           :: (stint & 1) && stint == seen -> stint++; orphan = 1; took = 1
           :: else
           fi;
           seen = stint
       };
       atomic { /* find_threads */
           if
           :: TRIES -> orphan = 0; taken = 1
           :: TRIES && failures > 0 -> failures--; active_now = 1
           :: !TRIES
           fi;
           took = 0
       };
       if
       :: active_now -> quiet = 0
       :: !active_now && !quiet -> quiet = 1
       :: !active_now && quiet ->
          watch_sleeps = 1;
#ifndef BROKEN_SLEEPS_WITHOUT_LOOKING
          d_step { active_now = waiting > 0 || taken_one }; /* ph_workers_quiet */
#ifndef BROKEN_LOOKS_AT_WORKERS_ONLY
          active_now = active_now || awake; /* ph_reactors_sleep */
#endif
          if
          :: active_now -> watch_sleeps = 0
          :: !active_now
          fi;
#endif
end_sleep:
          !watch_sleeps;
          quiet = 0
       fi
    od
}

init
{
    atomic { idle = 1; more = LOCKS; run worker() };
    timeout;
    assert(!(stint & 1) && waiting == 0 && events == 0 && !orphan)
}
