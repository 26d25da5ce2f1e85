/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a port in its phases, with all that may still reach it: daemon/port/port.c, op.c, pdl.c, async.c, timer.c, table.c, callback.c. For scripts/model.
 *
 * One port. Jobs come from its client (commands, then close or kill), from an async thread, an alarm, somebody who finds the port by its handle, another port of
 * the same lock, and a thread of the driver's own that empties the queue under the PDL. That the lock runs one job at a time is lock.pml's; here one process runs
 * them. What the driver does in each callback is left open: queue, ask for a timer or an async job, fail, or nothing.
 *
 * Looked for: a reference taken to, or a look at, a port that was freed, and the same for its PDL; a callback after stop; stop called twice, or never; a state that cannot follow;
 * a port that never ends. */

#ifndef TIMERS
#define TIMERS 2 /* how often the driver may ask for one */
#endif

#define NORMALLY 0
#define KILLED 1
#define FAILED 2

mtype = { LIVE, EXITING, CLOSING, DEAD };
mtype = { COMMAND, CLOSE, KILL, INFO, READY, TIMEOUT, CHECK, OTHER };

chan jobs = [10] of { mtype };

/* struct ph_port */
byte refs = 1;         /* the table's */
mtype state = LIVE;
bit terminating;
bit handle = 1;        /* table.c: can be found by it */
bit in_map = 1;        /* peer.c: can be found by its id */
bit queued;            /* ioq.size > 0 */
bit armed, alarm;      /* timer.c; in alarm.c's heap */
bit rung, posted;      /* the alarm rang for the present setting; the timer's job is in the lane */
bit async;             /* a job for the async thread */

/* struct ph_pdl: one reference is the port's, one is of the driver's thread */
bit pdl = 1;           /* the port has it */
byte pdl_refs = 2;
bit pdl_held;

/* What is looked at, not part of the daemon. */
byte stops;
byte commands;         /* what the driver may still do */
byte timers;

inline look()
{
    assert(refs > 0)
}

inline ref()
{
    d_step { look(); refs++ }
}

inline unref() /* port.c, ph_port_unref: frees with the last */
{
    d_step {
        look();
        refs--;
        assert(refs > 0 || (state == DEAD && !alarm && !queued && !pdl))
    }
}

inline set_state(s) /* port.c, ph_port_set_state */
{
    d_step {
        look();
        assert((state == LIVE && s == EXITING) || (state == EXITING && (s == CLOSING || s == DEAD)) || (state == CLOSING && s == DEAD));
        state = s
    }
}

inline callback() /* callback.c, enter */
{
    d_step { look(); assert(stops == 0) }
}

/* pdl.c, ph_port_pdl_enter */
inline pdl_enter()
{
    d_step { look(); entered = pdl; pdl_refs = pdl_refs + pdl };
    if
    :: entered -> atomic { !pdl_held -> assert(pdl_refs > 0); pdl_held = 1 }
    :: else
    fi
}

inline pdl_unref()
{
    d_step { assert(pdl_refs > 0); pdl_refs-- }
}

inline pdl_leave() /* pdl.c, ph_port_pdl_leave */
{
    if
    :: entered -> pdl_held = 0; pdl_unref(); entered = 0
    :: else
    fi
}

/* port.c, ph_port_queue_size */
inline queue_size()
{
    pdl_enter();
    size = queued;
    pdl_leave()
}

inline drop_queue() /* port.c, drop_queue, forget_queue_size */
{
    pdl_enter();
    queued = 0;
    pdl_leave()
}

inline timer_cancel() /* timer.c, ph_timer_cancel: under the alarms' mutex */
{
    d_step { look(); armed = 0; alarm = 0; rung = 0 }
}

inline timer_set() /* timer.c, ph_timer_set */
{
    if
    :: timers > 0 -> d_step { look(); timers--; rung = 0; armed = 1; alarm = 1 }
    :: true
    fi
}

/* port.c, terminate, bury; table.c, ph_port_unlist */
inline terminate()
{
    look();
    if
    :: terminating
    :: !terminating ->
       terminating = 1;
       timer_cancel();
       callback();
       stops++;
       timer_set();
#ifdef BROKEN_STOPS_TWICE
       if
       :: stops++ /* it fails its port, from within */
       :: true
       fi;
#endif
       set_state(DEAD);
#ifndef BROKEN_LEAVES_ALARM
       timer_cancel();
#endif
       drop_queue();
       d_step { look(); assert(pdl); pdl = 0 };
       pdl_unref();
       in_map = 0;
#ifndef BROKEN_STAYS_LISTED
       handle = 0;
#endif
       unref()
    fi
}

inline check_flushed() /* port.c, ph_port_check_flushed */
{
    look();
    if
    :: state == CLOSING ->
       queue_size();
       if
       :: !size -> terminate()
       :: size
       fi
    :: state != CLOSING
    fi
}

/* port.c, ph_port_exit */
inline exit(how)
{
    look();
    if
    :: state == CLOSING && how == FAILED -> terminate()
    :: state == LIVE ->
       set_state(EXITING);
       if
       :: how == FAILED -> drop_queue()
       :: how != FAILED
       fi;
       queue_size();
       if
       :: how != NORMALLY || !size -> terminate()
       :: how == NORMALLY && size ->
          set_state(CLOSING);
          callback(); /* flush */
          if
          :: pdl_enter(); queued = 0; pdl_leave()
          :: terminate() /* it fails its port */
          :: true
          fi;
#ifndef BROKEN_FLUSH_IS_NOT_FOLLOWED
          check_flushed()
#endif
       fi
    :: state != LIVE && !(state == CLOSING && how == FAILED)
    fi
}

