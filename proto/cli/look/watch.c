/* SPDX-License-Identifier: Apache-2.0 */
/* Owns `watch`: what a host and its ports do, again and again: on a terminal in place, otherwise one table after the other, or a line
 * of JSON each. Called through the table of commands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "interrupt.h"
#include "look/look.h"
#include "look/sample.h"
#include "out.h"
#include "screen.h"

#define INTERVAL_MAX_S 86400
#define HEAD_LINES 3 /* above the ports, and one free below */
#define SLOW_NS 1e9  /* a callback that runs as long as that is shown in red */

struct watch {
    int64_t interval_ms;
    uint64_t count;
};

static bool take_interval(struct ph_args *a, int64_t *ms)
{
    char text[32] = "", *end;
    struct ph_text t = ph_args_word(a);
    if (t.p && t.len < sizeof text)
        memcpy(text, t.p, t.len);
    double seconds = strtod(text, &end);
    bool ok = end != text && !*end && seconds >= 0.01 && seconds <= INTERVAL_MAX_S;
    if (!ok)
        ph_args_complain(a, "--interval: expected seconds from 0.01 to %d, found %.*s", INTERVAL_MAX_S, (int)t.len, t.p ? t.p : "");
    *ms = ok ? (int64_t)(seconds * 1000) : 0;
    return ok;
}

static bool arguments(struct ph_args *a, struct watch *w)
{
    *w = (struct watch){.interval_ms = 1000, .count = UINT64_MAX};
    while (ph_args_left(a)) {
        struct ph_text option = ph_args_word(a);
        bool ok = false;
        if (ph_text_is(option, "--interval"))
            ok = take_interval(a, &w->interval_ms);
        else if (ph_text_is(option, "--count"))
            ok = ph_args_number(a, "--count", INT64_MAX, &w->count);
        else
            ph_args_complain(a, "watch: expected --interval or --count, found %.*s", (int)option.len, option.p);
        if (!ok)
            return false;
    }
    return true;
}

bool ph_watch_check(struct ph_args *a)
{
    struct watch w;
    return arguments(a, &w);
}

/* ---- the table ---- */

/* 1234 as "1234", 123456 as "121K": at most five characters. */
static const char *amount(double n, char *buf, size_t cap)
{
    static const char units[] = " KMGTPE";
    size_t u = 0;
    while (n >= 9999.5 && u < sizeof units - 2) {
        n /= 1024;
        u++;
    }
    snprintf(buf, cap, u ? "%.0f%c" : "%.0f", n, units[u]);
    return buf;
}

static const char *duration(double ns, char *buf, size_t cap)
{
    if (ns < 1e3)
        snprintf(buf, cap, "%.0fns", ns);
    else if (ns < 1e6)
        snprintf(buf, cap, "%.1fus", ns / 1e3);
    else if (ns < 1e9)
        snprintf(buf, cap, "%.1fms", ns / 1e6);
    else
        snprintf(buf, cap, "%.1fs", ns / 1e9);
    return buf;
}

static const char *string(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static void print_line(enum ph_look look, int columns, const char *line)
{
    bool cut = ph_screen_is(stdout);
    fputs(ph_screen_on(stdout, look), stdout);
    printf("%.*s", cut ? columns : (int)strlen(line), line);
    printf("%s%s\n", ph_screen_off(stdout, look), cut ? "\033[K" : "");
}

static void print_head(const json_t *sample, int columns)
{
    char line[256], clock[16];
    const json_t *stats = json_object_get(sample, "stats");
    time_t seconds = (time_t)(ph_sample_number(sample, "time") / 1e9);
    struct tm tm;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&seconds, &tm));
    snprintf(line, sizeof line, "%s  connections %.0f  ports %.0f  commands %.0f  controls %.0f  calls %.0f  faults %.0f", clock,
             ph_sample_number(stats, "connections"), ph_sample_number(stats, "ports"), ph_sample_number(stats, "commands"), ph_sample_number(stats, "controls"),
             ph_sample_number(stats, "calls"), ph_sample_number(stats, "faults"));
    print_line(PH_LOOK_PLAIN, columns, line);
    snprintf(line, sizeof line, "%-10s %-16s %-8s %8s %8s %6s %6s %6s %5s %7s %8s  %s", "PORT", "DRIVER", "STATE", "OUTPUT/s", "INPUT/s",
             "RUNS/s", "QUEUE", "WAIT", "RUN%", "WORKER%", "LONGEST", "RUNNING");
    print_line(PH_LOOK_BOLD, columns, line);
}

