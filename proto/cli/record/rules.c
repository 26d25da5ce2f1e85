/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the rules of a comparison. Called by replay.c. Terms that are not as the protocol has them are compared as they are. */
#include "record/rules.h"

#include <ei.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto.h"
#include "script/pattern.h"
#include "term/term.h"

/* A frame taken apart: its name, and its elements behind the name. */
struct frame {
    char name[32];
    struct ph_slice args[6];
    uint32_t n; /* of args; what is behind the sixth is of no interest here */
};

static bool is(const struct frame *f, const char *name, uint32_t n)
{
    return f->n == n && strcmp(f->name, name) == 0;
}

static bool open_frame(struct ph_slice term, struct frame *f)
{
    struct ph_cur c = {term.p, term.p + term.len};
    char name[1024];
    size_t len;
    uint32_t arity;
    *f = (struct frame){0};
    if (ph_etf_tuple(&c, &arity) < 0 || arity == 0 || ph_etf_atom(&c, name, sizeof name, &len) < 0 || len >= sizeof f->name)
        return false;
    memcpy(f->name, name, len + 1);
    for (uint32_t i = 1; i < arity && f->n < 6; i++)
        if (ph_etf_raw(&c, &f->args[f->n++]) < 0)
            return false;
    return true;
}

static bool is_reply(const struct frame *f)
{
    return is(f, "ok", 2) || is(f, "error", 2);
}

/* ---- requests that wait for their replies ---- */

struct ph_request_made {
    struct ph_request_made *next;
    char name[32], item[32]; /* item: of info and port_info */
    char *tag;               /* text */
};

static void remember(struct ph_rules *r, const struct frame *f)
{
    struct ph_request_made **at = &r->requests, *made = ph_calloc(1, sizeof *made);
    while (*at)
        at = &(*at)->next;
    *at = made;
    memcpy(made->name, f->name, sizeof made->name);
    made->tag = ph_pattern_text(f->args[0]);
    struct ph_slice last = f->n > 0 ? f->args[f->n - 1] : (struct ph_slice){0};
    struct ph_cur c = {last.p, last.p + last.len};
    char item[1024];
    size_t len;
    if ((is(f, "info", 3) || is(f, "port_info", 4)) && ph_etf_atom(&c, item, sizeof item, &len) == 0 && len < sizeof made->item)
        memcpy(made->item, item, len + 1);
}

/* Takes out the request that the tag answers; the caller frees it. NULL: none. */
static struct ph_request_made *answered(struct ph_rules *r, struct ph_slice tag)
{
    char *text = ph_pattern_text(tag);
    struct ph_request_made **at = &r->requests;
    while (*at && strcmp((*at)->tag, text) != 0)
        at = &(*at)->next;
    struct ph_request_made *made = *at;
    if (made)
        *at = made->next;
    free(text);
    return made;
}

static void free_request(struct ph_request_made *made)
{
    if (made)
        free(made->tag);
    ph_free(made);
}

/* ---- order ---- */

static bool is_tagged(const struct frame *f)
{
    static const char *const tagged[] = {
#define X(name, atom, arity, is_tagged) is_tagged ? atom : NULL,
        PH_REQUESTS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof tagged / sizeof *tagged; i++)
        if (tagged[i] && strcmp(tagged[i], f->name) == 0)
            return f->n > 0;
    return false;
}

static bool one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static void take_grants(struct ph_rules *r, struct ph_slice list)
{
    struct ph_cur c = {list.p, list.p + list.len};
    struct ph_slice id, term;
    uint32_t n, arity;
    if (ph_etf_list(&c, &n) < 0)
        return;
    for (; n > 0 && ph_etf_tuple(&c, &arity) == 0 && arity == 2 && ph_etf_raw(&c, &id) == 0 && ph_etf_raw(&c, &term) == 0; n--)
        ph_stream_join(ph_streams_make(&r->streams, PH_BY_TERM, term), ph_streams_make(&r->streams, PH_BY_PORT, id));
}

