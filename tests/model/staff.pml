/* SPDX-License-Identifier: Apache-2.0 */
/* How the threads that run reactors come and go: daemon/sched/staff.c, crew.c (next_reactor, call_threads_locked, find_threads, release, extra_locked). For scripts/model.
 * Workers come and go in the same way (worker.c), with a lock that waits instead of a reactor without a thread.
 *
 * Two reactors, the main thread, which never ends, one thread that there always is and others that are started while callbacks are stuck, if they can be. At which
 * looks the watch lets threads go is left open. Not here: the end of the daemon.
 *
 * Looked for: a reactor that stays without a thread; threads that are started although others are on their way, or that stay when they are not needed any more; a main thread that ends; more that
 * are to be joined than there is room for; threads that are not joined. */

#define REACTORS 2
#define EXTRA 2 /* PH_STAFF_EXTRA */
#define MOST (REACTORS - 1 + EXTRA)
#ifndef CALLBACKS
#define CALLBACKS 3 /* that are stuck */
#endif
#ifndef FAILURES
#define FAILURES 1 /* so often a thread cannot be started */
#endif
#define NONE 255
#define ENDS 254
#define MAIN 0

/* struct ph_staff */
byte n = REACTORS - 1, idle, idle_least, leave, left_n;
bit member[1 + MOST];          /* in threads[] */

/* crew.c */
chan orphans = [REACTORS] of { byte };
bit main_is_spare;
bit waits[1 + MOST];           /* in pthread_cond_wait */

/* What is looked at, not part of the daemon. */
byte owner[REACTORS];          /* the thread that runs it, or NONE */
bit stuck[REACTORS];           /* the watch has seen the same odd stint twice, or will */
byte callbacks = CALLBACKS, failures = FAILURES;
byte coming;                   /* threads that were started and have done nothing yet */
hidden byte i;

inline broadcast()
{
    i = 0;
    do
    :: i <= MOST -> waits[i] = 0; i++
    :: i > MOST -> break
    od;
    i = 0
}

/* staff.c, ph_staff_wakes_locked */
inline wakes()
{
    idle--;
    if
    :: idle < idle_least -> idle_least = idle
    :: else
    fi
}

/* crew.c, extra_locked */
#ifdef BROKEN_FORGETS_MAIN_THREAD
#define NEEDED (REACTORS - 1)
#else
#define NEEDED (REACTORS - 1 + main_is_spare)
#endif
#define EXTRA_NOW (n > NEEDED -> n - NEEDED : 0)

#ifdef BROKEN_MAIN_THREAD_LEAVES
#define LEAVES (leave > 0)
#else
#define LEAVES (leave > 0 && member[me]) /* staff.c, ph_staff_leaves_locked */
#endif

proctype thread(byte me; byte r)
{
    bit was_started = (r == NONE);
    do
    :: r != NONE && r != ENDS ->
end_idle:
       d_step { callbacks > 0 -> callbacks--; stuck[r] = 1 };
       if
       :: true -> owner[r] != me && owner[r] != NONE /* it comes back when another thread goes on */
       :: true
       fi;
       d_step {
           if
           :: owner[r] == me -> stuck[r] = 0
           :: else -> r = NONE
           fi
       }
    :: r == NONE -> /* crew.c, next_reactor */
       d_step {
#ifdef BROKEN_COUNTS_WHEN_IT_COMES
           idle++;
#else
           idle = idle + !was_started;
#endif
           coming = coming - was_started;
           was_started = 0;
           main_is_spare = main_is_spare || me == MAIN;
           waits[me] = 0
       };
       do
       :: d_step { !waits[me] ->
              if
              :: nempty(orphans) -> orphans?r; owner[r] = me; wakes(); main_is_spare = main_is_spare && me != MAIN
              :: empty(orphans) && LEAVES -> assert(me != MAIN); leave--; n--; member[me] = 0; left_n++; assert(left_n <= EXTRA); wakes(); r = ENDS
              :: empty(orphans) && !LEAVES -> waits[me] = 1
              fi
          };
end_spare:
          if
          :: r != NONE -> break
          :: r == NONE && !waits[me]
          fi
       od
    :: r == ENDS -> break
    od
}

/* crew.c, call_threads_locked; staff.c, ph_staff_start_locked */
inline call_threads()
{
    do
    :: idle < len(orphans) && failures > 0 -> failures--; break
    :: idle < len(orphans) && n == MOST -> break
    :: idle < len(orphans) && n < MOST ->
       assert(coming < len(orphans));
       t = 1;
       do
       :: member[t] -> t++
       :: else -> break
       od;
       member[t] = 1;
       n++;
#ifndef BROKEN_COUNTS_WHEN_IT_COMES
       idle++;
#endif
       coming++;
       run thread(t, NONE);
       t = 0;
#ifdef BROKEN_COUNTS_WHEN_IT_COMES
       break
#endif
    :: idle >= len(orphans) -> break
    od;
#ifndef BROKEN_WAKES_NOBODY
    if
    :: nempty(orphans) -> broadcast()
    :: empty(orphans)
    fi
#endif
}

/* crew.c, look: a reactor whose thread is stuck */
inline take(r)
{
    atomic {
        if
        :: stuck[r] -> stuck[r] = 0; owner[r] = NONE; orphans!r; took = 1 /* abandon */
        :: !stuck[r]
        fi
    }
}

/* crew.c, release */
inline release()
{
    left_n = 0; /* staff.c, ph_staff_join_left */
    d_step { /* ph_staff_release_locked */
        leave = (idle_least < EXTRA_NOW -> idle_least : EXTRA_NOW);
        idle_least = idle;
        if
        :: leave > 0 -> broadcast()
        :: else
        fi
    }
}

active proctype watch()
{
    byte t;
    bit took;
    do
    :: true ->
end_sleep:
       stuck[0] || stuck[1] || nempty(orphans) || EXTRA_NOW > 0 || left_n > 0;
       if /* at some looks, and when there is nothing else to be done */
       :: release()
       :: stuck[0] || stuck[1] || nempty(orphans)
       fi;
       take(0);
       take(1);
       atomic { /* find_threads */
           if
#ifdef BROKEN_DOES_NOT_TRY_AGAIN
           :: took && nempty(orphans) -> call_threads()
           :: !took || empty(orphans)
#else
           :: nempty(orphans) -> call_threads()
           :: empty(orphans)
#endif
           fi;
           took = 0
       }
    od
}

init
{
    atomic {
        member[1] = 1;
        owner[0] = 0;
        owner[1] = 1;
        run thread(MAIN, 0);
        run thread(1, 1)
    };
    timeout; /* nobody can go on */
    assert(callbacks == 0 && empty(orphans));
    assert(owner[0] != NONE && owner[1] != NONE && n == REACTORS - 1 + main_is_spare && left_n == 0)
}
