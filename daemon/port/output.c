/* SPDX-License-Identifier: Apache-2.0 */
/* Messages from ports: {Port, {data, D}} in list, binary and line mode (erl_driver(3), driver_output and friends), and driver terms. */
#include "port/output.h"

#include <string.h>

#include "base/bin.h"
#include "base/mem.h"
#include "check/memory.h"
#include "peer/reply.h"
#include "port/trace.h"
#include "term/build.h"
#include "term/words.h"

#define SHARE_OVER 64u

/* {send, Owner, {PortTerm, {data, _}}}: written once for each owner. */
static struct ph_wbuf *first_data_message(struct ph_port *p)
{
    struct ph_wbuf *w = ph_send_begin(p->owner);
    ph_w_tuple(w, 2);
    ph_w_raw(w, ph_port_self(p), p->term_len);
    ph_w_tuple(w, 2);
    ph_w_atom(w, "data");
    if (!w->failed)
        p->data_head = ph_blob_new(w->buf, w->len);
    return w;
}

static struct ph_wbuf *data_message(struct ph_port *p)
{
    const struct ph_blob *head = atomic_load_explicit(&p->data_head, memory_order_relaxed);
    return head ? ph_peer_begin_with(head->bytes, head->len) : first_data_message(p);
}

static void send_to_owner(struct ph_port *p, struct ph_wbuf *w)
{
    ph_stat_add(&p->stats.outputs, 1);
    ph_peer_commit_to(p->peer, p->owner, w);
}

/* Header bytes in front of a binary or the nothing that NULL means. */
static void write_binary_mode(struct ph_wbuf *w, const char *header, size_t header_len, const char *buf, size_t len)
{
    if (!buf && len == 0) {
        ph_w_string(w, header, header_len);
        return;
    }
    ph_w_bytes_open(w, header, header_len, false);
    ph_w_binary(w, buf, len);
}

static void write_list_mode(struct ph_wbuf *w, const char *header, size_t header_len, const char *buf, size_t len)
{
    if (header_len == 0) {
        ph_w_string(w, buf, len);
        return;
    }
    if (len == 0) {
        ph_w_string(w, header, header_len);
        return;
    }
    ph_w_bytes_open(w, header, header_len, false);
    ph_w_string(w, buf, len);
}

struct line_message {
    struct ph_port *port;
    const char *header;
    size_t header_len;
};

static void emit_line(void *arg, const char *line, size_t len, bool eol)
{
    struct line_message *m = arg;
    struct ph_wbuf *w = data_message(m->port);
    ph_w_tuple(w, 2);
    ph_w_atom(w, eol ? "eol" : "noeol");
    if (m->port->binary)
        write_binary_mode(w, m->header, m->header_len, line ? line : "", len);
    else
        write_list_mode(w, m->header, m->header_len, line, len);
    send_to_owner(m->port, w);
}

/* What is sent then is dropped. A driver without flush cannot know. */
static bool is_closing(const struct ph_port *p)
{
    if (ph_port_state(p) != PH_PORT_CLOSING)
        return false;
    if (ph_checking() && p->driver->entry.flush)
        ph_violation(PH_VIOLATION_OUTPUT_AFTER_CLOSE, "the port is closed, and only empties its queue: its owner gets no more of it");
    return true;
}

void ph_out_data(struct ph_port *p, const char *header, size_t header_len, const char *buf, size_t len)
{
    if (is_closing(p))
        return;
    ph_stat_add(&p->stats.input, header_len + len);
    if (ph_traced(p))
        ph_trace_output(p, header, header_len, &(SysIOVec){(char *)(uintptr_t)buf, len}, 1);
    if (p->line) {
        struct line_message m = {p, header, header_len};
        ph_line_feed(p->line, buf, len, emit_line, &m);
        return;
    }
    struct ph_wbuf *w = data_message(p);
    if (p->binary)
        write_binary_mode(w, header, header_len, buf, len);
    else
        write_list_mode(w, header, header_len, buf, len);
    send_to_owner(p, w);
}

static void write_shared(struct ph_wbuf *w, ErlDrvBinary *bin, const char *at, size_t len)
{
    if (bin && len > SHARE_OVER)
        ph_w_binary_ref(w, at, len, ph_bin_ref(bin));
    else
        ph_w_binary(w, at, len);
}

void ph_out_binary(struct ph_port *p, const char *header, size_t header_len, ErlDrvBinary *bin, size_t offset, size_t len)
{
    if (is_closing(p))
        return;
    ph_stat_add(&p->stats.input, header_len + len);
    if (ph_traced(p))
        ph_trace_output(p, header, header_len, &(SysIOVec){bin->orig_bytes + offset, len}, 1);
    struct ph_wbuf *w = data_message(p);
    if (p->binary) {
        ph_w_bytes_open(w, header, header_len, false);
        write_shared(w, bin, bin->orig_bytes + offset, len);
    } else {
        write_list_mode(w, header, header_len, bin->orig_bytes + offset, len);
    }
    send_to_owner(p, w);
}

