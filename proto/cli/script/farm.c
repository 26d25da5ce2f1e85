/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the processes that run scripts: starting, listening to, ending them, and the progress line. Called by command.c; run_worker is where such a process begins. */
#include "script/farm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/conn.h"
#include "interrupt.h"
#include "screen.h"
#include "script/memory.h"
#include "script/run.h"

#define LOG_FD 9            /* of the tool, in a worker: one digit, for the shell */
#define SHOWN_BYTES 65536   /* of a log, from its end */
#define LOG_MAX (256 << 20) /* bytes, above which a script is ended */
#define OVERTIME_MS 90000   /* beyond a script's time until its worker is killed; times patience */
#define END_MS 8000         /* for workers to end on an interrupt */

struct worker {
    pid_t pid; /* 0: none */
    int results, err, log;
    char *bytes; /* what has come over `results` */
    size_t len, cap;
    int64_t begun;
    struct ph_script_report *report;
};

struct farm {
    const struct ph_cli *cli;
    const struct ph_farm_options *options;
    struct worker *workers; /* options->jobs of them */
    size_t n, started, finished, failed;
    bool tty;
};

/* ---- the progress line ---- */

static void progress(const struct farm *farm)
{
    if (!farm->tty)
        return;
    fprintf(stderr, "\r[%zu/%zu] ", farm->finished, farm->n);
    if (farm->failed > 0)
        fprintf(stderr, "%s%zu failed%s ", ph_screen_on(stderr, PH_LOOK_RED), farm->failed, ph_screen_off(stderr, PH_LOOK_RED));
    fflush(stderr);
}

static void wipe_progress(const struct farm *farm)
{
    if (farm->tty)
        fprintf(stderr, "\r%*s\r", 60, "");
}

/* ---- in the worker ---- */

static _Noreturn void run_worker(const struct farm *farm, const struct worker *w, int results, pid_t parent)
{
    struct ph_cli cli = *farm->cli;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(PH_EXIT_FAILED);
    int own = fcntl(results, F_DUPFD_CLOEXEC, LOG_FD + 1), none = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct ph_test_writer out = {own < 0 ? NULL : fdopen(own, "w")};
    bool ok = out.f && none >= 0 && dup2(w->err, STDERR_FILENO) >= 0 && dup2(none, STDIN_FILENO) >= 0 && dup2(none, STDOUT_FILENO) >= 0 &&
              dup2(w->log, LOG_FD) == LOG_FD && fcntl(LOG_FD, F_SETFD, 0) == 0; /* it may have been that already */
    if (!ok || ph_interrupt_install() < 0) /* a pipe of our own */
        _exit(PH_EXIT_FAILED);
    char *command = ph_tool_command(farm->options->tool, farm->options->daemon, farm->options->check_ms, LOG_FD);
    if (command)
        cli.address = command;
    ph_run_script(w->report->script, &cli, &farm->options->run, &out);
    free(command);
    fclose(out.f);
    _exit(PH_EXIT_OK);
}

/* ---- starting ---- */

static int make_log(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    ph_script_need(fd >= 0);
    return fd;
}

static void start(struct farm *farm, struct worker *w, struct ph_script_report *report)
{
    int pipe_fds[2];
    pid_t parent = getpid();
    ph_script_need(pipe2(pipe_fds, O_CLOEXEC) == 0);
    *w = (struct worker){.results = pipe_fds[0], .report = report, .begun = ph_now_ms(), .err = make_log("stderr"), .log = make_log("log")};
    fflush(NULL);
    w->pid = fork();
    ph_script_need(w->pid >= 0);
    if (w->pid == 0)
        run_worker(farm, w, pipe_fds[1], parent);
    close(pipe_fds[1]);
    fcntl(w->results, F_SETFL, O_NONBLOCK);
    farm->started++;
}

/* ---- what came ---- */

/* The offset is the writer's, too, and is left alone. */
static off_t log_size(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_size : 0;
}

/* The last of what is in a log, NUL-terminated. */
static char *take_log(int fd)
{
    off_t size = log_size(fd), from = size > SHOWN_BYTES ? size - SHOWN_BYTES : 0;
    char *text = ph_script_alloc(SHOWN_BYTES + 1);
    ssize_t n = pread(fd, text, SHOWN_BYTES, from);
    for (ssize_t i = 0; i < n; i++)
        if (!text[i])
            text[i] = '?';
    close(fd);
    return text;
}

static void add_result(struct ph_script_report *r, struct ph_test_result result)
{
    r->results = ph_script_grow(r->results, r->n, sizeof result);
    r->results[r->n++] = result;
}

static void add_missing(struct ph_script_report *r, int status, const char *killed)
{
    char *text = NULL;
    if (killed)
        ph_script_need(asprintf(&text, "%s: %s, and was killed\n", r->script->name, killed) >= 0);
    else
        ph_script_need(asprintf(&text, "%s: what ran it ended with %s %d\n", r->script->name, WIFSIGNALED(status) ? "signal" : "status",
                                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)) >= 0);
    while (r->n + 1 < ph_report_points(r->script))
        add_result(r, (struct ph_test_result){PH_NOT_RUN, 0, ph_script_copy((struct ph_text){"not run", 7}), ph_script_copy((struct ph_text){"", 0})});
    add_result(r, (struct ph_test_result){PH_FAILED, 0, ph_script_copy((struct ph_text){"", 0}), text});
}