/* What a request of the client says about which names are the same stream. */
static void take_names(struct ph_rules *r, const struct frame *f)
{
    static const char *const of_ports[] = {"open", "control", "call", "connect", "close", "info", "set_data", "get_data", NULL};
    static const char *const of_drivers[] = {"load", "unload", "monitor_driver", "demonitor_driver", "driver_info", "drivers", "format_error", NULL};
    if (is(f, "grant", 1))
        take_grants(r, f->args[0]);
    if (!is_tagged(f))
        return;
    struct ph_stream *tag = ph_streams_make(&r->streams, PH_BY_TAG, f->args[0]);
    if (f->n > 1 && one_of(f->name, of_ports))
        ph_stream_join(tag, ph_streams_make(&r->streams, PH_BY_PORT, f->args[1]));
    else if (one_of(f->name, of_drivers))
        ph_stream_join(tag, ph_streams_make(&r->streams, PH_BY_DRIVERS, (struct ph_slice){0}));
    if (is(f, "open", 6))
        ph_stream_join(ph_streams_make(&r->streams, PH_BY_TERM, f->args[2]), tag);
    remember(r, f);
}

/* The names of monitors in the recording and in the play are not the same numbers. */
static struct ph_stream *stream_of_monitor(struct ph_rules *r, const struct frame *f, bool live)
{
    enum ph_stream_name kind = live ? PH_BY_LIVE_MONITOR : PH_BY_MONITOR;
    if (is(f, "demonitor", 1))
        return live ? ph_streams_find(&r->streams, kind, f->args[0]) : ph_streams_make(&r->streams, kind, f->args[0]);
    struct ph_stream *process = live ? ph_streams_find(&r->streams, PH_BY_MONITORED, f->args[1])
                                     : ph_streams_make(&r->streams, PH_BY_MONITORED, f->args[1]);
    if (process)
        ph_stream_join(ph_streams_make(&r->streams, kind, f->args[0]), process);
    return process;
}

static struct ph_stream *stream_of_message(struct ph_rules *r, const struct frame *f, bool live)
{
    struct ph_cur c = {f->args[1].p, f->args[1].p + f->args[1].len};
    struct ph_slice first;
    uint32_t arity;
    struct ph_stream *port = NULL;
    if (ph_etf_tuple(&c, &arity) == 0 && arity > 0 && ph_etf_raw(&c, &first) == 0)
        port = ph_streams_find(&r->streams, PH_BY_TERM, first);
    if (port)
        return port;
    return live ? ph_streams_find(&r->streams, PH_BY_RECEIVER, f->args[0]) : ph_streams_make(&r->streams, PH_BY_RECEIVER, f->args[0]);
}

bool ph_rules_compare(struct ph_slice term)
{
    struct frame f;
    return !open_frame(term, &f) || !is(&f, "trace", 5);
}

struct ph_stream *ph_rules_stream(struct ph_rules *r, struct ph_slice term, bool live)
{
    static const char *const of_ports[] = {"link", "unlink", "exit", "closed", "signal", "busy", "created", NULL};
    struct frame f;
    enum ph_stream_name kind = PH_BY_HOST;
    struct ph_slice name = {0};
    if (open_frame(term, &f)) {
        if (is(&f, "monitor", 2) || is(&f, "demonitor", 1))
            return stream_of_monitor(r, &f, live);
        if (is(&f, "send", 2))
            return stream_of_message(r, &f, live);
        if (f.n > 0 && (is_reply(&f) || one_of(f.name, of_ports))) {
            kind = is_reply(&f) ? PH_BY_TAG : PH_BY_PORT;
            name = f.args[0];
        }
    }
    return live ? ph_streams_find(&r->streams, kind, name) : ph_streams_make(&r->streams, kind, name);
}

/* ---- what may differ ---- */

/* Parts of a frame that a variable takes the place of, in their order. */
struct edits {
    struct edit {
        struct ph_slice part;
        char name[PH_TERM_VAR_MAX + 1];
    } *at;
    size_t n;
};

