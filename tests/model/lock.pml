/* SPDX-License-Identifier: Apache-2.0 */
/* The way of jobs through port locks, and of a reactor from a thread that is stuck to another: daemon/sched/lock.c, reactor.c, crew.c, worker.c. For scripts/model.
 *
 * One reactor, two threads of the crew, the watch, one worker; lock 0 with the lanes 0 and 1, lock 1 with the lane 2. The frames that come on the reactor
 * are commands for lane 0, whose port is busy: they are held, if they come before what ends that. A thread of another brings a job of lane 2, and that one the job of
 * lane 0 or 1 which ends it. Which lock is heavy at which time, and when shares and budgets are used up, is left open: all of it is tried. What a mutex guards is one step
 * here, all else is interleaved.
 *
 * Looked for: a job that is lost, done twice or done before its predecessor; two callbacks of one lock at once; a lock used after it was freed, or never freed; a
 * thread that touches its reactor's own lists after it has lost the reactor; threads that wait for each other, or go round for ever. */

#define LOCKS 2
#define LANES 3
#define NONE 255
#define NOBODY 255
#ifndef COMMANDS
#define COMMANDS 2
#endif
#ifndef TAKES
#define TAKES 2 /* how often the watch may find the reactor stuck */
#endif

#define LOCK_OF(lane) ((lane) / 2)

mtype = { IDLE, QUEUED, RUNNING };

/* struct ph_lock, struct ph_lane */
mtype state[LOCKS] = IDLE;
byte refs[LOCKS] = 1;          /* one is the ports' */
chan lanes[LOCKS] = [LANES] of { byte };
chan current[LOCKS] = [4] of { byte }; /* these two: struct ph_run, of the runner inside */
byte running[LOCKS] = NONE;
chan jobs[LANES] = [4] of { byte };

/* struct ph_reactor */
chan ready = [LOCKS] of { byte };
chan turn = [LOCKS] of { byte };
chan inbox = [LOCKS] of { byte };
bit awake = 1, eventfd;
bit stint;                     /* is it odd? Two values are equal only if nothing has changed it between, so that is what is kept of those that are remembered: */
bit seen;                      /* ... since the watch looked */
bit mine[2];                   /* ... since this thread went into a lock's run */
bit orphan;                    /* crew.orphans */

chan pool = [LOCKS] of { byte };
chan frames = [2] of { byte }; /* what clients have sent */

/* busy.c: of the port of lane 0 */
bit busy = 1;
chan held = [2] of { byte };

/* What is looked at, not part of the daemon. */
byte owner;                    /* thread that has the reactor */
bit listed[LOCKS];             /* in a runner's list */
byte inside[LOCKS];            /* callbacks running */
byte left[LOCKS];              /* jobs not done */
byte commands;                 /* of lane 0, done */
bit done[5];
byte ends_busy;                /* lane of job 3 */
bit gave_way[LOCKS];            /* a budget is used up once */

inline list(l)
{
    assert(!listed[l]);
    listed[l] = 1;
}

inline change_stint()
{
    stint = 1 - stint;
    seen = 0;
    mine[0] = 0;
    mine[1] = 0
}

inline own() /* only the reactor's thread gets here */
{
    assert(owner == me);
}

/* lock.c, ph_lock_unref */
inline unref(l)
{
    d_step {
        assert(refs[l] > 0);
        refs[l]--;
    }
}

/* lock.c, lane_waits_locked: in a step that holds lock->mu */
inline lane_waits_locked(l, ln, wake)
{
    assert(refs[l] > 0);
    lanes[l]!ln;
    if
#ifdef BROKEN_WAKE_WITHOUT_REFERENCE
    :: state[l] == IDLE -> state[l] = QUEUED; wake = 1
#else
    :: state[l] == IDLE -> state[l] = QUEUED; refs[l]++; wake = 1
#endif
    :: else
    fi
}

/* lock.c, dispatch; reactor.c, ph_reactor_take_lock, unlock_and_wake; worker.c, ph_worker_take_lock */
inline dispatch(l)
{
    if
    :: d_step { list(l); pool!l }
#ifdef BROKEN_READY_INSIDE_LOCK
    :: has_reactor -> d_step { own(); list(l); ready!l }
    :: !has_reactor ->
#else
    :: has_reactor && in_lock == NONE -> d_step { own(); list(l); ready!l }
    :: !(has_reactor && in_lock == NONE) ->
#endif
       d_step {
           list(l);
           inbox!l;
           asleep = !awake;
           awake = 1
       };
       if
       :: asleep -> eventfd = 1
       :: else
       fi;
       asleep = 0
    fi
}

