/* SPDX-License-Identifier: Apache-2.0 */
/* Crashes on demand: control 0 by a wild pointer, 1 by abort, 2 by a trap, 3 in an async job, 4 in a thread of its own, 5 in a timeout, 6 in a child process (the host lives),
 * 7 in several threads at once; 8 does not; control 9: in stop. Crashes in init if the environment has CRASH_IN_INIT. */
#include <erl_driver.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OP_WILD, OP_ABORT, OP_TRAP, OP_ASYNC, OP_THREAD, OP_TIMEOUT, OP_CHILD, OP_MANY, OP_NONE, OP_STOP };
enum { THREADS = 8 };

static bool in_stop;

static void crash(void)
{
    volatile int *volatile nowhere = (volatile int *)(uintptr_t)0x18;
    *nowhere = 1;
}

static int init(void)
{
    if (getenv("CRASH_IN_INIT"))
        crash();
    return 0;
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static void stop(ErlDrvData d)
{
    (void)d;
    if (in_stop)
        crash();
}

static void async_crash(void *data)
{
    (void)data;
    crash();
}

static void *thread_crash(void *arg)
{
    crash();
    return arg;
}

static void threads(int n)
{
    ErlDrvTid tid[THREADS];
    for (int i = 0; i < n; i++)
        erl_drv_thread_create((char *)"crasher", &tid[i], thread_crash, NULL, NULL);
    for (int i = 0; i < n; i++)
        erl_drv_thread_join(tid[i], NULL);
}

static void child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        crash();
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static void timeout(ErlDrvData d)
{
    (void)d;
    crash();
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    (void)buf;
    (void)len;
    (void)rbuf;
    (void)rlen;
    switch (op) {
    case OP_WILD:
        crash();
        break;
    case OP_ABORT:
        abort();
    case OP_TRAP:
        raise(SIGTRAP);
        break;
    case OP_ASYNC:
        driver_async((ErlDrvPort)d, NULL, async_crash, NULL, NULL);
        break;
    case OP_THREAD:
        threads(1);
        break;
    case OP_MANY:
        threads(THREADS);
        break;
    case OP_TIMEOUT:
        driver_set_timer((ErlDrvPort)d, 1);
        break;
    case OP_CHILD:
        child();
        break;
    case OP_STOP:
        in_stop = true;
        break;
    default:
        break;
    }
    return 0;
}

static ErlDrvEntry entry = {
    .init = init,
    .start = start,
    .stop = stop,
    .control = control,
    .timeout = timeout,
    .driver_name = (char *)"crash_probe_drv",
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
};

DRIVER_INIT(crash_probe_drv)
{
    return &entry;
}
