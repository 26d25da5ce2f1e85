/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the asking for statistics and the arithmetic of rates. Called by watch. */
#include "look/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "out.h"
#include "term/term_json.h"

static enum ph_result ask(struct ph_session *s, const char *request, const char *scope, json_t **value)
{
    struct ph_slice reply;
    ph_session_begin_tagged(s, request, scope ? 3 : 2);
    if (scope)
        ph_w_atom(&s->out, scope);
    enum ph_result r = ph_session_ask(s, &reply);
    if (r == PH_RESULT_ERROR)
        ph_out_failure(request, reply);
    *value = r == PH_RESULT_OK ? ph_term_json(reply) : NULL;
    return r;
}

double ph_sample_number(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) ? (double)json_integer_value(v) : json_real_value(v);
}

static const char *key_of(const json_t *port, char *buf, size_t cap)
{
    snprintf(buf, cap, "%.0f/%.0f", ph_sample_number(port, "connection"), ph_sample_number(port, "id"));
    return buf;
}

/* The ports of a sample by connection and id: new. */
static json_t *index_of(json_t *sample)
{
    char key[64];
    size_t i;
    json_t *port, *index = json_object();
    json_array_foreach(json_object_get(sample, "ports"), i, port)
        json_object_set(index, key_of(port, key, sizeof key), port);
    return index;
}

/* The run that goes on counts: key is of those that have ended. */
static double time_run(const json_t *port, const char *key)
{
    return ph_sample_number(port, key) + ph_sample_number(port, "running_time");
}

/* A port that is new, or whose id was used again, counts from 0. */
static double rate(const json_t *now, const json_t *before, double (*count)(const json_t *, const char *), const char *key, double seconds)
{
    double n = count(now, key), old = before && ph_sample_number(before, "runs") <= ph_sample_number(now, "runs") ? count(before, key) : 0;
    return seconds > 0 && n > old ? (n - old) / seconds : 0;
}

static void add_rates(json_t *ports, const json_t *index, double seconds)
{
    static const char *const counts[] = {"input", "output", "messages", "runs"};
    char key[64];
    size_t i;
    json_t *port;
    json_array_foreach(ports, i, port) {
        const json_t *before = json_object_get(index, key_of(port, key, sizeof key));
        json_t *rates = json_object();
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            json_object_set_new(rates, counts[k], json_real(rate(port, before, ph_sample_number, counts[k], seconds)));
        double busy = rate(port, before, time_run, "run_time", seconds) / 1e9;
        json_object_set_new(rates, "run_time", json_real(busy < 1 ? busy : 1));
        json_object_set_new(port, "rates", rates);
    }
}

static double share(const json_t *port)
{
    return json_real_value(json_object_get(json_object_get(port, "rates"), "run_time"));
}

static int by_share(const void *a, const void *b)
{
    const json_t *pa = *(json_t *const *)a, *pb = *(json_t *const *)b;
    double d = share(pb) - share(pa);
    if (!(d < 0 || d > 0))
        d = ph_sample_number(pa, "connection") - ph_sample_number(pb, "connection");
    if (!(d < 0 || d > 0))
        d = ph_sample_number(pa, "id") - ph_sample_number(pb, "id");
    return d < 0 ? -1 : d > 0;
}

/* A new array, in order; takes the old one, which it is if there is nothing to do, or no memory. */
static json_t *sorted(json_t *ports)
{
    size_t n = json_array_size(ports), i;
    json_t **at = n > 1 ? malloc(n * sizeof(json_t *)) : NULL, *port;
    if (!at)
        return ports;
    json_t *array = json_array();
    json_array_foreach(ports, i, port)
        at[i] = port;
    qsort(at, n, sizeof *at, by_share);
    for (i = 0; i < n; i++)
        json_array_append(array, at[i]);
    free(at);
    json_decref(ports);
    return array;
}

static json_int_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (json_int_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

enum ph_result ph_sample_take(struct ph_session *s, json_t *before, json_t **sample)
{
    json_t *stats = NULL, *ports = NULL;
    enum ph_result r = ask(s, "stats", NULL, &stats);
    if (r == PH_RESULT_OK)
        r = ask(s, "port_stats", "all", &ports);
    if (r != PH_RESULT_OK) {
        json_decref(stats);
        return r;
    }
    json_int_t now = now_ns();
    if (before) {
        json_t *index = index_of(before);
        add_rates(ports, index, ((double)now - ph_sample_number(before, "time")) / 1e9);
        json_decref(index);
        ports = sorted(ports);
    }
    *sample = json_pack("{s:I,s:o,s:o}", "time", now, "stats", stats, "ports", ports);
    if (before)
        json_object_set_new(*sample, "interval", json_real(((double)now - ph_sample_number(before, "time")) / 1e9));
    return r;
}
