/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: driver_select on pipes, socket pairs and regular files, and stop_select. Called by the run-time system only.
 *
 * Each port has one descriptor `mine`, which it selects, and one `other`, the far end. Traces name them so, never by number. */
#include "probe.h"
#include <errno.h>
#include <sys/socket.h>

struct self {
    ErlDrvPort port;
    int mine, other;
    int read_size; /* bytes taken per ready_input; 0 takes none */
    int deselect;  /* in ready_input: this mode off afterwards */
    int leave;     /* stop does not deselect */
};

static int last_stopped = -1; /* under the driver's lock, but for stop_select, which runs inside driver_select here */
static int deselecting;
static int shared = -1; /* a descriptor on its way to another port; under the driver's lock */

static ErlDrvEvent event(int fd)
{
    return (ErlDrvEvent)(intptr_t)fd;
}

static void flush(ErlDrvData d)
{
    (void)d;
    trace("flush");
}

static ErlDrvData start(ErlDrvPort port, char *command)
{
    struct self *s = driver_alloc(sizeof *s);
    (void)command;
    if (!s)
        return ERL_DRV_ERROR_GENERAL;
    *s = (struct self){.port = port, .mine = -1, .other = -1, .read_size = 1};
    return (ErlDrvData)s;
}

static void stop(ErlDrvData d)
{
    struct self *s = (struct self *)d;
    trace("stop");
    if (s->mine >= 0 && !s->leave) {
        deselecting = 1;
        trace("stop select off %d", driver_select(s->port, event(s->mine), ERL_DRV_USE, 0));
        deselecting = 0;
    }
    if (s->other >= 0)
        close(s->other);
    driver_free(s);
}

static void stop_select(ErlDrvEvent e, void *reserved)
{
    trace("stop_select %s %s", deselecting ? "at once" : "later", reserved ? "reserved" : "NULL");
    last_stopped = (int)(intptr_t)e;
    close(last_stopped);
}

static void ready_input(ErlDrvData d, ErlDrvEvent e)
{
    struct self *s = (struct self *)d;
    char buf[16];
    ssize_t n = s->read_size ? read(s->mine, buf, (size_t)s->read_size) : 0;
    trace("ready_input %s %zd %.*s", (int)(intptr_t)e == s->mine ? "mine" : "not mine", n, n > 0 ? (int)n : 0, buf);
    if (n > 0)
        driver_output(s->port, buf, (ErlDrvSizeT)n);
    else
        driver_select(s->port, e, ERL_DRV_READ, 0);
    if (driver_sizeq(s->port) && n > 0)
        trace("deq %zd", (ssize_t)driver_deq(s->port, (ErlDrvSizeT)n));
    if (!s->deselect)
        return;
    deselecting = 1;
    driver_select(s->port, e, s->deselect, 0);
    deselecting = 0;
    if (s->deselect & ERL_DRV_USE)
        s->mine = -1;
}

static void ready_output(ErlDrvData d, ErlDrvEvent e)
{
    struct self *s = (struct self *)d;
    trace("ready_output %s", (int)(intptr_t)e == s->mine ? "mine" : "not mine");
    driver_select(s->port, e, ERL_DRV_WRITE, 0);
    driver_output(s->port, "writable", 8);
}

/* "in": mine is the reading end; "out": the writing end. */
ACTION(do_pipe)
{
    struct self *s = self;
    int p[2];
    if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
        return say(a, "pipe failed");
    int in = strcmp(arg, "in") == 0;
    s->mine = p[!in];
    s->other = p[in];
    say(a, "ok");
}

ACTION(do_socketpair)
{
    struct self *s = self;
    int p[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) < 0)
        return say(a, "socketpair failed");
    s->mine = p[0];
    s->other = p[1];
    say(a, "ok");
}

/* A regular file with these bytes in it, and no name. */
ACTION(do_file)
{
    struct self *s = self;
    char name[] = "/tmp/select_probe_XXXXXX";
    s->mine = mkstemp(name);
    if (s->mine < 0 || write(s->mine, arg, len) != (ssize_t)len)
        return say(a, "file failed");
    lseek(s->mine, 0, SEEK_SET);
    unlink(name);
    say(a, "ok");
}

ACTION(do_select)
{
    struct self *s = self;
    say(a, "%d", driver_select(s->port, event(s->mine), atoi(arg), 1));
}

