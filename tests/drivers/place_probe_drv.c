/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: on which threads a driver runs. control: 0 the name of the thread, 1 the name and stack size (KiB) of the async thread that a key means (output by
 * ready_async), 2 waits inside for another port, 3 puts the data into the queue ten times and says how often that failed, 4 outputs them ten times. */
#include <erl_driver.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int inside;

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static size_t stack_kib(void)
{
    pthread_attr_t attr;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstacksize(&attr, &size);
        pthread_attr_destroy(&attr);
    }
    return size / 1024;
}

static int where(char *buf, size_t size)
{
    char name[16] = "?";
    pthread_getname_np(pthread_self(), name, sizeof name);
    return snprintf(buf, size, "%s %zu", name, stack_kib());
}

static void invoke(void *arg)
{
    where(arg, 64);
}

static void ready_async(ErlDrvData d, ErlDrvThreadData data)
{
    driver_output((ErlDrvPort)d, (char *)data, strlen((char *)data));
    driver_free(data);
}

static const char *wait_for_another(void)
{
    static atomic_int met;
    if (atomic_fetch_add(&inside, 1) > 0)
        atomic_store(&met, 1);
    for (int i = 0; i < 300 && !atomic_load(&met); i++)
        usleep(1000);
    usleep(2000); /* the other one must see it, too */
    atomic_fetch_sub(&inside, 1);
    return atomic_load(&met) ? "met" : "alone";
}

static int fill(ErlDrvPort port, char *buf, ErlDrvSizeT len)
{
    int failed = 0;
    for (int i = 0; i < 10; i++)
        failed += driver_enq(port, buf, len) != 0;
    return failed;
}

static int produce(ErlDrvPort port, char *buf, ErlDrvSizeT len)
{
    int failed = 0;
    for (int i = 0; i < 10; i++)
        failed += driver_output(port, buf, len) != 0;
    return failed;
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    ErlDrvPort port = (ErlDrvPort)d;
    if (op == 0)
        return where(*rbuf, rlen);
    if (op == 2)
        return snprintf(*rbuf, rlen, "%s", wait_for_another());
    if (op == 3)
        return snprintf(*rbuf, rlen, "%d", fill(port, buf, len));
    if (op == 4)
        return snprintf(*rbuf, rlen, "%d", produce(port, buf, len));
    unsigned int key = len ? (unsigned int)(buf[0] - '0') : 0;
    driver_async(port, &key, invoke, driver_alloc(64), driver_free);
    return snprintf(*rbuf, rlen, "%u", key);
}

static ErlDrvEntry entry = {
    .start = start,
    .ready_async = ready_async,
    .control = control,
    .driver_name = "place_probe_drv",
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(place_probe_drv)
{
    return &entry;
}
