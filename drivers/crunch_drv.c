/* SPDX-License-Identifier: Apache-2.0 */
/* crunch_drv: answers each command with its CRC-32, eight hexadecimal digits, computed in an async thread. It shows driver_async.
 *
 *   command            the answers of one port come in the order of its commands
 *   control 0, "100"   later commands are computed 100 times over (1..1000000), to be heavy work; the result is the old number
 *
 * The threads of a job: outputv makes it (under the port's lock), crunch works on it (in an async thread, under no lock and with
 * no port: nothing of the driver API but memory and binaries), ready_async answers and frees it (under the port's lock again).
 * If the port is gone by then, the run-time system calls job_free instead. Exactly one of the two is called.
 */
#include <erl_driver.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { OP_ROUNDS = 0, MAX_ROUNDS = 1000000 };

/* Owned by the port, under its lock. */
struct crunch {
    ErlDrvPort port;
    unsigned int key; /* one key per port: its jobs go to one thread, which runs them in order */
    unsigned int rounds;
};

/* A job does not point to its port's data: it may outlive the port. Each piece holds a reference to its binary. */
struct piece {
    ErlDrvBinary *bin;
    const char *data;
    size_t len;
};

struct job {
    unsigned int rounds;
    uint32_t crc;
    size_t count;
    struct piece pieces[];
};

static uint32_t crc_table[256]; /* written by init only, before any port is open */

static int crunch_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = (c >> 1) ^ (c & 1 ? 0xEDB88320U : 0);
        crc_table[i] = c;
    }
    return 0;
}

static ErlDrvData crunch_start(ErlDrvPort port, char *command)
{
    struct crunch *c = driver_alloc(sizeof *c);
    (void)command;
    if (!c)
        return ERL_DRV_ERROR_GENERAL;
    *c = (struct crunch){.port = port, .key = driver_async_port_key(port), .rounds = 1};
    return (ErlDrvData)c;
}

static void crunch_stop(ErlDrvData d)
{
    driver_free(d);
}

/* By any thread: references to binaries are counted atomically. */
static void job_free(void *arg)
{
    struct job *job = arg;
    for (size_t i = 0; i < job->count; i++)
        driver_free_binary(job->pieces[i].bin);
    driver_free(job);
}

/* The data is used where it lies; the reference keeps it there after the command has returned. An element without bytes may
 * have no binary. */
static struct job *job_new(const ErlIOVec *ev, unsigned int rounds)
{
    struct job *job = driver_alloc(sizeof *job + (size_t)ev->vsize * sizeof job->pieces[0]);
    if (!job)
        return NULL;
    *job = (struct job){.rounds = rounds};
    for (int i = 0; i < ev->vsize; i++) {
        if (!ev->binv[i])
            continue;
        driver_binary_inc_refc(ev->binv[i]);
        job->pieces[job->count++] = (struct piece){ev->binv[i], ev->iov[i].iov_base, ev->iov[i].iov_len};
    }
    return job;
}

static uint32_t crc_add(uint32_t crc, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        crc = (crc >> 8) ^ crc_table[(crc ^ (unsigned char)data[i]) & 0xFF];
    return crc;
}

static void crunch(void *arg)
{
    struct job *job = arg;
    for (unsigned int round = 0; round < job->rounds; round++) {
        uint32_t crc = 0xFFFFFFFFU;
        for (size_t i = 0; i < job->count; i++)
            crc = crc_add(crc, job->pieces[i].data, job->pieces[i].len);
        job->crc = crc ^ 0xFFFFFFFFU;
    }
}

/* driver_async writes the thread's number into the key it is given, hence the copy. */
static void crunch_outputv(ErlDrvData d, ErlIOVec *ev)
{
    struct crunch *c = (struct crunch *)d;
    unsigned int key = c->key;
    struct job *job = job_new(ev, c->rounds);
    if (!job)
        driver_failure_posix(c->port, ENOMEM);
    else if (driver_async(c->port, &key, crunch, job, job_free) < 0)
        job_free(job);
}

static void crunch_ready_async(ErlDrvData d, ErlDrvThreadData data)
{
    struct crunch *c = (struct crunch *)d;
    struct job *job = (struct job *)data;
    char text[9];
    snprintf(text, sizeof text, "%08x", job->crc);
    driver_output(c->port, text, 8);
    job_free(job);
}

static ErlDrvSSizeT crunch_control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    struct crunch *c = (struct crunch *)d;
    unsigned int rounds = 0;
    if (op != OP_ROUNDS || len == 0 || len > 7)
        return -1;
    for (ErlDrvSizeT i = 0; i < len; i++) {
        if (buf[i] < '0' || buf[i] > '9')
            return -1;
        rounds = rounds * 10 + (unsigned int)(buf[i] - '0');
    }
    if (rounds < 1 || rounds > MAX_ROUNDS)
        return -1;
    int n = snprintf(*rbuf, rlen, "%u", c->rounds);
    c->rounds = rounds;
    return n;
}

static ErlDrvEntry entry = {
    .init = crunch_init,
    .start = crunch_start,
    .stop = crunch_stop,
    .outputv = crunch_outputv,
    .ready_async = crunch_ready_async,
    .control = crunch_control,
    .driver_name = "crunch_drv",
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(crunch_drv)
{
    return &entry;
}