static void edit(struct edits *e, struct ph_slice part, const char *prefix, uint64_t number)
{
    if (part.p[0] == PH_TERM_VAR && part.len > 2 && part.p[2] == 0)
        return; /* somebody has written a variable there */
    e->at = ph_realloc(e->at, (e->n + 1) * sizeof *e->at);
    struct edit *new = &e->at[e->n++];
    new->part = part;
    if (prefix[1])
        snprintf(new->name, sizeof new->name, "%s%llu", prefix, (unsigned long long)number);
    else
        snprintf(new->name, sizeof new->name, "%s", prefix);
}

static uint64_t integer_of(struct ph_slice term)
{
    struct ph_cur c = {term.p, term.p + term.len};
    int64_t negative = 0;
    uint64_t v = 0;
    if (ph_etf_uint64(&c, &v) < 0 && ph_etf_int64(&c, &negative) == 0)
        v = (uint64_t)-negative;
    return v;
}

/* A number that the host makes: the client can only have it from the host. */
static void edit_number(struct ph_rules *r, bool by_host, struct edits *e, struct ph_slice part, enum ph_stream_name kind, const char *prefix)
{
    if (by_host)
        ph_streams_make(&r->streams, kind, part);
    else if (!ph_streams_find(&r->streams, kind, part))
        return;
    edit(e, part, prefix, integer_of(part));
}

/* {open_error, N} */
static void edit_open_error(struct ph_rules *r, bool by_host, struct edits *e, struct ph_slice term)
{
    struct frame f;
    if (open_frame(term, &f) && is(&f, "open_error", 1))
        edit_number(r, by_host, e, f.args[0], PH_BY_OPEN_ERROR, "_OpenError");
}

/* A list of maps, in each of which the number of a connection is. */
static void edit_ports(struct ph_rules *r, struct edits *e, struct ph_slice list)
{
    struct ph_cur c = {list.p, list.p + list.len};
    struct ph_slice value;
    uint32_t n, pairs;
    if (ph_etf_list(&c, &n) < 0)
        return;
    for (; n > 0 && ph_etf_map(&c, &pairs) == 0; n--) {
        for (; pairs > 0; pairs--) {
            bool connection = ph_etf_is_atom(&c, "connection") == 0;
            if ((!connection && ph_etf_skip(&c, PH_PRINT_DEPTH) < 0) || ph_etf_raw(&c, &value) < 0)
                return;
            if (connection)
                edit_number(r, true, e, value, PH_BY_CONNECTION, "_Connection");
        }
    }
}

/* Items that tell what the host needs for a port, and times. */
static bool varies(const char *item)
{
    return strcmp(item, "memory") == 0 || strcmp(item, "os_pid") == 0 || strcmp(item, "stats") == 0;
}

/* [{Item, Value}] */
static void edit_items(struct edits *e, struct ph_slice list)
{
    struct ph_cur c = {list.p, list.p + list.len};
    struct ph_slice pair;
    struct frame f;
    uint32_t n;
    if (ph_etf_list(&c, &n) < 0)
        return;
    for (; n > 0 && ph_etf_raw(&c, &pair) == 0; n--)
        if (open_frame(pair, &f) && f.n == 1 && varies(f.name))
            edit(e, f.args[0], "_", 0);
}

static void edit_reply(struct ph_rules *r, const struct frame *f, struct edits *e)
{
    struct ph_request_made *made = answered(r, f->args[0]);
    bool ok = strcmp(f->name, "ok") == 0;
    const char *name = made ? made->name : "", *item = made ? made->item : "";
    if (!ok && strcmp(name, "load") == 0)
        edit_open_error(r, true, e, f->args[1]);
    else if (ok && (strcmp(name, "stats") == 0 || strcmp(name, "port_stats") == 0))
        edit(e, f->args[1], "_", 0);
    else if (ok && strcmp(name, "ports") == 0)
        edit_ports(r, e, f->args[1]);
    else if (ok && varies(item))
        edit(e, f->args[1], "_", 0);
    else if (ok && strcmp(item, "all") == 0)
        edit_items(e, f->args[1]);
    free_request(made);
}