/* lock.c, ph_lock_submit */
inline submit(job, ln)
{
    d_step {
        first = empty(jobs[ln]);
        jobs[ln]!job;
        if
        :: first -> lane_waits_locked(LOCK_OF(ln), ln, wake)
        :: !first
        fi;
        first = 0;
#ifdef BROKEN_WAKES_RUNNING_LOCK
        if
        :: state[LOCK_OF(ln)] == RUNNING -> refs[LOCK_OF(ln)]++; wake = 1
        :: else
        fi
#endif
    };
    if
    :: wake -> wake = 0; dispatch(LOCK_OF(ln))
    :: else
    fi
}

/* lock.c, put_in_front_locked: of the lane, in a step; nobody has to be woken */
inline put_in_front(l, ln, list_of_jobs)
{
#ifdef BROKEN_LISTS_LANE_TWICE
    first = nempty(list_of_jobs);
#else
    first = empty(jobs[ln]) && nempty(list_of_jobs);
#endif
#ifdef BROKEN_PUTS_BEHIND
    do
    :: list_of_jobs?j -> jobs[ln]!j
    :: empty(list_of_jobs) -> break
    od;
#else
    do
    :: jobs[ln]?j -> list_of_jobs!j
    :: empty(jobs[ln]) -> break
    od;
    do
    :: list_of_jobs?j -> jobs[ln]!j
    :: empty(list_of_jobs) -> break
    od;
#endif
    if
    :: first -> lane_waits_locked(l, ln, wake)
    :: !first
    fi;
    first = 0;
    wake = 0;
    j = 0
}

/* busy.c, release; lock.c, ph_lock_requeue */
inline release()
{
    if
    :: empty(held)
    :: nempty(held) && running[0] == 0 -> d_step {
           do
           :: current[0]?j -> held!j
           :: empty(current[0]) -> break
           od;
           do
           :: held?j -> current[0]!j
           :: empty(held) -> break
           od;
           j = 0
       }
    :: nempty(held) && running[0] != 0 -> d_step {
           put_in_front(0, 0, held)
       }
    fi
}

/* The job of the lane goes into the driver, and frees itself with its port's reference: the last one's is the last of the ports'. */
inline job_run(l)
{
    d_step { inside[l]++; assert(inside[l] == 1) };
    if
    :: job <= 2 && busy -> held!job
    :: job <= 2 && !busy -> d_step { assert(commands == job - 1); commands = job; assert(!done[job]); done[job] = 1; left[l]-- }
    :: job == 3 -> busy = 0; release(); d_step { assert(!done[3]); done[3] = 1; left[l]-- }
    :: job == 4 -> submit(3, ends_busy); d_step { assert(!done[4]); done[4] = 1; left[l]-- }
    fi;
    d_step {
        job = 0;
        inside[l]--;
        if
        :: left[l] == 0 -> assert(refs[l] > 0); refs[l]--
        :: else
        fi
    }
}

/* lock.c, take_lane */
inline take_lane(l)
{
    d_step {
        assert(refs[l] > 0);
        if
        :: nempty(lanes[l]) ->
           lanes[l]?ln;
#ifdef BROKEN_RUNS_AS_IDLE
           state[l] = IDLE;
#else
           state[l] = RUNNING;
#endif
           assert(nempty(jobs[ln])); /* else it may be gone with its port */
           do
           :: jobs[ln]?j -> current[l]!j
           :: empty(jobs[ln]) -> break
           od;
           j = 0;
           running[l] = ln
        :: empty(lanes[l]) -> state[l] = IDLE; ln = NONE
        fi
    }
}

/* lock.c, give_way, in two steps: the lock is another runner's after the second */
inline give_way(l)
{
    d_step {
        assert(refs[l] > 0);
        any = nempty(lanes[l]);
        if
#ifdef BROKEN_GIVES_WAY_TO_NOBODY
        :: any -> state[l] = IDLE; any = 0
#else
        :: any -> state[l] = QUEUED
#endif
        :: else -> state[l] = IDLE
        fi
    };
    if
    :: any -> dispatch(l)
    :: else
    fi
}

