/* SPDX-License-Identifier: Apache-2.0 */
/* When async threads are woken: daemon/sched/async.c (next_job, wake_later, ph_async_wake_due, ph_async_wake, ph_async_submit), reactor.c (run_turn, end_turn, ph_reactor_run,
 * ph_reactor_is_mine), crew.c (look). For scripts/model.
 *
 * One reactor, two threads of the crew, the watch, two async threads with a queue each. Locks run on the reactor, whose callbacks submit jobs and may wait for them to begin,
 * whether the reactor has been taken meanwhile or not. Which jobs are late, so that those before are woken for, is left open: all of it is tried, also that none ever is.
 *
 * Looked for: a job that lies in a queue while its thread sleeps and nobody is to wake it, so that it never begins, or begins only when a callback comes back that waits for it. */

#ifndef RUNS
#define RUNS 2 /* of locks, each with a callback */
#endif
#ifndef JOBS
#define JOBS 3
#endif
#define ASYNC 2
#define NOBODY 255

/* struct async_thread */
bit mu[ASYNC];
byte queue[ASYNC];
bit sleeps[ASYNC];             /* in pthread_cond_wait */

/* struct ph_reactor */
byte runs = RUNS;              /* locks that will become ready */
bit stint;                     /* is it odd? As in lock.pml, two values are equal if nothing has changed it between: */
bit seen;                      /* ... since the watch looked */
bit mine[2];                   /* ... since this thread changed it: my_stint */
bit orphan;                    /* crew.orphans */

/* ph_async_due, of each thread of the crew */
bit due[4];
#define DUE(n) due[2 * me + n]

/* What is looked at, not part of the daemon. */
byte owner;                    /* thread that has the reactor */
byte jobs = JOBS;              /* yet to be submitted */
byte submitted[ASYNC], begun[ASYNC];

inline enter(n) { atomic { !mu[n] -> mu[n] = 1 } }
inline signal(n) { sleeps[n] = 0 } /* pthread_cond_signal */

inline change_stint()
{
    stint = 1 - stint;
    seen = 0;
    mine[0] = 0;
    mine[1] = 0
}

#ifdef BROKEN_LOOKS_WHETHER_ANYBODY_RUNS
#define IS_MINE stint
#else
#define IS_MINE mine[me] /* ph_reactor_is_mine */
#endif

/* async.c, ph_async_wake_due */
inline wake_due()
{
    d_step { w0 = DUE(0); w1 = DUE(1); DUE(0) = 0; DUE(1) = 0 };
    if
    :: (w0 || w1) && IS_MINE ->
       if
       :: w0 -> signal(0)
       :: !w0
       fi;
       if
       :: w1 -> signal(1)
       :: !w1
       fi
    :: else
    fi;
    w0 = 0;
    w1 = 0
}

/* async.c, wake_later: with mu[n] */
inline wake_later(n)
{
    if
#ifdef BROKEN_PUTS_OFF_WITHOUT_LOOKING
    :: true ->
#elif defined(BROKEN_LOOKS_BEFORE_MUTEX)
    :: was_mine ->
#else
    :: IS_MINE ->
#endif
       if
       :: wake_due() /* ph_async_wake_late */
       :: true
       fi;
       DUE(n) = 1
    :: else -> signal(n)
    fi
}

/* async.c, ph_async_submit */
inline submit(n)
{
#ifdef BROKEN_LOOKS_BEFORE_MUTEX
    was_mine = IS_MINE;
#endif
    enter(n);
    queue[n]++;
    wake_later(n);
    mu[n] = 0
}

/* A callback, and what lock.c, run_lane, does behind it */
inline callback()
{
    do
    :: atomic { jobs > 0 -> jobs--; n = 0; submitted[0]++; k = submitted[0] }; submit(0); wait_for_it()
    :: atomic { jobs > 0 -> jobs--; n = 1; submitted[1]++; k = submitted[1] }; submit(1); wait_for_it()
    :: break
    od;
    if
    :: wake_due()
    :: true
    fi
}

inline wait_for_it()
{
    if
    :: begun[n] >= k
    :: true
    fi;
    d_step { n = 0; k = 0 }
}

proctype member(byte me; bit has_reactor)
{
    byte n, k;
    bit w0, w1;
#ifdef BROKEN_LOOKS_BEFORE_MUTEX
    bit was_mine;
#endif
    do
    :: !has_reactor ->
       assert(!DUE(0) && !DUE(1));
end_spare: /* crew.c, next_reactor; reactor.c, ph_reactor_run */
       atomic { orphan -> orphan = 0; owner = me; has_reactor = 1; mine[me] = 1 }
    :: has_reactor ->
       do /* run_turn */
       :: runs == 0 -> break
       :: d_step { runs > 0 && has_reactor -> runs--; assert(owner == me); change_stint(); mine[me] = 1 };
          callback();
          d_step {
              if
              :: mine[me] -> change_stint(); mine[me] = 1
              :: else -> has_reactor = 0
              fi
          };
          if
          :: has_reactor
          :: break /* it was the last of the turn, or the reactor is lost */
          fi
       od;
#ifdef BROKEN_TURN_ENDS_WITHOUT_WAKING
       if
       :: !has_reactor -> wake_due()
       :: else -> DUE(0) = 0; DUE(1) = 0
       fi;
#else
       wake_due(); /* end_turn, or ph_reactor_run for a thread that has lost the reactor */
#endif
       if
       :: has_reactor ->
          assert(!DUE(0) && !DUE(1));
end_idle: runs > 0 /* event_base_loop */
       :: else
       fi
    od
}

/* async.c, next_job. Its thread may take long for a job, but comes back. */
proctype async_thread(byte n)
{
    do
    :: atomic { !mu[n] ->
           if
           :: queue[n] > 0 -> queue[n]--; begun[n]++
           :: else -> sleeps[n] = 1
           fi
       };
end_sleep:
       !sleeps[n]
    od
}

/* async.c, ph_async_wake */
inline wake_all()
{
    enter(0);
    signal(0);
    mu[0] = 0;
    enter(1);
    signal(1);
    mu[1] = 0
}

/* crew.c, look: twice the same odd stint, and the reactor is another's */
active proctype watch()
{
    bit took;
    do
    :: true ->
end_watch:
       atomic { stint -> seen = 1 };
#ifdef BROKEN_WAKES_BEFORE_IT_TAKES
       wake_all();
#endif
       d_step {
           if
           :: seen -> change_stint(); owner = NOBODY; orphan = 1; took = 1
           :: else
           fi
       };
#if !defined(BROKEN_WAKES_BEFORE_IT_TAKES) && !defined(BROKEN_TAKES_WITHOUT_WAKING)
       if
       :: took -> wake_all()
       :: !took
       fi;
#endif
       took = 0
    od
}

init
{
    atomic {
        mine[0] = 1;
        run member(0, 1);
        run member(1, 0);
        run async_thread(0);
        run async_thread(1)
    };
    timeout; /* nobody can go on */
    assert(runs == 0 && !stint && !orphan);
    assert(queue[0] == 0 && queue[1] == 0)
}
