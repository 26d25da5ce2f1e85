/* SPDX-License-Identifier: Apache-2.0 */
/* Defects on demand, for the tests of what finds them: control 0 does none, 1 leaks, 2 writes behind what it has allocated, 3 crashes, 4 never returns,
 * 5 ends the whole process, 6 ends its port. Called by the run-time system only. */
#include <erl_driver.h>
#include <string.h>
#include <unistd.h>

enum { OP_NONE, OP_LEAK, OP_OVERRUN, OP_CRASH, OP_HANG, OP_END, OP_FAIL };

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void leak(void)
{
    memset(driver_alloc(100), 1, 100);
}

/* The size is not known when this is compiled. */
static void overrun(ErlDrvSizeT len)
{
    char *p = driver_alloc(16 + len);
    memset(p, 1, 16 + len);
    for (ErlDrvSizeT i = 0; i < 4; i++)
        ((volatile char *)p)[16 + len + i] = 1;
    driver_free(p);
}

static void crash(void)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)buf;
    (void)rbuf;
    (void)rlen;
    switch (op) {
    case OP_NONE:
        return 0;
    case OP_LEAK:
        leak();
        return 0;
    case OP_OVERRUN:
        overrun(len);
        return 0;
    case OP_CRASH:
        crash();
        return 0;
    case OP_HANG:
        for (;;)
            pause();
    case OP_END:
        _exit(7);
    case OP_FAIL:
        driver_failure_atom((ErlDrvPort)d, (char *)"defect");
        return 0;
    default:
        return -1;
    }
}

static ErlDrvEntry entry = {
    .start = start,
    .control = control,
    .driver_name = "defect_drv",
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
};

DRIVER_INIT(defect_drv)
{
    return &entry;
}
