/* SPDX-License-Identifier: Apache-2.0 */
/* Owns `trace`: a line for each event of a port, as it comes. Called through the table of commands. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "interrupt.h"
#include "look/look.h"
#include "look/port_ref.h"
#include "out.h"
#include "screen.h"
#include "term/term.h"
#include "term/term_json.h"

struct trace {
    struct ph_session_tap tap; /* first */
    struct ph_port_ref port;
    uint64_t left; /* events to show */
    bool closed;
};

/* An event's elements behind its name. */
struct told {
    uint64_t connection, id, time;
    char event[32];
    struct ph_slice args;
};

static bool arguments(const struct ph_session *s, struct ph_args *a, struct ph_port_ref *port, uint64_t *count)
{
    *count = UINT64_MAX;
    if (!ph_port_ref_take(s, a, port))
        return false;
    struct ph_text option = ph_args_word(a);
    if (!option.p)
        return true;
    if (ph_text_is(option, "--count"))
        return ph_args_number(a, "--count", INT64_MAX, count);
    ph_args_complain(a, "trace: expected --count, found %.*s", (int)option.len, option.p);
    return false;
}

bool ph_trace_check(struct ph_args *a)
{
    struct ph_port_ref port;
    uint64_t count;
    return arguments(NULL, a, &port, &count);
}

static bool read_event(const struct ph_event *e, struct told *t)
{
    char event[1024];
    size_t len;
    struct ph_cur c = e->args;
    if (strcmp(e->name, "trace") != 0 || e->arity != 6 || ph_etf_uint64(&c, &t->connection) < 0 || ph_etf_uint64(&c, &t->id) < 0 ||
        ph_etf_uint64(&c, &t->time) < 0 || ph_etf_atom(&c, event, sizeof event, &len) < 0 || len >= sizeof t->event)
        return false;
    memcpy(t->event, event, len + 1);
    return ph_etf_raw(&c, &t->args) == 0;
}

static void print_json(const struct told *t)
{
    json_t *args = ph_term_json(t->args);
    json_t *j = json_pack("{s:I,s:I,s:I,s:s,s:o}", "connection", (json_int_t)t->connection, "id", (json_int_t)t->id, "time",
                          (json_int_t)t->time, "event", t->event, "args", args ? args : json_object());
    json_dumpf(j, stdout, JSON_COMPACT);
    json_decref(j);
}

static enum ph_look look_of(const char *event)
{
    if (strcmp(event, "dropped") == 0 || strcmp(event, "exit") == 0)
        return PH_LOOK_RED;
    if (strcmp(event, "busy") == 0)
        return PH_LOOK_YELLOW;
    return strcmp(event, "enter") == 0 || strcmp(event, "leave") == 0 ? PH_LOOK_PLAIN : PH_LOOK_CYAN;
}

/* The time of day here. */
static void print_text(const struct told *t)
{
    char clock[16];
    time_t seconds = (time_t)(t->time / 1000000000u);
    struct tm tm;
    enum ph_look look = look_of(t->event);
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&seconds, &tm));
    printf("%s.%06u %llu/%llu %s%-7s%s ", clock, (unsigned)(t->time % 1000000000u / 1000), (unsigned long long)t->connection,
           (unsigned long long)t->id, ph_screen_on(stdout, look), t->event, ph_screen_off(stdout, look));
    if (ph_term_print(stdout, t->args) < 0)
        ph_complain("the host sent a term that cannot be shown");
}

static void on_event(struct ph_session_tap *tap, const struct ph_event *e)
{
    struct trace *t = (struct trace *)tap;
    struct told told;
    if (!read_event(e, &told) || told.connection != t->port.connection || told.id != t->port.id) {
        ph_session_pass_on(tap, e);
        return;
    }
    t->closed |= strcmp(told.event, "closed") == 0;
    if (t->left == 0)
        return;
    t->left--;
    if (tap->session->cli->json)
        print_json(&told);
    else
        print_text(&told);
    putchar('\n');
    fflush(stdout);
}

static bool enough(void *arg)
{
    const struct trace *t = arg;
    return t->closed || t->left == 0 || ph_out_failed();
}

static enum ph_result ask(struct ph_session *s, struct ph_port_ref port, bool on, struct ph_slice *value)
{
    ph_port_ref_begin(s, "trace", port, 1);
    ph_w_bool(&s->out, on);
    return ph_session_ask(s, value);
}

static enum ph_exit follow(struct ph_session *s, struct trace *t)
{
    struct ph_slice value = {0};
    enum ph_result r = ask(s, t->port, true, &value);
    if (r == PH_RESULT_ERROR) {
        ph_port_ref_refused("trace", t->port, value);
        return PH_EXIT_FAILED;
    }
    if (r == PH_RESULT_OK)
        r = ph_session_listen(s, PH_NEVER, -1, enough, t);
    if (r == PH_RESULT_INTERRUPTED && ph_interrupt_take())
        r = PH_RESULT_OK;
    if (r == PH_RESULT_OK && !t->closed) {
        t->left = 0;
        r = ask(s, t->port, false, &value);
    }
    return r == PH_RESULT_ERROR ? PH_EXIT_OK : ph_result_exit(r); /* the port has ended meanwhile */
}

enum ph_exit ph_trace_run(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct trace t = {.tap.on_event = on_event};
    (void)c;
    if (!arguments(s, a, &t.port, &t.left))
        return PH_EXIT_USAGE;
    ph_session_tap(s, &t.tap);
    enum ph_exit e = follow(s, &t);
    ph_session_untap(&t.tap);
    return e;
}
