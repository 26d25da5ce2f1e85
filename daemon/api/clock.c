/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: time. Erlang monotonic time is CLOCK_MONOTONIC here; owns the offset from it to system time, and the last
 * value of driver_get_now. The reading functions answer to host threads only, as the VM's do; the rest to any thread. */
#include <erl_driver.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/thread.h"

#define NSEC_PER_SEC INT64_C(1000000000)
#define STEP_NSEC INT64_C(1000000) /* a larger change of the offset means that the system's time was set */

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Units in a second, or 0 if there is no such unit. */
static int64_t per_second(ErlDrvTimeUnit unit)
{
    switch (unit) {
    case ERL_DRV_SEC:
        return 1;
    case ERL_DRV_MSEC:
        return 1000;
    case ERL_DRV_USEC:
        return 1000000;
    case ERL_DRV_NSEC:
        return NSEC_PER_SEC;
    }
    return 0;
}

/* erl_driver(3), erl_drv_convert_time_unit. Rounds towards minus infinity; what does not fit wraps, as in the VM. */
ErlDrvTime erl_drv_convert_time_unit(ErlDrvTime val, ErlDrvTimeUnit from, ErlDrvTimeUnit to)
{
    int64_t f = per_second(from), t = per_second(to);
    if (f == 0 || t == 0) {
        return ERL_DRV_TIME_ERROR;
    }
    if (t >= f) {
        return (ErlDrvTime)((uint64_t)val * (uint64_t)(t / f));
    }
    int64_t divisor = f / t;
    return val / divisor - (val % divisor < 0);
}

static bool may_read(ErlDrvTimeUnit unit)
{
    return ph_thread_is_host() && per_second(unit) != 0;
}

/* erl_driver(3), erl_drv_monotonic_time */
ErlDrvTime erl_drv_monotonic_time(ErlDrvTimeUnit time_unit)
{
    if (!may_read(time_unit)) {
        return ERL_DRV_TIME_ERROR;
    }
    return erl_drv_convert_time_unit(read_clock(CLOCK_MONOTONIC), ERL_DRV_NSEC, time_unit);
}

/* Two clocks cannot be read at once: a reading that was interrupted in between is not used. */
static int64_t measure_offset(void)
{
    int64_t real, before, after;
    do {
        before = read_clock(CLOCK_MONOTONIC);
        real = read_clock(CLOCK_REALTIME);
        after = read_clock(CLOCK_MONOTONIC);
    } while (after - before > STEP_NSEC / 2);
    return real - after;
}

/* The offset stays what it is, without the jitter of measuring, until somebody sets system time.
 * Relaxed: threads that see a step at the same moment may each store what they saw. */
static int64_t time_offset(void)
{
    static _Atomic int64_t kept;
    int64_t now = measure_offset();
    int64_t offset = atomic_load_explicit(&kept, memory_order_relaxed);
    if (now - offset > STEP_NSEC || offset - now > STEP_NSEC) {
        atomic_store_explicit(&kept, now, memory_order_relaxed);
        offset = now;
    }
    return offset;
}

/* erl_driver(3), erl_drv_time_offset */
ErlDrvTime erl_drv_time_offset(ErlDrvTimeUnit time_unit)
{
    if (!may_read(time_unit)) {
        return ERL_DRV_TIME_ERROR;
    }
    return erl_drv_convert_time_unit(time_offset(), ERL_DRV_NSEC, time_unit);
}

/* erl_driver(3), driver_get_now. Strictly increasing over all threads: a clock that stands or goes back is counted on
 * from. Relaxed is enough for that: all values go through one atomic. */
int driver_get_now(ErlDrvNowData *now)
{
    static _Atomic int64_t last;
    if (now == NULL) {
        return -1;
    }
    int64_t clock = read_clock(CLOCK_REALTIME) / 1000;
    int64_t before = atomic_load_explicit(&last, memory_order_relaxed), us;
    do {
        us = clock > before ? clock : before + 1;
    } while (!atomic_compare_exchange_weak_explicit(&last, &before, us, memory_order_relaxed, memory_order_relaxed));
    now->megasecs = (unsigned long)(us / 1000000 / 1000000);
    now->secs = (unsigned long)(us / 1000000 % 1000000);
    now->microsecs = (unsigned long)(us % 1000000);
    return 0;
}
