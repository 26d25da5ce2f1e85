/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: what the system lets a driver do. control: a line of what it tried, each with the error it got or "ok". Called by the run-time system only. */
#include <erl_driver.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static ErlDrvData start(ErlDrvPort port, char *command)
{
    (void)command;
    return (ErlDrvData)port;
}

static int write_and_execute(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? -1 : munmap(p, 4096);
}

static int make_socket(int family)
{
    int fd = socket(family, SOCK_DGRAM, 0);
    return fd < 0 ? -1 : close(fd);
}

static int make_file(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

static int set_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return clock_settime(CLOCK_REALTIME, &now);
}

static int run_child(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(execl("/bin/true", "true", NULL));
    return pid < 0 || waitpid(pid, &status, 0) != pid || status ? -1 : 0;
}

static ErlDrvSSizeT control(ErlDrvData d, unsigned int op, char *buf, ErlDrvSizeT len, char **rbuf, ErlDrvSizeT rlen)
{
    const struct {
        const char *what;
        int result, error;
    } tried[] = {
#define TRY(what, call) {what, call, errno}
        TRY("execute", write_and_execute()), TRY("netlink", make_socket(AF_NETLINK)), TRY("inet", make_socket(AF_INET)), TRY("namespace", unshare(CLONE_NEWUSER)),
        TRY("etc", make_file("/etc/porthost/probe")), TRY("home", make_file("/root/probe")), TRY("tmp", make_file("/tmp/probe")), TRY("clock", set_clock()),
        TRY("child", run_child()),
    };
    char text[512] = "";
    size_t n = 0;
    (void)d;
    (void)op;
    (void)buf;
    (void)len;
    for (size_t i = 0; i < sizeof tried / sizeof *tried && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %s", n ? " " : "", tried[i].what, tried[i].result < 0 ? strerrorname_np(tried[i].error) : "ok");
    if (n > rlen && !(*rbuf = driver_alloc(n)))
        return -1;
    memcpy(*rbuf, text, n);
    return (ErlDrvSSizeT)n;
}

static ErlDrvEntry entry = {
    .start = start,
    .control = control,
    .driver_name = (char *)"confined_probe_drv",
    .extended_marker = (int)ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
};

DRIVER_INIT(confined_probe_drv)
{
    return &entry;
}
