/* SPDX-License-Identifier: Apache-2.0 */
/* delay_drv: sends each command back to the owner, in order, some time later. It shows the port's queue and its timer.
 *
 *   open "delay_drv 20"    a delay of 20 ms; without a number: 10 ms
 *   command                comes back after the delay
 *   control 0, "50"        the delay of later commands is 50 ms; the result is the old one, as text
 *
 * Closing a port whose queue holds data waits until the queue is empty: flush is called, the timer goes on, and stop comes after
 * the last byte has left the queue. Nobody listens to a closing port, so nothing is sent any more; a driver in front of a
 * device or a file would write its last bytes there in that time. An empty command holds no bytes, so nothing waits for it.
 */
#include <erl_driver.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { OP_DELAY = 0, DEFAULT_DELAY_MS = 10, MAX_DELAY_MS = 3600000 };

/* The data of a command is in the port's queue; this says how much of it is one command and when it is to go. */
struct due {
    struct due *next;
    ErlDrvTime at; /* monotonic, ms */
    ErlDrvSizeT size;
};

/* Owned by the port, under its lock. The entries of the list are freed when sent, or by stop. */
struct delay {
    ErlDrvPort port;
    unsigned long ms;
    int closing;
    struct due *first, **last;
};

/* 0 and *ms set, or -1: not a number, or more than an hour. */
static int parse_ms(const char *text, unsigned long *ms)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end || errno || *text == '-' || n > MAX_DELAY_MS)
        return -1;
    *ms = n;
    return 0;
}

/* The command is the whole text given to open_port, the driver's name included. */
static ErlDrvData delay_start(ErlDrvPort port, char *command)
{
    const char *arg = strchr(command, ' ');
    unsigned long ms = DEFAULT_DELAY_MS;
    if (arg && parse_ms(arg + 1, &ms) < 0)
        return ERL_DRV_ERROR_BADARG;
    struct delay *d = driver_alloc(sizeof *d);
    if (!d)
        return ERL_DRV_ERROR_GENERAL;
    *d = (struct delay){.port = port, .ms = ms};
    d->last = &d->first;
    return (ErlDrvData)d;
}

/* The run-time system empties the queue and cancels the timer; the list is ours. */
static void delay_stop(ErlDrvData data)
{
    struct delay *d = (struct delay *)data;
    for (struct due *q = d->first, *next; q; q = next) {
        next = q->next;
        driver_free(q);
    }
    driver_free(d);
}

/* One timer per port: it stands for the first command in the list. */
static void arm(struct delay *d)
{
    if (!d->first)
        return;
    ErlDrvTime left = d->first->at - erl_drv_monotonic_time(ERL_DRV_MSEC);
    driver_set_timer(d->port, left > 0 ? (unsigned long)left : 0);
}

/* driver_enqv takes references to the vector's binaries; the vector itself is gone after the return. */
static void delay_outputv(ErlDrvData data, ErlIOVec *ev)
{
    struct delay *d = (struct delay *)data;
    struct due *q = driver_alloc(sizeof *q);
    if (!q || driver_enqv(d->port, ev, 0) < 0) {
        driver_free(q);
        driver_failure_posix(d->port, ENOMEM);
        return;
    }
    *q = (struct due){.at = erl_drv_monotonic_time(ERL_DRV_MSEC) + (ErlDrvTime)d->ms, .size = ev->size};
    int was_idle = !d->first;
    *d->last = q;
    d->last = &q->next;
    if (was_idle)
        arm(d);
}

/* Commands are never merged in the queue, so the first one is a whole number of elements. They are sent where they lie, by
 * reference, and dequeued afterwards. */
static void send_first(struct delay *d)
{
    struct due *q = d->first;
    ErlIOVec ev;
    ErlDrvSizeT got = 0;
    int n = 0;
    driver_peekqv(d->port, &ev);
    while (got < q->size)
        got += ev.iov[n++].iov_len;
    ev.vsize = n;
    ev.size = q->size;
    if (!d->closing)
        driver_outputv(d->port, NULL, 0, &ev, 0);
    driver_deq(d->port, q->size);
    d->first = q->next;
    if (!d->first)
        d->last = &d->first;
    driver_free(q);
}

/* A later command may be due sooner, after the delay was made shorter; order wins. */
static void delay_timeout(ErlDrvData data)
{
    struct delay *d = (struct delay *)data;
    ErlDrvTime now = erl_drv_monotonic_time(ERL_DRV_MSEC);
    while (d->first && d->first->at <= now)
        send_first(d);
    arm(d);
}

/* Called once, when the port closes with data in its queue. The timer keeps running while the port is closing, so there is
 * only the certainty to add that one is set. */
static void delay_flush(ErlDrvData data)
{
    struct delay *d = (struct delay *)data;
    d->closing = 1;
    arm(d);
}

static ErlDrvSSizeT delay_control(ErlDrvData data, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    struct delay *d = (struct delay *)data;
    char text[16];
    unsigned long ms;
    if (op != OP_DELAY || len >= sizeof text)
        return -1;
    memcpy(text, buf, len);
    text[len] = 0;
    if (parse_ms(text, &ms) < 0)
        return -1;
    int n = snprintf(*rbuf, rlen, "%lu", d->ms);
    d->ms = ms;
    return n;
}

static ErlDrvEntry entry = {
    .start = delay_start,
    .stop = delay_stop,
    .outputv = delay_outputv,
    .timeout = delay_timeout,
    .flush = delay_flush,
    .control = delay_control,
    .driver_name = "delay_drv",
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING,
};

DRIVER_INIT(delay_drv)
{
    return &entry;
}
