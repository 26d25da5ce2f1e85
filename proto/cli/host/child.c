/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the process of a daemon of our own, from fork to wait. Called by conn.c. */
#include "host/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interrupt.h"
#include "whole.h"

#define PIPE_BYTES (1 << 20)
#define REST_READS 20
#define REST_READ_MS 5

bool ph_child_beside(char *path, size_t cap)
{
    static const char *const places[] = {"porthostd", "../sbin/porthostd"}; /* as they are built, as they are installed */
    ssize_t n = readlink("/proc/self/exe", path, cap - 1);
    if (n < 0)
        return false;
    path[n] = 0;
    char *slash = strrchr(path, '/');
    size_t dir = slash ? (size_t)(slash - path) + 1 : 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if ((size_t)snprintf(path + dir, cap - dir, "%s", places[i]) < cap - dir && access(path, X_OK) == 0)
            return true;
    return false;
}

static void exec_daemon(const struct ph_cli *cli)
{
    char path[PATH_MAX], script[] = "exec ", line[8192];
    const char *command = cli->address, *driver_path = cli->driver_path;
    const char *option = driver_path ? "--driver-path" : NULL;
    if (cli->argv) {
        execvp(cli->argv[0], cli->argv);
        return;
    }
    if (command) {
        if (snprintf(line, sizeof line, "%s%s \"$@\"", script, command) >= (int)sizeof line) {
            errno = E2BIG;
            return;
        }
        execl("/bin/sh", "sh", "-c", line, "sh", "--stdio", option, driver_path, (char *)NULL);
        return;
    }
    if (ph_child_beside(path, sizeof path))
        execl(path, "porthostd", "--stdio", option, driver_path, (char *)NULL);
    else
        execlp("porthostd", "porthostd", "--stdio", option, driver_path, (char *)NULL);
}

/* In the child. The daemon dies with us even if we are killed; and a SIGINT of the terminal is for us, who end it in order. */
static void run_child(const int to[2], const int from[2], int fail_fd, pid_t parent, const struct ph_cli *cli)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    setpgid(0, 0);
    ph_interrupt_reset();
    bool log_set = cli->log_fd == 0 || dup2(cli->log_fd, STDERR_FILENO) >= 0;
    if (log_set && dup2(to[0], STDIN_FILENO) >= 0 && dup2(from[1], STDOUT_FILENO) >= 0)
        exec_daemon(cli);
    int err = errno;
    while (write(fail_fd, &err, sizeof err) < 0 && errno == EINTR)
        ;
    _exit(127);
}

static void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static int open_pipes(int pipes[3][2])
{
    for (int i = 0; i < 3; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) < 0) {
            while (i-- > 0)
                close_pair(pipes[i]);
            return -1;
        }
    }
    return 0;
}

/* 0 once the child has become the daemon, else the errno of its exec. */
static int exec_result(int fd)
{
    int err = 0;
    return ph_read_whole(fd, &err, sizeof err) == sizeof err ? err : 0;
}

int ph_child_start(struct ph_child *c, const struct ph_cli *cli, char *why, size_t cap)
{
    enum { TO, FROM, FAIL };
    int pipes[3][2];
    pid_t parent = getpid();
    *c = (struct ph_child){.in = -1, .out = -1};
    if (open_pipes(pipes) < 0) {
        snprintf(why, cap, "cannot make a pipe: %s", strerror(errno));
        return -1;
    }
    c->pid = fork();
    if (c->pid == 0)
        run_child(pipes[TO], pipes[FROM], pipes[FAIL][1], parent, cli);
    int err = c->pid < 0 ? errno : 0;
    close(pipes[TO][0]);
    close(pipes[FROM][1]);
    close(pipes[FAIL][1]);
    c->in = pipes[FROM][0];
    c->out = pipes[TO][1];
    if (!err)
        err = exec_result(pipes[FAIL][0]);
    close(pipes[FAIL][0]);
    fcntl(c->in, F_SETFL, O_NONBLOCK);
    fcntl(c->out, F_SETFL, O_NONBLOCK);
    fcntl(c->out, F_SETPIPE_SZ, PIPE_BYTES); /* only speed: a refusal does no harm */
    if (!err)
        return 0;
    snprintf(why, cap, "cannot start %s: %s", cli->argv ? cli->argv[0] : cli->address ? cli->address : "porthostd", strerror(err));
    c->pid = c->pid < 0 ? 0 : c->pid;
    ph_child_end(c, PH_CHILD_GRACE_MS, NULL, 0);
    return -1;
}

/* True once the child has been reaped. An interrupt that has come leaves it a tenth of a second. */
static bool reap_within(pid_t pid, int ms, int *status)
{
    for (int waited = 0;; waited += 5) {
        pid_t got = waitpid(pid, status, WNOHANG);
        if (got == pid || (got < 0 && errno != EINTR))
            return true;
        if (waited >= (ph_interrupt_signal() && ms > 100 ? 100 : ms))
            return false;
        usleep(5000);
    }
}

static void describe(int status, char *how, size_t cap)
{
    if (WIFSIGNALED(status))
        snprintf(how, cap, "it was ended by signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                 WCOREDUMP(status) ? ", core dumped" : "");
    else if (WEXITSTATUS(status) != 0)
        snprintf(how, cap, "it ended with status %d", WEXITSTATUS(status));
}

/* An interrupt comes amidst a conversation. Nobody wants what is still said, but a daemon that could not write it would complain. */
static void read_rest(int fd)
{
    char dropped[65536];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < REST_READS; i++)
        if (poll(&p, 1, REST_READ_MS) > 0 && read(fd, dropped, sizeof dropped) == 0)
            return;
}

void ph_child_end(struct ph_child *c, int grace_ms, char *how, size_t cap)
{
    int status = 0;
    if (cap)
        how[0] = 0;
    if (c->out >= 0)
        close(c->out);
    if (c->in >= 0 && ph_interrupt_signal())
        read_rest(c->in);
    if (c->in >= 0)
        close(c->in);
    c->in = c->out = -1;
    if (c->pid <= 0)
        return;
    if (reap_within(c->pid, grace_ms, &status)) {
        if (cap)
            describe(status, how, cap);
    } else {
        kill(-c->pid, SIGTERM); /* its group: a --daemon command may have put a tool around it */
        if (!reap_within(c->pid, grace_ms < PH_CHILD_GRACE_MS ? grace_ms : PH_CHILD_GRACE_MS, &status)) {
            kill(-c->pid, SIGKILL);
            while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
                ;
        }
        if (cap)
            snprintf(how, cap, "it did not end by itself");
    }
    c->pid = 0;
}
