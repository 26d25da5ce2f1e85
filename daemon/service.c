/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager's side of the daemon. One thread talks to it, since its socket may block. For the watchdog that thread asks each reactor for a sign of
 * life and goes on only when all have given one: a reactor that hangs ends the pings, and the service manager ends the daemon. */
#include "service.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "conn/conn.h"
#include "port/port.h"
#include "sched/sched.h"

#define STATUS_US UINT64_C(2000000) /* how often the line of status may change */
#define END_ROOM_S 5u               /* that an end may take beyond its limit */
#define STATUS_BYTES 96

static struct {
    pthread_mutex_t mu; /* guards the rest; a leaf */
    pthread_cond_t changed;
    pthread_t thread;
    bool runs, ending;
    unsigned unanswered;   /* reactors that were asked and have not answered */
    unsigned stopping_s;   /* 0: not stopping, or told already */
    uint64_t watchdog_us;  /* 0: none is wanted; like what follows, the thread's after start */
    struct ph_task *questions; /* one for each reactor */
    char status[STATUS_BYTES]; /* as it was told last */
} service = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void write_status(char *to)
{
    unsigned conns = ph_conns_count();
    size_t ports = ph_ports_count();
    snprintf(to, STATUS_BYTES, "%u connection%s, %zu port%s", conns, conns == 1 ? "" : "s", ports, ports == 1 ? "" : "s");
}

/* What is not told now is not told again, and the service manager would wait for it. */
static void notify(const char *text)
{
    while (sd_notify(0, text) == -EINTR)
        ;
}

static void tell_ending(unsigned seconds)
{
    char text[96];
    snprintf(text, sizeof text, "STOPPING=1\nSTATUS=Ending\nEXTEND_TIMEOUT_USEC=%" PRIu64, seconds * UINT64_C(1000000));
    notify(text);
}

static void tell_status(void)
{
    char now[STATUS_BYTES];
    write_status(now);
    if (strcmp(now, service.status) == 0)
        return;
    memcpy(service.status, now, sizeof now);
    char text[STATUS_BYTES + 8];
    snprintf(text, sizeof text, "STATUS=%s", now);
    notify(text);
}

/* --- signs of life --- */

static void answer(struct ph_task *question)
{
    (void)question;
    pthread_mutex_lock(&service.mu);
    service.unanswered--;
    pthread_mutex_unlock(&service.mu);
}

static void ask_reactors(void)
{
    struct ph_reactor *r;
    unsigned n = 0;
    while (ph_reactor_at(n))
        n++;
    if (!service.questions)
        service.questions = ph_calloc(n, sizeof *service.questions);
    pthread_mutex_lock(&service.mu);
    service.unanswered = n;
    pthread_mutex_unlock(&service.mu);
    for (unsigned i = 0; (r = ph_reactor_at(i)); i++) {
        service.questions[i].run = answer;
        ph_reactor_post(r, &service.questions[i]);
    }
}

/* --- the thread --- */

/* Until the time is over, or there is something to tell. With mu. */
static void wait_locked(uint64_t us)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(us / 1000000);
    at.tv_nsec += (long)(us % 1000000) * 1000;
    at.tv_sec += at.tv_nsec / 1000000000L;
    at.tv_nsec %= 1000000000L;
    while (!service.ending && !service.stopping_s && pthread_cond_clockwait(&service.changed, &service.mu, CLOCK_MONOTONIC, &at) == 0)
        ;
}

/* True: it is time for a ping, and all reactors have answered since the last. */
static bool ping_is_due(uint64_t *asked_ns)
{
    if (!service.watchdog_us || ph_now_ns() - *asked_ns < service.watchdog_us * 1000 / 3)
        return false;
    pthread_mutex_lock(&service.mu);
    bool all = service.unanswered == 0;
    pthread_mutex_unlock(&service.mu);
    if (all)
        *asked_ns = ph_now_ns();
    return all;
}

static unsigned take_stopping(bool *ending, uint64_t us)
{
    pthread_mutex_lock(&service.mu);
    wait_locked(us);
    unsigned seconds = service.stopping_s;
    service.stopping_s = 0;
    *ending = service.ending;
    pthread_mutex_unlock(&service.mu);
    return seconds;
}

static void *tell(void *arg)
{
    uint64_t asked_ns = ph_now_ns(), pause_us = STATUS_US;
    if (service.watchdog_us && service.watchdog_us / 4 < pause_us)
        pause_us = service.watchdog_us / 4;
    if (service.watchdog_us)
        ask_reactors();
    for (bool ending = false; !ending;) {
        unsigned seconds = take_stopping(&ending, pause_us);
        if (seconds)
            tell_ending(seconds);
        else if (!ending)
            tell_status();
        if (!ending && ping_is_due(&asked_ns)) {
            notify("WATCHDOG=1");
            ask_reactors();
        }
    }
    return arg;
}

/* --- from outside --- */

static bool is_service(void)
{
    return getenv("NOTIFY_SOCKET") != NULL;
}

int ph_service_start(void)
{
    if (!is_service())
        return 0;
    if (sd_watchdog_enabled(1, &service.watchdog_us) <= 0)
        service.watchdog_us = 0;
    int err = ph_thread_start(&service.thread, "service", 0, tell, NULL);
    if (err) {
        ph_log(PH_LOG_ERROR, NULL, "cannot start a thread for the service manager: %s", strerror(err));
        return -1;
    }
    service.runs = true;
    ph_service_ready();
    return 0;
}

void ph_service_reloading(void)
{
    char text[64];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, ph_now_ns() / 1000);
    if (service.runs)
        notify(text);
}

void ph_service_ready(void)
{
    if (service.runs)
        notify("READY=1");
}

void ph_service_stopping(unsigned seconds)
{
    pthread_mutex_lock(&service.mu);
    service.stopping_s = seconds + END_ROOM_S;
    pthread_cond_signal(&service.changed);
    pthread_mutex_unlock(&service.mu);
}

void ph_service_end(void)
{
    if (!service.runs)
        return;
    pthread_mutex_lock(&service.mu);
    service.ending = true;
    pthread_cond_signal(&service.changed);
    pthread_mutex_unlock(&service.mu);
    pthread_join(service.thread, NULL);
    ph_free(service.questions);
}