ACTION(do_deselect)
{
    struct self *s = self;
    int fd = s->mine;
    last_stopped = -1;
    deselecting = 1;
    say(a, "%d", driver_select(s->port, event(fd), atoi(arg), 0));
    deselecting = 0;
    if (last_stopped == fd) {
        say(a, "stopped");
        s->mine = -1;
    }
}

/* Any number: descriptors that do not exist. */
ACTION(do_select_fd)
{
    struct self *s = self;
    say(a, "%d", driver_select(s->port, event(atoi(arg)), ERL_DRV_READ, 1));
}

ACTION(do_deselect_fd)
{
    struct self *s = self;
    say(a, "%d", driver_select(s->port, event(atoi(arg)), ERL_DRV_READ, 0));
}

ACTION(do_write)
{
    struct self *s = self;
    say(a, "%zd", write(s->other, arg, len));
}

ACTION(do_hang_up)
{
    struct self *s = self;
    close(s->other);
    s->other = -1;
    say(a, "ok");
}

ACTION(do_read_size)
{
    struct self *s = self;
    s->read_size = atoi(arg);
    say(a, "ok");
}

ACTION(do_then_deselect)
{
    struct self *s = self;
    s->deselect = atoi(arg);
    say(a, "ok");
}

/* Data is there, so the callback may be under way already; deselecting must still keep it away. */
ACTION(do_write_wait_deselect)
{
    struct self *s = self;
    say(a, "%zd", write(s->other, arg, len));
    usleep(20000);
    say(a, "%d", driver_select(s->port, event(s->mine), ERL_DRV_READ, 0));
}

/* Closed without deselecting nothing is selected any more: the number is free, and select is told of a descriptor that is not open. */
ACTION(do_select_closed)
{
    struct self *s = self;
    int fd = dup(s->mine);
    close(fd);
    say(a, "%d", driver_select(s->port, event(fd), ERL_DRV_READ, 1));
    say(a, "%d", driver_select(s->port, event(fd), ERL_DRV_READ, 0));
}

/* Data in the queue, for closing to wait for; ready_input takes as much from it as it reads. */
ACTION(do_enq)
{
    struct self *s = self;
    say(a, "%d", driver_enq(s->port, arg, len));
}

ACTION(do_leave)
{
    struct self *s = self;
    s->leave = 1;
    say(a, "ok");
}

/* From here the descriptor is another port's, whatever is selected. */
ACTION(do_share)
{
    struct self *s = self;
    shared = s->mine;
    say(a, "ok");
}

ACTION(do_take)
{
    struct self *s = self;
    s->mine = shared;
    shared = -1;
    say(a, "ok");
}

/* Deselects and closes nothing when it stops. */
ACTION(do_forget)
{
    struct self *s = self;
    s->mine = -1;
    say(a, "ok");
}

/* Behind the back of the run-time system: closed while selected. */
ACTION(do_close_mine)
{
    struct self *s = self;
    say(a, "%d", close(s->mine));
}

/* A new pipe whose reading end has the number of the descriptor that was closed. */
ACTION(do_same_number)
{
    struct self *s = self;
    int p[2];
    if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
        return say(a, "pipe failed");
    close(s->other);
    s->other = p[1];
    if (p[0] != s->mine) {
        say(a, "%d", dup3(p[0], s->mine, O_CLOEXEC) == s->mine ? 0 : -1);
        close(p[0]);
    } else {
        say(a, "0");
    }
}

static const struct action actions[] = {
    {"pipe", do_pipe},           {"socketpair", do_socketpair}, {"file", do_file},
    {"select", do_select},       {"deselect", do_deselect},     {"select_fd", do_select_fd},
    {"deselect_fd", do_deselect_fd}, {"write", do_write},       {"hang_up", do_hang_up},
    {"read_size", do_read_size}, {"then_deselect", do_then_deselect}, {"write_wait_deselect", do_write_wait_deselect},
    {"select_closed", do_select_closed}, {"enq", do_enq},       {"leave", do_leave},
    {"share", do_share},         {"take", do_take},             {"forget", do_forget},
    {"close_mine", do_close_mine}, {"same_number", do_same_number}, {NULL, NULL},
};

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    return op == 0 ? act(actions, d, buf, len, rbuf, rlen) : -1;
}

static ErlDrvEntry entry = {
    .start = start,
    .stop = stop,
    .flush = flush,
    .ready_input = ready_input,
    .ready_output = ready_output,
    .stop_select = stop_select,
    .control = control,
    .driver_name = "select_probe_drv",
    PROBE_VERSION,
};

DRIVER_INIT(select_probe_drv)
{
    return &entry;
}
