/* SPDX-License-Identifier: Apache-2.0 */
/* The order of starting and stopping. The end: no new connections, ports exit (flush, stop), connections say goodbye, drivers finish. A second
 * signal, or a port that does not come to an end, cuts that short. */
#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/counters.h"
#include "base/flood.h"
#include "base/log.h"
#include "base/thread.h"
#include "check/violation.h"
#include "conn/activated.h"
#include "conn/conn.h"
#include "conn/listener.h"
#include "crash.h"
#include "driver/ddll.h"
#include "metrics/metrics.h"
#include "options.h"
#include "port/async.h"
#include "port/misuse.h"
#include "port/port.h"
#include "port/select.h"
#include "reload.h"
#include "sched/flood_alarm.h"
#include "sched/sched.h"
#include "service.h"

#define END_POLL_US 5000
#define VIOLATION_STATUS 3 /* drivers were checked, and broke rules */

static struct {
    struct event *timer;
    uint64_t begun_ns; /* 0: not ending */
    unsigned limit_s;
    bool hurried;
    bool finishing; /* drivers' finish() runs */
    bool abandoned; /* something was left running */
} end; /* first reactor only */

static void on_finished(void)
{
    ph_reactors_stop();
}

#define ABANDONED_TOLD 20u /* each by its name */

static void tell_abandoned(struct ph_port *p, void *arg)
{
    unsigned *told = arg;
    struct ph_where where;
    if ((*told)++ < ABANDONED_TOLD)
        ph_log(PH_LOG_WARNING, ph_port_where(p, &where), "abandoned: %zu bytes in its queue", (size_t)ph_stat_get(&p->stats.queue_size));
}

static void on_end_timer(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval poll = {.tv_usec = END_POLL_US};
    bool late = end.hurried || ph_now_ns() - end.begun_ns > end.limit_s * UINT64_C(1000000000);
    unsigned conns = ph_conns_count();
    size_t ports = ph_ports_count(), jobs = ph_port_async_count();
    (void)fd;
    (void)what;
    (void)arg;
    if ((conns || ports || jobs) && !late) {
        event_add(end.timer, &poll);
        return;
    }
    if (end.finishing)
        return;
    end.finishing = true;
    end.abandoned = conns || ports || jobs;
    if (ports)
        ph_log(PH_LOG_WARNING, NULL, "%zu ports have not come to their end and are abandoned", ports);
    if (jobs)
        ph_log(PH_LOG_WARNING, NULL, "%zu async jobs have not come to their end and are abandoned", jobs);
    unsigned told = 0;
    ph_ports_each(tell_abandoned, &told);
    ph_ddll_unload_all(on_finished);
}

static void begin_end(void)
{
    static const struct timeval now = {0};
    if (end.begun_ns) {
        end.hurried = true;
    } else {
        ph_log(PH_LOG_INFO, NULL, "ending");
        end.begun_ns = ph_now_ns();
        end.limit_s = ph_reload_bar();
        ph_service_stopping(end.limit_s);
        alarm(end.limit_s + 3); /* for an end that a stuck callback or job prevents: see watch_signals */
        ph_metrics_ending();
        ph_listeners_close();
        ph_conns_shutdown();
    }
    event_add(end.timer, &now);
}

static void end_task(struct ph_task *task)
{
    (void)task;
    if (!end.begun_ns)
        begin_end();
}

static void signal_task(struct ph_task *task)
{
    (void)task;
    begin_end();
}

static struct ph_task stdio_ended = {.run = end_task};

static void on_stdio_end(void)
{
    ph_reactor_post(ph_reactor_first(), &stdio_ended);
}

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGALRM);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* A signal may come when the reactors are being taken down. */
static pthread_mutex_t signal_mu = PTHREAD_MUTEX_INITIALIZER; /* guards reactors_end; taken before a reactor's inbox */
static bool reactors_end;

static void post_signal(struct ph_task *task)
{
    pthread_mutex_lock(&signal_mu);
    if (!reactors_end)
        ph_reactor_post(ph_reactor_first(), task);
    pthread_mutex_unlock(&signal_mu);
}

static void forget_signals(void)
{
    pthread_mutex_lock(&signal_mu);
    reactors_end = true;
    pthread_mutex_unlock(&signal_mu);
}

/* Of an end that was asked for. */
static int end_status(void)
{
    return ph_counter_sum(PH_COUNT_VIOLATIONS) ? VIOLATION_STATUS : 0;
}

/* A thread of its own, so that a driver that is stuck, even on a reactor, cannot keep the daemon from ending: the first signal asks for an orderly end,
 * the second hurries it, a third or the time limit cuts it short. SIGHUP reads the configuration again. */
static void *watch_signals(void *arg)
{
    static struct ph_task tasks[] = {{.run = signal_task}, {.run = signal_task}};
    int sig;
    for (size_t n = 0; sigwait(arg, &sig) == 0; n += sig != SIGHUP) {
        if (sig == SIGHUP) {
            ph_reload();
            continue;
        }
        ph_log(PH_LOG_NOTICE, NULL, "%s: ending%s", strsignal(sig), n ? " now" : "");
        if (sig == SIGALRM || n == 2)
            break;
        if (n == 1)
            alarm(2);
        post_signal(&tasks[n]);
    }
    ph_log(PH_LOG_WARNING, NULL, "a driver does not come to an end and is abandoned");
    ph_flood_end();
    _exit(end_status());
}