/* lock.c, ph_lock_run */
inline lock_run(l)
{
    in_lock = l;
    do
    :: true ->
       take_lane(l);
       if
       :: ln == NONE -> any = 0; break
       :: else
       fi;
       do /* run_lane: at least one */
       :: nempty(current[l]) ->
          current[l]?job;
          job_run(l);
          if
          :: true
          :: break /* the share is used up */
          fi
       :: empty(current[l]) -> break
       od;
       skip;
       d_step { /* leave_lane */
           if
           :: nempty(current[l]) -> put_in_front(l, running[l], current[l])
           :: empty(current[l])
           fi
       };
       if
       :: true
       :: !gave_way[l] -> /* the budget is used up */
          gave_way[l] = 1;
#ifdef BROKEN_FORGETS_LOCK_EARLY
          in_lock = NONE;
#endif
          give_way(l);
          break
       fi
    od;
    in_lock = NONE;
    if
#ifdef BROKEN_DROPS_WHAT_IT_GAVE
    :: true -> unref(l)
#else
    :: !any -> unref(l)
    :: else
#endif
    fi;
    any = 0;
    ln = 0
}

/* reactor.c, run_turn: leaves has_reactor 0 if the reactor was taken away */
inline run_turn()
{
    do
    :: empty(turn) -> own(); break
    :: nempty(turn) ->
       d_step { own(); turn?l; listed[l] = 0; change_stint(); assert(stint); mine[me] = 1 };
       lock_run(l);
       d_step {
           l = 0;
           if
#ifdef BROKEN_RETURNS_WITHOUT_LOOKING
           :: true -> change_stint()
#else
           :: mine[me] -> change_stint()
           :: else -> has_reactor = 0
#endif
           fi
       };
       if
       :: !has_reactor -> break
       :: else
       fi
    od
}

/* reactor.c, may_sleep */
inline may_sleep()
{
    d_step {
        own();
#ifdef BROKEN_SLEEPS_WITHOUT_SAYING
        idle = empty(ready) && empty(inbox)
#else
        idle = empty(ready) && empty(inbox);
        if
        :: empty(ready) -> awake = !idle
        :: nempty(ready)
        fi
#endif
    }
}

/* crew.c, serve; reactor.c, ph_reactor_run */
proctype member(byte me; bit has_reactor)
{
    byte l, ln, j, job, in_lock = NONE;
    bit first, wake, asleep, any, idle;
    do
    :: !has_reactor ->
end_spare: /* crew.c, next_reactor */
       atomic { orphan -> orphan = 0; owner = me; has_reactor = 1 }
    :: has_reactor ->
       run_turn();
       if
       :: has_reactor ->
          may_sleep();
          if
          :: idle ->
end_idle:    (eventfd || nempty(frames)) /* event_base_loop */
          :: else
          fi;
          d_step { own(); eventfd = 0; idle = 0 };
          do
          :: nempty(frames) -> frames?job; own(); submit(job, 0); job = 0
          :: empty(frames) -> break
          od;
          skip;
          d_step { /* empty_inbox */
              own();
              awake = 1;
              do
              :: inbox?l -> ready!l
              :: empty(inbox) -> break
              od;
              do
              :: ready?l -> turn!l
              :: empty(ready) -> break
              od;
              l = 0
          }
       :: else
       fi
    od
}

/* worker.c, work */
active proctype worker()
{
    byte me = 10, l, ln, j, job, in_lock = NONE;
    bit first, wake, asleep, any, has_reactor;
    do
    :: true ->
end_worker:
       atomic { pool?l -> listed[l] = 0 };
       lock_run(l)
    od
}

/* crew.c, look: twice the same odd stint, and the reactor is another's */
active proctype watch()
{
    byte n;
    bit took;
    do
    :: n < TAKES ->
end_watch:
       atomic { stint -> seen = 1 };
       d_step {
           if
#ifdef BROKEN_TAKES_WITHOUT_COMPARING
           :: true -> change_stint(); took = 1; owner = NOBODY
#else
           :: seen -> change_stint(); took = 1; owner = NOBODY
           :: else
#endif
           fi
       };
       if
#ifdef BROKEN_TAKES_AND_FORGETS
       :: took -> took = 0; n++
#else
       :: took -> d_step { took = 0; n++; orphan = 1 } /* abandon; that somebody takes it is staff.pml's */
#endif
       :: else
       fi
    :: n == TAKES -> break
    od
}

proctype other(byte job; byte lane)
{
    byte me = 20, in_lock = NONE;
    bit first, wake, asleep, has_reactor;
    submit(job, lane)
}

active proctype client()
{
    byte n = 1;
    do
    :: n <= COMMANDS -> frames!n; n++
    :: n > COMMANDS -> break
    od
}

init
{
    atomic {
        left[0] = COMMANDS + 1;
        left[1] = 1;
        owner = 0;
        if
        :: ends_busy = 0
        :: ends_busy = 1
        fi;
        run member(0, 1);
        run member(1, 0);
        run other(4, 2)
    };
    timeout; /* nobody can go on */
    assert(commands == COMMANDS && done[3] && done[4]);
    assert(refs[0] == 0 && refs[1] == 0)
}