static void edit_frame(struct ph_rules *r, const struct ph_line *l, const struct frame *f, struct edits *e)
{
    if (l->by_host && is_reply(f))
        edit_reply(r, f, e);
    else if (l->by_host && (is(f, "hello", 2) || is(f, "fault", 2) || is(f, "goodbye", 2)))
        edit(e, f->args[1], "_", 0);
    else if (l->by_host ? is(f, "monitor", 2) || is(f, "demonitor", 1) : is(f, "down", 2))
        edit_number(r, l->by_host, e, f->args[0], PH_BY_MONITOR_NUMBER, "_Monitor");
    else if (!l->by_host && is(f, "format_error", 2))
        edit_open_error(r, false, e, f->args[1]);
    else if (!l->by_host && (is(f, "port_info", 4) || is(f, "trace", 4)))
        edit_number(r, false, e, f->args[1], PH_BY_CONNECTION, "_Connection");
}

static bool is_ref(const struct ph_cur *c)
{
    return *c->p == ERL_REFERENCE_EXT || *c->p == ERL_NEW_REFERENCE_EXT || *c->p == ERL_NEWER_REFERENCE_EXT;
}

static void put_var(struct ph_wbuf *w, const char *name)
{
    size_t n = strlen(name);
    uint8_t head[] = {PH_TERM_VAR, (uint8_t)(n + 1), 0};
    ph_w_raw(w, head, sizeof head);
    ph_w_raw(w, name, n);
}

/* A reference is the client's if a line of the client was the first to have it, else a variable. */
static void put_ref(struct ph_rules *r, bool by_host, struct ph_slice ref, struct ph_wbuf *w)
{
    char name[32];
    bool of_host = ph_streams_find(&r->streams, PH_BY_HOST_REF, ref) != NULL;
    if (!of_host && by_host)
        of_host = ph_streams_find(&r->streams, PH_BY_CLIENT_REF, ref) == NULL;
    unsigned number = ph_streams_number(&r->streams, of_host ? PH_BY_HOST_REF : PH_BY_CLIENT_REF, ref);
    snprintf(name, sizeof name, "_Ref%u", number);
    if (of_host)
        put_var(w, name);
    else
        ph_w_raw(w, ref.p, ref.len);
}

static void rewrite(struct ph_rules *r, struct ph_line *l, const struct edits *e)
{
    struct ph_wbuf w;
    struct ph_cur c = {l->bytes.buf, l->bytes.buf + l->bytes.len};
    size_t next = 0;
    ph_wbuf_init(&w, NULL);
    while (c.p < c.end) {
        size_t n = ph_pattern_head(c);
        if (next < e->n && c.p == e->at[next].part.p) {
            n = e->at[next].part.len;
            put_var(&w, e->at[next++].name);
        } else if (is_ref(&c)) {
            put_ref(r, l->by_host, (struct ph_slice){c.p, n}, &w);
        } else {
            ph_w_raw(&w, c.p, n);
        }
        c.p += n;
    }
    ph_wbuf_free(&l->bytes);
    l->bytes = w;
}

void ph_rules_take(struct ph_rules *r, struct ph_line *l)
{
    struct edits e = {0};
    struct frame f;
    if (l->kind != PH_LINE_TERM)
        return;
    if (open_frame((struct ph_slice){l->bytes.buf, l->bytes.len}, &f)) {
        edit_frame(r, l, &f, &e);
        if (!l->by_host)
            take_names(r, &f);
    }
    rewrite(r, l, &e);
    ph_free(e.at);
}

void ph_rules_free(struct ph_rules *r)
{
    while (r->requests) {
        struct ph_request_made *made = r->requests;
        r->requests = made->next;
        free_request(made);
    }
    ph_streams_free(&r->streams);
}