static void on_libevent_log(int severity, const char *msg)
{
    ph_log(severity >= EVENT_LOG_ERR ? PH_LOG_ERROR : PH_LOG_DEBUG, NULL, "libevent: %s", msg);
}

static void raise_fd_limit(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max;
        setrlimit(RLIMIT_NOFILE, &lim);
    }
}

/* So that the log, or what a driver prints, never goes to a file or connection that got a standard descriptor's number. */
static void hold_standard_descriptors(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd >= 0)
        close(fd);
}

static int start_events(void)
{
    struct event_base *base = ph_reactor_base(ph_reactor_first());
    static sigset_t set;
    pthread_t thread;
    end.timer = event_new(base, -1, 0, on_end_timer, NULL);
    block_signals(&set);
    int err = end.timer ? ph_thread_start(&thread, "signals", 0, watch_signals, &set) : ENOMEM;
    if (!err && ph_checking())
        err = ph_slow_start();
    if (!err)
        return pthread_detach(thread);
    ph_log(PH_LOG_ERROR, NULL, "cannot start threads: %s", strerror(err));
    return -1;
}

/* Preloading comes before listening: who can connect finds all as it is configured. */
static int serve(const struct ph_options *o, const struct ph_config *c)
{
    if (ph_config_apply_state(c) || ph_config_preload(c) || ph_metrics_serve(c->metrics, c->metrics_remote) || ph_listeners_set(c->listeners, c->listener_count))
        return -1;
    if (o->stdio_in < 0)
        return ph_service_start();
    ph_serve_stdio(); /* part of the parent's service, if anything */
    return 0;
}

/* Takes c. */
static int run(const struct ph_options *o, struct ph_config *c)
{
    if (c->check_drivers) {
        ph_check_start(ph_port_where);
        ph_log(PH_LOG_NOTICE, NULL, "drivers are checked: what they break is reported, and costs time");
    }
    if (ph_config_start_threads(c) || start_events()) {
        end.abandoned = true;
        return 1;
    }
    ph_flood_alarms_init();
    ph_ports_init();
    ph_monitors_init();
    ph_ddll_init();
    ph_ddll_on_kill_ports(ph_kill_ports_of);
    ph_conn_on_stdio_end(on_stdio_end);
    ph_peer_on_input_again(ph_select_input_again);
    ph_config_apply(c);
    if (serve(o, c)) {
        ph_listeners_close();
        end.abandoned = true;
        return 1;
    }
    ph_reload_init(o, c);
    ph_reactor_main();
    ph_restore_stdio();
    return 0;
}

static void stop_threads(void)
{
    ph_service_end();
    ph_metrics_serve(NULL, false);
    ph_async_stop();
    ph_workers_stop();
    forget_signals();
    event_free(end.timer);
    ph_reactors_join();
}

static int check(const struct ph_options *o)
{
    struct ph_config c;
    if (ph_options_config(o, &c))
        return 1;
    printf("%s: no errors\n", ph_options_file(o));
    ph_config_clear(&c);
    return 0;
}

/* The daemon's life; its exit status. */
static int host(const struct ph_options *o)
{
    struct ph_config c;
    if (o->stdio_in >= 0 && ph_claim_stdio(o->stdio_in, o->stdio_out)) {
        ph_restore_stdio();
        return 1;
    }
    hold_standard_descriptors();
    if (ph_options_config(o, &c)) {
        ph_restore_stdio();
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log or state file that may not grow further is no reason to die */
    ph_crash_install();
    raise_fd_limit();
    event_set_log_callback(on_libevent_log);
    if (evthread_use_pthreads()) {
        ph_log(PH_LOG_ERROR, NULL, "libevent has no thread support");
        return 1;
    }
    int status = run(o, &c);
    if (!status)
        status = end_status();
    /* With a callback still running somewhere, nothing can be taken down in order. */
    if (end.abandoned || !ph_reload_end()) {
        ph_flood_end();
        _exit(status);
    }
    stop_threads();
    ph_flood_end();
    return status;
}

/* The status of what has been said on stdout, if it has got there. */
static int told(int status)
{
    if (status || (fflush(stdout) == 0 && !ferror(stdout)))
        return status;
    fprintf(stderr, "porthostd: cannot write to stdout: %s\n", strerror(errno));
    return 1;
}

int main(int argc, char **argv)
{
    struct ph_options o;
    int status;
    ph_log_set_format(PH_LOG_TEXT, PH_LOG_PREFIX_AUTO); /* until the configuration says how */
    if (ph_activated_claim())
        return 1;
    if (ph_options_parse(argc, argv, &o, &status))
        status = told(status);
    else
        status = o.check ? told(check(&o)) : host(&o);
    ph_options_free(&o);
    return status;
}