/* [A, B | C]: the last element is the tail. */
static void write_vector_binary(struct ph_wbuf *w, const char *header, size_t header_len, const ErlIOVec *ev, int first)
{
    if (header_len)
        ph_w_bytes_open(w, header, header_len, false);
    int n = ev->vsize - first;
    if (n > 1)
        ph_w_list(w, (uint32_t)n - 1);
    for (int i = first; i < ev->vsize; i++)
        write_shared(w, ev->binv ? ev->binv[i] : NULL, ev->iov[i].iov_base, ev->iov[i].iov_len);
}

static void write_vector_list(struct ph_wbuf *w, const char *header, size_t header_len, const ErlIOVec *ev, int first)
{
    ph_w_bytes_open(w, header, header_len, false);
    for (int i = first; i < ev->vsize; i++)
        ph_w_bytes_open(w, ev->iov[i].iov_base, ev->iov[i].iov_len, false);
    ph_w_nil(w);
}

/* The first element that is left after skip bytes (cut in place, as the VM does) and the reserved empty one. */
static int skip_in_vector(ErlIOVec *ev, size_t skip)
{
    int i = 0;
    while (i < ev->vsize && skip >= ev->iov[i].iov_len && skip > 0)
        skip -= ev->iov[i++].iov_len;
    if (i < ev->vsize && skip > 0) {
        ev->iov[i].iov_base = (char *)ev->iov[i].iov_base + skip;
        ev->iov[i].iov_len -= skip;
    } else if (i == 0 && ev->vsize > 0 && ev->iov[0].iov_len == 0) {
        i++;
    }
    return i;
}

void ph_out_vector(struct ph_port *p, const char *header, size_t header_len, ErlIOVec *ev, size_t skip)
{
    if (is_closing(p))
        return;
    if (skip >= ev->size) {
        ph_out_data(p, header, header_len, NULL, 0);
        return;
    }
    ph_stat_add(&p->stats.input, header_len + (ev->size - skip));
    int first = skip_in_vector(ev, skip);
    if (ph_traced(p))
        ph_trace_output(p, header, header_len, ev->iov + first, ev->vsize - first);
    struct ph_wbuf *w = data_message(p);
    if (p->binary)
        write_vector_binary(w, header, header_len, ev, first);
    else
        write_vector_list(w, header, header_len, ev, first);
    send_to_owner(p, w);
}

void ph_out_eof(struct ph_port *p)
{
    struct ph_wbuf *w = ph_send_begin(p->owner);
    ph_w_tuple(w, 2);
    ph_w_raw(w, ph_port_self(p), p->term_len);
    ph_w_atom(w, "eof");
    send_to_owner(p, w);
    if (ph_traced(p))
        ph_trace_eof(p);
}

void ph_out_flush_line(struct ph_port *p)
{
    struct line_message m = {p, NULL, 0};
    if (p->line && ph_port_state(p) != PH_PORT_CLOSING)
        ph_line_flush(p->line, emit_line, &m);
}

static bool is_live(const ErlDrvBinary *b, size_t offset, size_t len)
{
    (void)offset;
    (void)len;
    return !b || ph_binary_is_live(b, "driver term");
}

static bool is_sent(const ErlDrvBinary *b, size_t offset, size_t len)
{
    ph_binary_sent(b, offset, len);
    return true;
}

/* Binaries come first: the check looks into them. */
static bool terms_are_good(const ErlDrvTermData *spec, int n)
{
    if (!ph_build_binaries(spec, n, is_live))
        return false;
    if (ph_build_check(spec, n) == 0)
        return ph_build_binaries(spec, n, is_sent);
    ph_violation(PH_VIOLATION_BAD_TERM, "%d words at %p that are not one driver term", n, (const void *)spec);
    return false;
}

int ph_out_term(struct ph_port *p, ErlDrvTermData to, const ErlDrvTermData *spec, int n)
{
    if (ph_checking() && !terms_are_good(spec, n))
        return -1;
    if (ph_build_check(spec, n))
        return -1;
    if (ph_word_kind(to) != PH_WORD_PID || ph_port_state(p) == PH_PORT_CLOSING)
        return 0;
    struct ph_trace_term told;
    struct ph_peer *peer = ph_peer_for(p->peer, to);
    struct ph_wbuf *w = ph_send_begin(to);
    size_t begin = w->len;
    int result = ph_build(w, spec, n, ph_w_port_term) ? -1 : ph_peer_is_open(peer);
    bool tell = result > 0 && ph_traced(p);
    if (tell)
        ph_trace_keep_term(&told, w, begin);
    if (result > 0) {
        ph_peer_commit(peer, w);
        atomic_fetch_add_explicit(&p->stats.terms, 1, memory_order_relaxed);
        ph_driver_count(p->driver->slot, PH_DRIVER_TERMS, 1);
    } else {
        ph_wbuf_reset(w);
    }
    if (tell)
        ph_trace_send(p, to, &told);
    ph_peer_unref(peer);
    return result;
}
