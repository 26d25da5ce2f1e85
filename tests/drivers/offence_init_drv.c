/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks rules in init and finish, for the test of the checking mode: leaves a mutex locked in both, and thread-specific data set in init. With OFFENCE_HANG in
 * the environment finish never returns. */
#include <stdlib.h>
#include <unistd.h>

#include "probe.h"

static ErlDrvMutex *mutex;
static ErlDrvTSDKey key;

static int init(void)
{
    mutex = erl_drv_mutex_create((char *)"mine");
    erl_drv_mutex_lock(mutex);
    erl_drv_tsd_key_create((char *)"mine", &key);
    erl_drv_tsd_set(key, &key);
    return 0;
}

static void finish(void)
{
    erl_drv_tsd_key_destroy(key);
    erl_drv_mutex_lock(mutex);
    while (getenv("OFFENCE_HANG"))
        pause();
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static ErlDrvEntry entry = {
    PROBE_VERSION,
    .driver_name = "offence_init_drv",
    .init = init,
    .finish = finish,
    .start = start,
};

DRIVER_INIT(offence_init_drv)
{
    return &entry;
}