/* What a driver may do in a callback. callback.c, leave: a closing port is looked at behind it. */
inline driver()
{
    callback();
    if
    :: state == LIVE -> pdl_enter(); queued = 1; pdl_leave()
    :: timer_set()
    :: async == 0 && state == LIVE && commands > 0 -> d_step {
           commands--;
           async = 1;
#ifndef BROKEN_ASYNC_JOB_WITHOUT_REFERENCE
           look();
           refs++
#endif
       }
    :: ref(); exit(FAILED); unref() /* life.c, fail */
    :: true
    fi;
    check_flushed()
}

/* sched/lock.c, and op.c, run; async.c, run_ready; timer.c, run_timeout; pdl.c, run_check */
active proctype runner()
{
    bit entered, size;
    mtype job;
    do
    :: true ->
end_idle:
       jobs?job;
       if
       :: job == COMMAND ->
          look();
          if
          :: state == LIVE -> driver()
          :: state != LIVE
          fi
       :: job == CLOSE -> exit(NORMALLY)
       :: job == KILL -> exit(KILLED)
       :: job == INFO -> look() /* the answer goes to the port's peer, or to another: both are referenced */
       :: job == READY ->
          look();
          if
#ifdef BROKEN_READY_FOR_THE_DEAD
          :: true -> driver()
#else
          :: state != DEAD -> driver()
          :: state == DEAD
#endif
          fi
       :: job == TIMEOUT ->
          look();
          posted = 0;
          if
          :: state != DEAD && armed && rung -> armed = 0; driver()
          :: !(state != DEAD && armed && rung)
          fi
       :: job == CHECK -> check_flushed()
       :: job == OTHER -> /* a callback of another port, of the same lock: table.c, ph_port_here finds this one, and drops the reference again */
          if
          :: handle ->
             if
             :: ref(); exit(FAILED); unref() /* life.c, fail */
             :: /* async.c, ph_port_async, where there are no async threads */
#ifndef BROKEN_ASYNC_HERE_WITHOUT_REFERENCE
                ref();
#endif
                if
                :: state != DEAD -> driver()
                :: state == DEAD
                fi;
#ifndef BROKEN_ASYNC_HERE_WITHOUT_REFERENCE
                unref()
#endif
             fi
          :: !handle
          fi
       fi;
       if
       :: job != OTHER -> unref()
       :: job == OTHER
       fi
    od
}

/* conn/request.c: the port is looked up by its id, under the peer's mutex */
inline request(what)
{
    atomic {
        if
        :: in_map -> look(); refs++; jobs!what
        :: !in_map
        fi
    }
}

active proctype client()
{
    request(COMMAND);
    request(COMMAND);
    if
    :: request(CLOSE)
    :: request(KILL)
    fi
}

active proctype another_port()
{
    if
    :: jobs!OTHER
    :: true
    fi
}

/* table.c, ph_port_by_handle; op.h, ph_info_for */
active proctype asker()
{
    bit found;
    atomic {
        if
        :: handle -> look(); refs++; found = 1
        :: !handle
        fi
    };
    if
    :: found -> jobs!INFO
    :: !found
    fi
}

/* async.c, run_invoke */
active proctype async_thread()
{
    do
    :: true ->
end_idle:
       atomic { async == 1 -> async = 0 };
       look(); /* of the driver's name */
       jobs!READY
    od
}

/* alarm.c, on_time; timer.c, on_alarm: nobody sets or cancels within, for the alarms' mutex; but the job may run */
active proctype reactor()
{
    do
    :: true ->
end_idle:
       atomic {
           alarm -> alarm = 0;
           look();
           rung = 1;
           if
           :: !posted -> posted = 1; refs++; jobs!TIMEOUT
           :: posted
           fi
       }
    od
}

/* A thread of the driver's that works its queue off: pdl.c, driver_pdl_lock, ph_queue_enter, ph_queue_leave. */
active proctype drivers_thread()
{
    bit has;
#ifdef BROKEN_STATE_IS_SEEN_EARLY
    mtype early;
#endif
    do
    :: true ->
#ifdef BROKEN_STATE_IS_SEEN_EARLY
       early = state;
#endif
end_idle:
       atomic { queued && !pdl_held -> assert(pdl_refs > 0); pdl_refs++; pdl_held = 1 };
       atomic {
           if
           :: handle && state != DEAD -> look(); refs++; has = 1
           :: !(handle && state != DEAD)
           fi
       };
       if
       :: has ->
          queued = 0;
          if
#ifdef BROKEN_STATE_IS_SEEN_EARLY
          :: early == CLOSING -> ref(); jobs!CHECK
          :: early != CLOSING
#elif defined(BROKEN_EMPTIED_UNSEEN)
          :: true
#else
          :: state == CLOSING -> ref(); jobs!CHECK
          :: state != CLOSING
#endif
          fi;
          unref();
          pdl_held = 0;
          pdl_unref();
          has = 0
       :: !has -> /* it is told that there is no such port any more, and ends */
          pdl_held = 0;
          pdl_unref();
          break
       fi
    od
}

init
{
    atomic { commands = 1; timers = TIMERS };
    timeout; /* nobody can go on */
    assert(refs == 0 && stops == 1 && state == DEAD);
    assert(pdl_refs == 1 && !alarm && !armed && !async && empty(jobs))
}
