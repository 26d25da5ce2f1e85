/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that is all about being loaded, or refused. Included by small files that set what is special about them: LOAD_NAME,
 * LOAD_MARKER, LOAD_MAJOR, LOAD_MINOR, LOAD_INIT (the result of init) or LOAD_NULL (driver_init gives no entry). */
#include "probe.h"

#ifndef LOAD_MARKER
#define LOAD_MARKER ERL_DRV_EXTENDED_MARKER
#endif
#ifndef LOAD_MAJOR
#define LOAD_MAJOR ERL_DRV_EXTENDED_MAJOR_VERSION
#endif
#ifndef LOAD_MINOR
#define LOAD_MINOR ERL_DRV_EXTENDED_MINOR_VERSION
#endif
#ifndef LOAD_INIT
#define LOAD_INIT 0
#endif

static int init(void)
{
    trace("init");
    return LOAD_INIT;
}

static void finish(void)
{
    trace("finish");
}

static ErlDrvEntry entry = {
    .init = init,
    .finish = finish,
    .driver_name = LOAD_NAME,
    .extended_marker = (int)LOAD_MARKER,
    .major_version = LOAD_MAJOR,
    .minor_version = LOAD_MINOR,
};

DRIVER_INIT(load_probe)
{
    trace("driver_init");
#ifdef LOAD_NULL
    (void)entry;
    return NULL;
#else
    return &entry;
#endif
}