static void print_port(const json_t *port, int columns)
{
    char line[256], id[48], out[16], in[16], runs[16], queue[16], wait[16], longest[16], since[16] = "";
    const json_t *rates = json_object_get(port, "rates");
    bool busy = json_is_true(json_object_get(port, "busy"));
    double running = ph_sample_number(port, "running_time"), all = ph_sample_number(port, "runs"), ended = ph_sample_number(port, "longest_run");
    snprintf(id, sizeof id, "%.0f/%.0f", ph_sample_number(port, "connection"), ph_sample_number(port, "id"));
    if (running > 0)
        duration(running, since, sizeof since);
    snprintf(line, sizeof line, "%-10s %-16.64s %-8s %8s %8s %6s %6s %6s %5.1f %7.0f %8s  %s %s", id, string(port, "driver"),
             busy ? "busy" : string(port, "state"), amount(ph_sample_number(rates, "output"), out, sizeof out),
             amount(ph_sample_number(rates, "input"), in, sizeof in), amount(ph_sample_number(rates, "runs"), runs, sizeof runs),
             amount(ph_sample_number(port, "queue_size"), queue, sizeof queue), amount(ph_sample_number(port, "waiting"), wait, sizeof wait),
             100 * ph_sample_number(rates, "run_time"), all > 0 ? 100 * ph_sample_number(port, "worker_runs") / all : 0,
             duration(running > ended ? running : ended, longest, sizeof longest), running > 0 ? string(port, "running") : "-", since);
    print_line(running > SLOW_NS ? PH_LOOK_RED : busy ? PH_LOOK_YELLOW : PH_LOOK_PLAIN, columns, line);
}

static void print_table(const json_t *sample)
{
    int rows, columns;
    size_t i;
    json_t *port, *ports = json_object_get(sample, "ports");
    bool in_place = ph_screen_is(stdout);
    ph_screen_size(stdout, &rows, &columns);
    size_t room = in_place ? (size_t)(rows > HEAD_LINES ? rows - HEAD_LINES : 0) : SIZE_MAX;
    fputs(in_place ? "\033[H" : "", stdout);
    print_head(sample, columns);
    json_array_foreach(ports, i, port)
        if (i < room)
            print_port(port, columns);
    fputs(in_place ? "\033[J" : "\n", stdout);
}

static void show(const struct ph_session *s, const json_t *sample)
{
    if (s->cli->json) {
        json_dumpf(sample, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        putchar('\n');
    } else {
        print_table(sample);
    }
    fflush(stdout);
}

/* ---- the loop ---- */

/* The first sample is only what the rates of the second are counted from. */
static enum ph_result go_on(struct ph_session *s, const struct watch *w)
{
    json_t *before = NULL, *now = NULL;
    int64_t due = ph_now_ms();
    enum ph_result r = ph_sample_take(s, NULL, &before);
    for (uint64_t n = 0; r == PH_RESULT_OK && n < w->count && !ph_out_failed(); n++) {
        due = due + w->interval_ms > ph_now_ms() ? due + w->interval_ms : ph_now_ms();
        r = ph_session_listen(s, due, -1, NULL, NULL);
        if (r == PH_RESULT_OK)
            r = ph_sample_take(s, before, &now);
        if (r != PH_RESULT_OK)
            break;
        show(s, now);
        json_decref(before);
        before = now;
    }
    json_decref(before);
    return r;
}

enum ph_exit ph_watch_run(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct watch w;
    (void)c;
    if (!arguments(a, &w))
        return PH_EXIT_USAGE;
    bool in_place = !s->cli->json && ph_screen_is(stdout);
    fputs(in_place ? "\033[2J\033[?25l" : "", stdout); /* clear, no cursor */
    enum ph_result r = go_on(s, &w);
    fputs(in_place ? "\033[?25h" : "", stdout);
    fflush(stdout);
    if (r == PH_RESULT_INTERRUPTED && ph_interrupt_take())
        r = PH_RESULT_OK;
    return ph_result_exit(r);
}
