/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the command: its arguments, the client's end of a session, and a process for each connection if it listens. Called by main.c. */
#include "record/record.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "host/child.h"
#include "interrupt.h"
#include "record/relay.h"
#include "record/writer.h"

static void heard(void *arg, enum ph_side side, const void *bytes, size_t len)
{
    ph_writer_heard(arg, side, bytes, len);
}

/* One session: until its end, or an interrupt. */
static enum ph_exit record_session(const struct ph_cli *cli, const char *file, int client_in, int client_out)
{
    char why[512] = "";
    struct ph_relay relay = {.client_in = client_in, .client_out = client_out, .heard = heard};
    relay.host = ph_link_open(cli, ph_now_ms() + cli->timeout_ms, why, sizeof why);
    if (!relay.host) {
        ph_complain("%s", why);
        return PH_EXIT_NO_CONNECTION;
    }
    struct ph_writer *w = ph_writer_start(file);
    relay.arg = w;
    if (w)
        ph_relay_run(&relay);
    ph_link_close(relay.host, PH_CHILD_GRACE_MS, why, sizeof why);
    if (why[0] && !ph_interrupt_signal())
        ph_complain("%s", why);
    return w && ph_writer_finish(w, why) ? PH_EXIT_OK : PH_EXIT_FAILED;
}

/* ---- listening ---- */

/* What the path was when it was bound: another process may have put a socket of its own there since. */
static bool is_ours(const char *path, const struct stat *ours)
{
    struct stat st;
    return lstat(path, &st) == 0 && st.st_dev == ours->st_dev && st.st_ino == ours->st_ino;
}

/* A listening socket, or -1 with a message on stderr. *ours gets what is at the path. */
static int listen_at(const char *path, struct stat *ours)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof addr.sun_path) {
        ph_complain("the path of a unix socket has at most %zu bytes", sizeof addr.sun_path - 1);
        return -1;
    }
    memcpy(addr.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177); /* whoever may connect may use the host */
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0;
    umask(mask);
    ok = ok && lstat(path, ours) == 0;
    if (ok && listen(fd, SOMAXCONN) == 0)
        return fd;
    ph_complain("cannot listen at %s: %s", path, strerror(errno));
    if (ok)
        unlink(path);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* In the child. It ends with its parent, in order. */
static _Noreturn void serve(const struct ph_cli *cli, const char *file, unsigned number, int client, pid_t parent)
{
    char name[4096];
    if (number == 1)
        snprintf(name, sizeof name, "%s", file);
    else
        snprintf(name, sizeof name, "%s.%u", file, number);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (ph_interrupt_install() < 0 || getppid() != parent)
        _exit(PH_EXIT_FAILED);
    _exit((int)record_session(cli, name, client, client));
}

struct server {
    int fd;
    unsigned accepted;
    pid_t *children; /* `running` of them */
    size_t running;
    enum ph_exit worst;
};

static void forget(struct server *s, pid_t pid)
{
    for (size_t i = 0; i < s->running; i++) {
        if (s->children[i] == pid) {
            s->children[i] = s->children[--s->running];
            return;
        }
    }
}

/* how: 0 waits for them all, WNOHANG for none. */
static void reap(struct server *s, int how)
{
    int status;
    pid_t pid;
    while (s->running > 0 && (pid = waitpid(-1, &status, how)) != 0) {
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            return;
        enum ph_exit e = WIFEXITED(status) ? (enum ph_exit)WEXITSTATUS(status) : s->worst;
        s->worst = e > s->worst ? e : s->worst;
        forget(s, pid);
    }
}

static void take_client(struct server *s, const struct ph_cli *cli, const char *file)
{
    pid_t parent = getpid();
    int client = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return;
    pid_t pid = fork();
    if (pid == 0)
        serve(cli, file, s->accepted + 1, client, parent);
    close(client);
    if (pid < 0) {
        ph_complain("cannot start a process: %s", strerror(errno));
        return;
    }
    s->children = ph_realloc(s->children, (s->running + 1) * sizeof *s->children);
    s->children[s->running++] = pid;
    s->accepted++;
}

/* What an interrupt ends is whole up to then: nothing is wrong with its file. */
static enum ph_exit record_connections(const struct ph_cli *cli, const char *file, const char *path)
{
    struct stat ours;
    struct server s = {.fd = listen_at(path, &ours)};
    if (s.fd < 0)
        return PH_EXIT_FAILED;
    while (!ph_interrupt_signal()) {
        struct pollfd p[] = {{.fd = s.fd, .events = POLLIN}, {.fd = ph_interrupt_fd(), .events = POLLIN}};
        poll(p, 2, -1);
        reap(&s, WNOHANG);
        if (p[0].revents)
            take_client(&s, cli, file);
    }
    if (is_ours(path, &ours)) /* while the number of its inode is not free */
        unlink(path);
    close(s.fd);
    for (size_t i = 0; i < s.running; i++)
        kill(s.children[i], SIGTERM);
    reap(&s, 0);
    ph_free(s.children);
    return s.worst;
}

/* ---- arguments ---- */

struct plan {
    const char *file, *listen;
    struct ph_cli cli;
};

static bool read_arguments(struct ph_args *a, struct plan *p)
{
    p->file = ph_args_word(a).p;
    while (p->file && ph_args_left(a)) {
        struct ph_text word = ph_args_word(a);
        if (ph_text_is(word, "--listen") && !p->listen && ph_args_left(a))
            p->listen = ph_args_word(a).p;
        else if (ph_text_is(word, "--") && ph_args_left(a))
            break;
        else
            p->file = NULL;
    }
    if (p->file && *a->argv)
        p->cli.argv = a->argv;
    if (!p->file)
        ph_complain("usage: record FILE [--listen PATH] [-- COMMAND ARGUMENT...]");
    else if (p->cli.argv && p->cli.address)
        ph_complain("only one of --unix, --tcp, --daemon and a command behind -- can be given");
    else
        return true;
    return false;
}

enum ph_exit ph_record_run(const struct ph_cli *cli, struct ph_args *a)
{
    struct plan p = {.cli = *cli};
    if (!read_arguments(a, &p))
        return PH_EXIT_USAGE;
    if (ph_interrupt_install() < 0) {
        ph_complain("cannot make a pipe: %s", strerror(errno));
        return PH_EXIT_FAILED;
    }
    enum ph_exit e = p.listen ? record_connections(&p.cli, p.file, p.listen) : record_session(&p.cli, p.file, STDIN_FILENO, STDOUT_FILENO);
    ph_interrupt_finish();
    return e;
}
