/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: what system this is. To a driver the host is the run-time system of the OTP release whose headers it was built
 * with. Any thread. */
#include <erl_driver.h>
#include <erl_nif.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "check/violation.h"
#include "sched/sched.h"

#if !defined(PH_ERTS_VERSION) || !defined(PH_OTP_RELEASE)
#error "PH_ERTS_VERSION and PH_OTP_RELEASE must name the installed Erlang"
#endif

/* The struct has grown over the releases. A driver passes the size it was built with and gets the fields of that generation,
 * whole generations only; each ends where the next begins. */
static const size_t generations[] = {
    offsetof(ErlDrvSysInfo, async_threads),
    offsetof(ErlDrvSysInfo, nif_major_version),
    offsetof(ErlDrvSysInfo, dirty_scheduler_support),
    offsetof(ErlDrvSysInfo, dirty_scheduler_support) + sizeof(int),
};
#define GENERATIONS (sizeof generations / sizeof generations[0])

/* erl_driver(3), driver_system_info */
void driver_system_info(ErlDrvSysInfo *sip, size_t si_size)
{
    bool fits = sip != NULL && si_size >= generations[0];
    if (!fits && ph_checking()) {
        ph_violation(PH_VIOLATION_BAD_ARGUMENT, "%s(%p, %zu)", __func__, (void *)sip, si_size);
        return;
    }
    if (!fits) {
        ph_fatal("a driver misused driver_system_info(%p, %zu)", (void *)sip, si_size);
    }
    size_t known = generations[0];
    for (size_t i = 1; i < GENERATIONS && generations[i] <= si_size; i++) {
        known = generations[i];
    }
    static char erts_version[] = PH_ERTS_VERSION, otp_release[] = PH_OTP_RELEASE;
    ErlDrvSysInfo info = {
        .driver_major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
        .driver_minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
        .erts_version = erts_version,
        .otp_release = otp_release,
        .thread_support = 1,
        .smp_support = 1,
        .async_threads = (int)ph_async_threads(),
        .scheduler_threads = (int)ph_scheduler_threads(),
        .nif_major_version = ERL_NIF_MAJOR_VERSION,
        .nif_minor_version = ERL_NIF_MINOR_VERSION,
        .dirty_scheduler_support = 1,
    };
    memcpy(sip, &info, known);
}
