/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: what needs no port: errno names, time, environment, system information, loading of libraries. Called by the run-time
 * system only. */
#include "probe.h"
#include <errno.h>
#include <time.h>

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

ACTION(do_errno)
{
    say(a, "%s %s %s", erl_errno_id(ENOENT), erl_errno_id(EWOULDBLOCK), erl_errno_id(ECONNREFUSED));
    say(a, "%s %s %s", erl_errno_id(0), erl_errno_id(99999), erl_errno_id(-1));
    say(a, "%d", null_func());
}

ACTION(do_info)
{
    ErlDrvSysInfo info;
    driver_system_info(&info, sizeof info);
    say(a, "%d.%d", info.driver_major_version, info.driver_minor_version);
    say(a, "threads %d smp %d", info.thread_support, info.smp_support);
    say(a, info.scheduler_threads > 0 ? "schedulers" : "no schedulers");
    say(a, "otp %s", info.otp_release);
}

ACTION(do_async_threads)
{
    ErlDrvSysInfo info;
    driver_system_info(&info, sizeof info);
    say(a, "async_threads %d", info.async_threads);
}

/* An older caller's struct: what lies behind its end is left alone. */
ACTION(do_info_old)
{
    ErlDrvSysInfo info;
    memset(&info, 0x55, sizeof info);
    driver_system_info(&info, 32);
    say(a, "%s", info.otp_release);
    say(a, info.scheduler_threads == 0x55555555 ? "untouched" : "touched");
}

ACTION(do_time)
{
    ErlDrvTime t1 = erl_drv_monotonic_time(ERL_DRV_USEC), t2 = erl_drv_monotonic_time(ERL_DRV_USEC);
    ErlDrvTime now = erl_drv_time_offset(ERL_DRV_SEC) + erl_drv_monotonic_time(ERL_DRV_SEC);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ErlDrvTime off = now - ts.tv_sec;
    say(a, t2 >= t1 ? "monotonic" : "not monotonic");
    say(a, off >= -2 && off <= 2 ? "system time" : "some other time");
    say(a, erl_drv_monotonic_time((ErlDrvTimeUnit)77) == ERL_DRV_TIME_ERROR ? "error" : "no error");
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* driver_get_now: old drivers call it */
/* Seconds since 1970 by offset and monotonic time, by driver_get_now, and by the system. */
ACTION(do_clocks)
{
    ErlDrvNowData now;
    struct timespec ts;
    driver_get_now(&now);
    clock_gettime(CLOCK_REALTIME, &ts);
    say(a, "%lld %lu %lld", (long long)(erl_drv_time_offset(ERL_DRV_SEC) + erl_drv_monotonic_time(ERL_DRV_SEC)), now.megasecs * 1000000 + now.secs,
        (long long)ts.tv_sec);
}
#pragma GCC diagnostic pop

ACTION(do_convert)
{
    say(a, "%lld", (long long)erl_drv_convert_time_unit(1500, ERL_DRV_MSEC, ERL_DRV_SEC));
    say(a, "%lld", (long long)erl_drv_convert_time_unit(-1, ERL_DRV_MSEC, ERL_DRV_SEC));
    say(a, "%lld", (long long)erl_drv_convert_time_unit(-1500, ERL_DRV_USEC, ERL_DRV_MSEC));
    say(a, "%lld", (long long)erl_drv_convert_time_unit(3, ERL_DRV_SEC, ERL_DRV_NSEC));
    say(a, erl_drv_convert_time_unit(1, (ErlDrvTimeUnit)77, ERL_DRV_SEC) == ERL_DRV_TIME_ERROR ? "error" : "no error");
}

ACTION(do_environment)
{
    char value[8] = "old";
    size_t size = sizeof value;
    say(a, "%d", erl_drv_putenv("PH_PROBE_ENV", "abc"));
    int rc = erl_drv_getenv("PH_PROBE_ENV", value, &size);
    say(a, "%d %zu %s", rc, size, value);
    say(a, getenv("PH_PROBE_ENV") ? "in libc too" : "not in libc");
    size = 3;
    say(a, erl_drv_getenv("PH_PROBE_ENV", value, &size) > 0 ? "too small" : "fits");
    size = 4;
    say(a, "%d", erl_drv_getenv("PH_PROBE_ENV", value, &size));
    size = sizeof value;
    say(a, erl_drv_getenv("PH_PROBE_NO_SUCH_ENV", value, &size) < 0 ? "not found" : "found");
    erl_drv_putenv("PH_PROBE_ENV", "");
    size = sizeof value;
    rc = erl_drv_getenv("PH_PROBE_ENV", value, &size);
    say(a, "%d %zu", rc, size);
}

/* The driver's own file, found by its path without ".so". */
ACTION(do_dl)
{
    void *h = driver_dl_open(arg);
    say(a, h ? "opened" : "not opened");
    say(a, h && driver_dl_sym(h, "driver_init") ? "found" : "not found");
    say(a, h && driver_dl_sym(h, "no_such_symbol_here") ? "found" : "not found");
    say(a, "%d", h ? driver_dl_close(h) : -7);
    say(a, driver_dl_open("/no/such/library") ? "opened" : "not opened");
    say(a, driver_dl_error() ? "text" : "no text");
}

ACTION(do_atoms)
{
    static char longest[300];
    memset(longest, 'a', 299);
    ErlDrvTermData x = driver_mk_atom("x"), long_one = driver_mk_atom(longest);
    say(a, x == driver_mk_atom("x") ? "equal" : "different");
    say(a, x == driver_mk_atom("y") ? "equal" : "different");
    longest[255] = 0;
    say(a, long_one == driver_mk_atom(longest) ? "cut at 255" : "not cut");
    say(a, driver_term_nil == driver_mk_term_nil() ? "nil is nil" : "two nils");
}

static const struct action actions[] = {
    {"errno", do_errno},
    {"info", do_info},
    {"async_threads", do_async_threads},
    {"info_old", do_info_old},
    {"time", do_time},
    {"clocks", do_clocks},
    {"convert", do_convert},
    {"environment", do_environment},
    {"dl", do_dl},
    {"atoms", do_atoms},
    {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {.start = start, .control = control, .driver_name = "system_probe_drv", PROBE_VERSION};

DRIVER_INIT(system_probe_drv)
{
    return &entry;
}