static void take_results(struct worker *w)
{
    struct ph_test_result result;
    size_t at = 0, used;
    while (w->report->n < ph_report_points(w->report->script) && w->len > 0 && ph_test_read(w->bytes + at, w->len - at, &result, &used)) {
        add_result(w->report, result);
        at += used;
    }
}

/* killed: why it has been, or NULL. */
static void finish(struct farm *farm, struct worker *w, const char *killed)
{
    int status = 0;
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
        ;
    take_results(w);
    if (w->report->n < ph_report_points(w->report->script))
        add_missing(w->report, status, killed);
    w->report->err = take_log(w->err);
    w->report->log = take_log(w->log);
    close(w->results);
    free(w->bytes);
    w->pid = 0;
    farm->finished++;
    farm->failed += ph_report_status(w->report) != PH_EXIT_OK;
}

/* False at the end of the pipe. */
static bool read_some(struct worker *w)
{
    if (w->cap - w->len < 4096) {
        w->cap = w->cap * 2 + 8192;
        w->bytes = realloc(w->bytes, w->cap + 1);
        ph_script_need(w->bytes != NULL);
    }
    ssize_t n = read(w->results, w->bytes + w->len, w->cap - w->len);
    if (n > 0)
        w->len += (size_t)n;
    w->bytes[w->len] = 0;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* ---- the loop ---- */

static int64_t allowed_ms(const struct farm *farm)
{
    return (int64_t)farm->options->run.timeout_ms + OVERTIME_MS * farm->options->run.patience;
}

static void look_at(struct farm *farm, struct worker *w, short revents)
{
    const char *why = NULL;
    if (revents && !read_some(w)) {
        finish(farm, w, NULL);
        return;
    }
    if (ph_now_ms() - w->begun > allowed_ms(farm))
        why = "it did not end, not even after its time-out";
    else if (log_size(w->err) > LOG_MAX || log_size(w->log) > LOG_MAX)
        why = "it has written more than 256 MB to stderr";
    if (!why)
        return;
    kill(w->pid, SIGKILL); /* its daemon dies with it */
    finish(farm, w, why);
}

static void wait_for_some(struct farm *farm)
{
    unsigned jobs = farm->options->jobs;
    struct pollfd *p = ph_script_alloc((jobs + 1) * sizeof *p);
    for (unsigned i = 0; i < jobs; i++)
        p[i] = (struct pollfd){.fd = farm->workers[i].pid ? farm->workers[i].results : -1, .events = POLLIN};
    p[jobs] = (struct pollfd){.fd = ph_interrupt_fd(), .events = POLLIN};
    if (poll(p, jobs + 1, 1000) >= 0)
        for (unsigned i = 0; i < jobs; i++)
            if (farm->workers[i].pid)
                look_at(farm, &farm->workers[i], p[i].revents);
    free(p);
}

static void start_some(struct farm *farm, struct ph_script_report *reports)
{
    for (unsigned i = 0; i < farm->options->jobs; i++)
        if (!farm->workers[i].pid && farm->started < farm->n)
            start(farm, &farm->workers[i], &reports[farm->started]);
}

static bool any_left(const struct farm *farm)
{
    for (unsigned i = 0; i < farm->options->jobs; i++)
        if (farm->workers[i].pid)
            return true;
    return false;
}

/* Tells the workers to end, which end their daemons; who does not within the time is killed, and its daemon with it. */
static void end_all(struct farm *farm)
{
    int64_t until = ph_now_ms() + END_MS;
    unsigned jobs = farm->options->jobs;
    for (unsigned i = 0; i < jobs; i++)
        if (farm->workers[i].pid)
            kill(farm->workers[i].pid, SIGTERM);
    while (any_left(farm)) {
        bool late = ph_now_ms() > until;
        for (unsigned i = 0; i < jobs; i++) {
            struct worker *w = &farm->workers[i];
            if (w->pid && late)
                kill(w->pid, SIGKILL);
            if (w->pid && !read_some(w))
                finish(farm, w, late ? "it did not end when it was told to" : NULL);
        }
        usleep(5000);
    }
}

bool ph_farm_run(struct ph_script_report *reports, size_t n, const struct ph_cli *cli, const struct ph_farm_options *options,
                 void (*done)(void *arg, const struct ph_script_report *r), void *arg)
{
    struct farm farm = {.cli = cli, .options = options, .n = n, .tty = ph_screen_is(stderr)};
    size_t reported = 0;
    farm.workers = ph_script_alloc(options->jobs * sizeof *farm.workers);
    while (reported < n && !ph_interrupt_signal()) {
        start_some(&farm, reports);
        progress(&farm);
        wait_for_some(&farm);
        for (; reported < n && reports[reported].err && !ph_interrupt_signal(); reported++) {
            wipe_progress(&farm);
            done(arg, &reports[reported]);
        }
    }
    wipe_progress(&farm);
    end_all(&farm);
    free(farm.workers);
    return reported == n;
}
