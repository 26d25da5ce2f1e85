/* SPDX-License-Identifier: Apache-2.0 */
/* What is served at /metrics: the names and meanings of the metrics, and where their values come from. */
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/counters.h"
#include "base/mem.h"
#include "check/violation.h"
#include "conn/conn.h"
#include "driver/counts.h"
#include "metrics/metrics.h"
#include "port/port.h"
#include "port/select.h"

#define COUNTER "counter"
#define GAUGE "gauge"

static void family(struct evbuffer *out, const char *name, const char *type, const char *help)
{
    evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct evbuffer *out, const char *name, const char *type, const char *help, uint64_t value)
{
    family(out, name, type, help);
    evbuffer_add_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void one_seconds(struct evbuffer *out, const char *name, const char *type, const char *help, double value)
{
    family(out, name, type, help);
    evbuffer_add_printf(out, "%s %.9f\n", name, value);
}

/* --- the process --- */

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void process(struct evbuffer *out)
{
    unsigned long long total = 0, resident = 0;
    struct rusage used = {0};
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%llu %llu", &total, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    getrusage(RUSAGE_SELF, &used);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    one(out, "process_resident_memory_bytes", GAUGE, "Memory of the host and its drivers that is resident.", resident * page);
    one(out, "process_virtual_memory_bytes", GAUGE, "Address space of the host and its drivers.", total * page);
    one_seconds(out, "process_cpu_seconds_total", COUNTER, "User and system time used.", seconds(used.ru_utime) + seconds(used.ru_stime));
}

/* --- the host --- */

static const char *const counter_names[] = {
#define X(name, atom) [PH_COUNT_##name] = atom,
    PH_COUNTERS(X)
#undef X
};

static const struct {
    enum ph_counter counter;
    const char *name, *help;
} plain[] = {
    {PH_COUNT_CONNECTIONS, "porthost_connections_opened_total", "Connections that were accepted."},
    {PH_COUNT_REFUSED, "porthost_connections_refused_total", "Connections that were refused."},
    {PH_COUNT_FRAMES_IN, "porthost_frames_received_total", "Frames from clients."},
    {PH_COUNT_BYTES_IN, "porthost_received_bytes_total", "Bytes of frames from clients."},
    {PH_COUNT_FRAMES_OUT, "porthost_frames_sent_total", "Frames for clients."},
    {PH_COUNT_BYTES_OUT, "porthost_sent_bytes_total", "Bytes of frames for clients."},
    {PH_COUNT_NOT_PERMITTED, "porthost_not_permitted_total", "Requests that the connection may not make."},
};

static void requests(struct evbuffer *out)
{
    static const enum ph_counter which[] = {PH_COUNT_OPENS, PH_COUNT_COMMANDS, PH_COUNT_CONTROLS, PH_COUNT_CALLS};
    family(out, "porthost_requests_total", COUNTER, "Requests of clients about ports.");
    for (size_t i = 0; i < sizeof which / sizeof *which; i++)
        evbuffer_add_printf(out, "porthost_requests_total{request=\"%s\"} %" PRIu64 "\n", counter_names[which[i]], ph_counter_sum(which[i]));
}

static void faults(struct evbuffer *out)
{
    family(out, "porthost_faults_total", COUNTER, "Errors of clients and ends of connections, by kind.");
#define X(name, atom, ends, text)                                                                \
    evbuffer_add_printf(out, "porthost_faults_total{kind=\"%s\"} %" PRIu64 "\n", atom,           \
                        ph_counter_sum((enum ph_counter)(PH_COUNT_FAULT + PH_FAULT_##name)));
    PH_FAULTS(X)
#undef X
}

static void limits(struct evbuffer *out)
{
    family(out, "porthost_limits_met_total", COUNTER, "How often something was refused, held back or ended because of a limit.");
    for (size_t i = 0; i < PH_COUNTER_COUNT; i++)
        if (strncmp(counter_names[i], "limit_", 6) == 0)
            evbuffer_add_printf(out, "porthost_limits_met_total{limit=\"%s\"} %" PRIu64 "\n", counter_names[i] + 6, ph_counter_sum((enum ph_counter)i));
}

static void host(struct evbuffer *out)
{
    family(out, "porthost_build_info", GAUGE, "The version, with the value 1.");
    evbuffer_add_printf(out, "porthost_build_info{version=\"%s\"} 1\n", PH_VERSION);
    one(out, "porthost_connections", GAUGE, "Connections that are open.", ph_conns_count());
    one(out, "porthost_ports", GAUGE, "Ports that exist, also those that open or close.", ph_ports_count());
    one(out, "porthost_selected_descriptors", GAUGE, "Descriptors that drivers wait for, each direction by itself.", ph_select_count());
    one(out, "porthost_async_threads", GAUGE, "Threads for async jobs.", ph_async_threads());
    one(out, "porthost_worker_threads", GAUGE, "Threads for heavy drivers at the start.", ph_scheduler_threads());
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        one(out, plain[i].name, COUNTER, plain[i].help, ph_counter_sum(plain[i].counter));
    one(out, "porthost_log_lines_lost_total", COUNTER, "Lines of the log that could not be written.", ph_log_lost());
    requests(out);
    faults(out);
    limits(out);
}

/* --- drivers --- */

struct driver {
    char label[256]; /* the name as a label's value, cut if it is long */
    uint64_t n[PH_DRIVER_COUNT_COUNT];
};

struct drivers {
    struct driver *v;
    size_t n;
};

enum unit { NUMBER, SECONDS }; /* seconds: counted as nanoseconds */

/* plus, minus: the value is the one less the other; minus may be the same as plus: then it is the one */
static const struct {
    const char *name, *type, *help;
    unsigned plus, minus;
    enum unit unit;
} of_driver[] = {
    {"porthost_driver_ports", GAUGE, "Open ports.", PH_DRIVER_OPENS, PH_DRIVER_CLOSES, NUMBER},
    {"porthost_driver_opens_total", COUNTER, "Ports that were opened.", PH_DRIVER_OPENS, PH_DRIVER_OPENS, NUMBER},
    {"porthost_driver_open_failures_total", COUNTER, "Ports that the driver refused to start.", PH_DRIVER_OPEN_FAILURES, PH_DRIVER_OPEN_FAILURES, NUMBER},
    {"porthost_driver_closes_total", COUNTER, "Ports that have ended.", PH_DRIVER_CLOSES, PH_DRIVER_CLOSES, NUMBER},
    {"porthost_driver_received_bytes_total", COUNTER, "Bytes of commands to the driver.", PH_DRIVER_BYTES_TO, PH_DRIVER_BYTES_TO, NUMBER},
    {"porthost_driver_sent_bytes_total", COUNTER, "Bytes from the driver's output functions.", PH_DRIVER_BYTES_FROM, PH_DRIVER_BYTES_FROM, NUMBER},
    {"porthost_driver_outputs_total", COUNTER, "Messages from the driver's output functions.", PH_DRIVER_OUTPUTS, PH_DRIVER_OUTPUTS, NUMBER},
    {"porthost_driver_terms_total", COUNTER, "Messages from the driver's term functions.", PH_DRIVER_TERMS, PH_DRIVER_TERMS, NUMBER},
    {"porthost_driver_queue_bytes", GAUGE, "Bytes in driver queues.", PH_DRIVER_QUEUE_BYTES, PH_DRIVER_QUEUE_BYTES, NUMBER},
    {"porthost_driver_busy_ports", GAUGE, "Ports that are busy.", PH_DRIVER_BUSY_PORTS, PH_DRIVER_BUSY_PORTS, NUMBER},
    {"porthost_driver_busy_seconds_total", COUNTER, "Time that ports were busy, added when it is over.", PH_DRIVER_BUSY_NS, PH_DRIVER_BUSY_NS, SECONDS},
    {"porthost_driver_timers", GAUGE, "Timers that are set.", PH_DRIVER_TIMERS, PH_DRIVER_TIMERS, NUMBER},
    {"porthost_driver_async_jobs_total", COUNTER, "Async jobs that were queued and not cancelled.", PH_DRIVER_ASYNC_JOBS, PH_DRIVER_ASYNC_JOBS, NUMBER},
    {"porthost_driver_async_queued", GAUGE, "Async jobs that wait for their thread.", PH_DRIVER_ASYNC_JOBS, PH_DRIVER_ASYNC_STARTED, NUMBER},
    {"porthost_driver_async_running", GAUGE, "Async jobs that run.", PH_DRIVER_ASYNC_STARTED, PH_DRIVER_ASYNC_DONE, NUMBER},
    {"porthost_driver_async_wait_seconds_total", COUNTER, "Time that async jobs waited.", PH_DRIVER_ASYNC_WAIT_NS, PH_DRIVER_ASYNC_WAIT_NS, SECONDS},
    {"porthost_driver_async_run_seconds_total", COUNTER, "Time in async jobs.", PH_DRIVER_ASYNC_RUN_NS, PH_DRIVER_ASYNC_RUN_NS, SECONDS},
};

static void set_label(char *to, size_t size, const char *name)
{
    size_t n = 0;
    for (; *name && n + 3 < size; name++) {
        if (*name == '"' || *name == '\\')
            to[n++] = '\\';
        to[n++] = (unsigned char)*name < 0x20 || (unsigned char)*name >= 0x7f ? '?' : *name;
    }
    to[n] = '\0';
}

static struct drivers get_drivers(void)
{
    struct drivers d = {0};
    struct driver one_more;
    const char *name;
    while (d.n < PH_DRIVER_SLOTS && (name = ph_driver_slot_sums((unsigned)d.n, one_more.n))) {
        d.v = ph_realloc(d.v, (d.n + 1) * sizeof *d.v);
        set_label(one_more.label, sizeof one_more.label, name);
        d.v[d.n++] = one_more;
    }
    return d;
}

/* Sums over threads that count meanwhile may be a little off: a difference is never less than 0. */
static uint64_t less(uint64_t plus, uint64_t minus)
{
    return plus > minus ? plus - minus : 0;
}

static uint64_t value_of(const struct driver *d, unsigned plus, unsigned minus)
{
    uint64_t v = d->n[plus];
    bool is_difference = plus != minus, negative = (int64_t)v < 0;
    return is_difference ? less(v, d->n[minus]) : negative ? 0 : v;
}

static void plain_families(struct evbuffer *out, const struct drivers *all)
{
    for (size_t i = 0; i < sizeof of_driver / sizeof *of_driver; i++) {
        family(out, of_driver[i].name, of_driver[i].type, of_driver[i].help);
        for (size_t j = 0; j < all->n; j++) {
            uint64_t v = value_of(&all->v[j], of_driver[i].plus, of_driver[i].minus);
            evbuffer_add_printf(out, "%s{driver=\"%s\"} ", of_driver[i].name, all->v[j].label);
            if (of_driver[i].unit == SECONDS)
                evbuffer_add_printf(out, "%.9f\n", (double)v / 1e9);
            else
                evbuffer_add_printf(out, "%" PRIu64 "\n", v);
        }
    }
}

static void callbacks(struct evbuffer *out, const struct drivers *all)
{
    static const char *const names[] = {
#define X(name) #name,
        PH_CALLBACKS(X)
#undef X
    };
    family(out, "porthost_driver_callbacks_total", COUNTER, "Callbacks of ports; output and outputv are commands.");
    for (size_t i = 0; i < all->n; i++)
        for (unsigned kind = 0; kind < PH_CALLBACK_COUNT; kind++)
            if (all->v[i].n[PH_DRIVER_CALLBACKS + kind])
                evbuffer_add_printf(out, "porthost_driver_callbacks_total{driver=\"%s\",callback=\"%s\"} %" PRIu64 "\n", all->v[i].label,
                                    names[kind], all->v[i].n[PH_DRIVER_CALLBACKS + kind]);
}

static uint64_t runs(const struct driver *d)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < PH_RUN_BUCKETS; i++)
        n += d->n[PH_DRIVER_RUNS + i];
    return n;
}

static void where_run(struct evbuffer *out, const struct drivers *all)
{
    family(out, "porthost_driver_runs_total", COUNTER, "Callbacks that were not within another, by the kind of thread.");
    for (size_t i = 0; i < all->n; i++) {
        const struct driver *d = &all->v[i];
        uint64_t by_worker = d->n[PH_DRIVER_WORKER_RUNS];
        evbuffer_add_printf(out, "porthost_driver_runs_total{driver=\"%s\",by=\"inline\"} %" PRIu64 "\n", d->label, less(runs(d), by_worker));
        evbuffer_add_printf(out, "porthost_driver_runs_total{driver=\"%s\",by=\"worker\"} %" PRIu64 "\n", d->label, by_worker);
    }
}

static void histogram(struct evbuffer *out, const struct driver *d)
{
    uint64_t n = 0;
    for (unsigned i = 0; i + 1 < PH_RUN_BUCKETS; i++) {
        n += d->n[PH_DRIVER_RUNS + i];
        evbuffer_add_printf(out, "porthost_driver_callback_seconds_bucket{driver=\"%s\",le=\"%.10g\"} %" PRIu64 "\n", d->label,
                            (double)PH_RUN_BUCKET_NS(i) / 1e9, n);
    }
    evbuffer_add_printf(out, "porthost_driver_callback_seconds_bucket{driver=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", d->label, runs(d));
    evbuffer_add_printf(out, "porthost_driver_callback_seconds_sum{driver=\"%s\"} %.9f\n", d->label, (double)d->n[PH_DRIVER_RUN_NS] / 1e9);
    evbuffer_add_printf(out, "porthost_driver_callback_seconds_count{driver=\"%s\"} %" PRIu64 "\n", d->label, runs(d));
}

static void violations(struct evbuffer *out)
{
    uint64_t counts[PH_VIOLATION_COUNT];
    char label[256];
    const char *name;
    family(out, "porthost_driver_violations_total", COUNTER, "Rules that the driver broke, if drivers are checked; without a driver's name: unknown threads.");
    for (unsigned i = 0; ph_checking() && (name = ph_violations_by(i, counts)); i++) {
        set_label(label, sizeof label, name);
        for (unsigned kind = 0; kind < PH_VIOLATION_COUNT; kind++)
            if (counts[kind])
                evbuffer_add_printf(out, "porthost_driver_violations_total{driver=\"%s\",kind=\"%s\"} %" PRIu64 "\n", label,
                                    ph_violation_name((enum ph_violation)kind), counts[kind]);
    }
}

void ph_metrics_page(struct evbuffer *out)
{
    struct drivers all = get_drivers();
    process(out);
    host(out);
    plain_families(out, &all);
    callbacks(out, &all);
    where_run(out, &all);
    family(out, "porthost_driver_callback_seconds", "histogram", "Time in callbacks that were not within another.");
    for (size_t i = 0; i < all.n; i++)
        histogram(out, &all.v[i]);
    violations(out);
    ph_free(all.v);
}
