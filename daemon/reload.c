/* SPDX-License-Identifier: Apache-2.0 */
/* SIGHUP. A thread of its own reads the file, since that may block (users' names, a driver's init), and puts it in force; only listeners belong to the first
 * reactor, which is asked. Whatever fails, the old configuration is applied again. */
#include "reload.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "base/thread.h"
#include "conn/listener.h"
#include "metrics/metrics.h"
#include "sched/sched.h"
#include "service.h"

static const struct ph_options *options;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards what follows; a leaf */
static struct ph_config in_force; /* written only by the thread that reloads, which reads it without mu */
static bool running = true; /* the start is the first of all readings */
static bool again, barred;

struct listen {
    struct ph_task task;
    struct ph_config *config;
    sem_t done;
    int result;
};

static bool is_barred(void)
{
    pthread_mutex_lock(&mu);
    bool is = barred;
    pthread_mutex_unlock(&mu);
    return is;
}

static void listen_task(struct ph_task *task)
{
    struct listen *l = (struct listen *)task;
    l->result = is_barred() ? -1 : ph_listeners_set(l->config->listeners, l->config->listener_count);
    sem_post(&l->done);
}

static int set_listeners(struct ph_config *c)
{
    struct listen l = {.task.run = listen_task, .config = c};
    sem_init(&l.done, 0, 0);
    ph_reactor_post(ph_reactor_first(), &l.task);
    while (sem_wait(&l.done) && errno == EINTR)
        ;
    sem_destroy(&l.done);
    return l.result;
}

/* Takes c. */
static void put_in_force(const struct ph_config *c)
{
    pthread_mutex_lock(&mu);
    ph_config_clear(&in_force);
    in_force = *c;
    pthread_mutex_unlock(&mu);
}

static void reload(void)
{
    struct ph_config c;
    int result = ph_options_config(options, &c);
    if (!result) {
        ph_config_keep_fixed(&c, &in_force);
        ph_config_apply(&c);
        result = ph_config_apply_state(&c) || ph_config_preload(&c) || ph_metrics_serve(c.metrics, c.metrics_remote) || set_listeners(&c) ? -1 : 0;
    }
    if (!result) {
        put_in_force(&c);
        ph_log(PH_LOG_NOTICE, NULL, "the configuration has been read again");
        return;
    }
    ph_config_apply(&in_force);
    ph_config_apply_state(&in_force);
    ph_metrics_serve(in_force.metrics, in_force.metrics_remote);
    ph_config_clear(&c);
    ph_log(PH_LOG_ERROR, NULL, "the configuration stays as it was");
}

static bool once_more(void)
{
    pthread_mutex_lock(&mu);
    running = again && !barred;
    again = false;
    bool more = running;
    pthread_mutex_unlock(&mu);
    return more;
}

static void *run(void *arg)
{
    ph_service_reloading();
    do
        reload();
    while (once_more());
    ph_service_ready();
    return arg;
}

/* With mu. */
static void start_locked(void)
{
    pthread_t thread;
    int err = ph_thread_start(&thread, "reload", 0, run, NULL);
    running = !err;
    if (err)
        ph_log(PH_LOG_ERROR, NULL, "cannot start a thread to read the configuration: %s", strerror(err));
    else
        pthread_detach(thread);
}

void ph_reload_init(const struct ph_options *o, struct ph_config *c)
{
    options = o;
    put_in_force(c);
    if (!once_more())
        return;
    pthread_mutex_lock(&mu);
    start_locked();
    pthread_mutex_unlock(&mu);
}

void ph_reload(void)
{
    pthread_mutex_lock(&mu);
    if (running)
        again = true;
    else if (!barred)
        start_locked();
    pthread_mutex_unlock(&mu);
}

unsigned ph_reload_bar(void)
{
    pthread_mutex_lock(&mu);
    barred = true;
    unsigned seconds = (unsigned)in_force.shutdown_s;
    pthread_mutex_unlock(&mu);
    return seconds;
}

bool ph_reload_end(void)
{
    pthread_mutex_lock(&mu);
    bool is = running;
    pthread_mutex_unlock(&mu);
    if (!is)
        ph_config_clear(&in_force);
    return !is;
}
