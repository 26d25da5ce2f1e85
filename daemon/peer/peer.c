/* SPDX-License-Identifier: Apache-2.0 */
/* The outgoing half of a connection: frames are appended from any thread and written by the peer's reactor, once per turn. */
#include "peer/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/bin.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/flood.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "peer/peer_struct.h"
#include "term/words.h"

/* Bytes: above HIGH the connection is not read (and its ports get no input, if it is the unsent ones) until they are down to LOW. */
#define UNSENT_HIGH ph_limit(PH_LIMIT_UNSENT_PAUSE_BYTES)
#define UNSENT_LOW (UNSENT_HIGH / 4)
#define CHARGED_HIGH ph_limit(PH_LIMIT_REQUEST_BYTES)
#define CHARGED_LOW (CHARGED_HIGH / 4)
#define MAX_GRANTS 64u
#define KEEP_BUFFER (256u << 10) /* a thread's frame buffer that grew over this is given back */

static void (*input_again)(struct ph_peer *p);

static void flush_task(struct ph_task *task);
static void drained_task(struct ph_task *task);
static void on_writable(evutil_socket_t fd, short what, void *arg);

/* False: no memory. */
static bool make_buffers(struct ph_peer *p)
{
    p->out = evbuffer_new();
    p->sending = evbuffer_new();
    p->writable = event_new(ph_reactor_base(p->reactor), p->fd, EV_WRITE, on_writable, p);
    if (p->out && p->sending && p->writable)
        return true;
    if (p->out)
        evbuffer_free(p->out);
    if (p->sending)
        evbuffer_free(p->sending);
    if (p->writable)
        event_free(p->writable);
    return false;
}

struct ph_peer *ph_peer_new(struct ph_reactor *r, int fd_out, uint64_t id, const struct ph_peer_owner *owner)
{
    struct ph_peer *p = ph_calloc_try(1, sizeof *p);
    if (!p)
        return NULL;
    atomic_init(&p->refs, 1);
    atomic_init(&p->origin, PH_ORIGIN_NONE);
    atomic_init(&p->names, (unsigned)ph_limit(PH_LIMIT_NEW_NAMES));
    p->id = id;
    p->reactor = r;
    p->owner = *owner;
    p->fd = fd_out;
    if (!make_buffers(p)) {
        ph_free(p);
        return NULL;
    }
    p->post_task.run = flush_task;
    p->drained_task.run = drained_task;
    pthread_mutex_init(&p->out_mu, NULL);
    pthread_mutex_init(&p->mu, NULL);
    LIST_INIT(&p->monitors);
    STAILQ_INIT(&p->grants);
    return p;
}

struct ph_peer *ph_peer_ref(struct ph_peer *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void ph_peer_ref_obj(void *p)
{
    ph_peer_ref(p);
}

void ph_peer_unref(struct ph_peer *p)
{
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    uint64_t id;
    uint8_t *term;
    size_t len;
    while (ph_peer_take_grant(p, &id, &term, &len))
        ph_free(term);
    evbuffer_free(p->out);
    evbuffer_free(p->sending);
    ph_map_clear(&p->ports);
    pthread_mutex_destroy(&p->out_mu);
    pthread_mutex_destroy(&p->mu);
    ph_free(p);
}

uint64_t ph_peer_id(const struct ph_peer *p)
{
    return p->id;
}

struct ph_reactor *ph_peer_reactor(const struct ph_peer *p)
{
    return p->reactor;
}

bool ph_peer_is_open(const struct ph_peer *p)
{
    return !atomic_load_explicit(&p->closed, memory_order_acquire);
}

atomic_uint *ph_peer_names(struct ph_peer *p)
{
    return &p->names;
}

bool ph_peer_keep(struct ph_peer *p, size_t bytes)
{
    if (atomic_fetch_add_explicit(&p->kept, bytes, memory_order_relaxed) + bytes <= ph_limit(PH_LIMIT_KEPT_BYTES))
        return true;
    ph_limit_met(PH_LIMIT_KEPT_BYTES);
    ph_peer_unkeep(p, bytes);
    return false;
}

void ph_peer_unkeep(struct ph_peer *p, size_t bytes)
{
    atomic_fetch_sub_explicit(&p->kept, bytes, memory_order_relaxed);
}

size_t ph_peer_unsent(const struct ph_peer *p)
{
    return atomic_load_explicit(&p->unsent, memory_order_relaxed);
}

/* --- frames --- */

static pthread_key_t frame_key;
static pthread_once_t frame_once = PTHREAD_ONCE_INIT;

static void free_frame(void *w)
{
    ph_wbuf_free(w);
    ph_free(w);
}

static void make_frame_key(void)
{
    if (pthread_key_create(&frame_key, free_frame))
        ph_fatal("no thread key for frame buffers");
}

static struct ph_wbuf *empty_frame(void)
{
    static _Thread_local struct ph_wbuf *frame; /* freed by the key's destructor when the thread ends */
    if (!frame) {
        pthread_once(&frame_once, make_frame_key);
        frame = ph_alloc(sizeof *frame);
        ph_wbuf_init(frame, ph_bin_unref);
        pthread_setspecific(frame_key, frame);
    } else if (frame->cap > KEEP_BUFFER) {
        ph_wbuf_free(frame);
        ph_wbuf_init(frame, ph_bin_unref);
    }
    ph_wbuf_reset(frame);
    return frame;
}

struct ph_wbuf *ph_peer_begin_with(const uint8_t *head, size_t len)
{
    struct ph_wbuf *w = empty_frame();
    ph_w_raw(w, head, len);
    return w;
}

struct ph_wbuf *ph_peer_begin(void)
{
    static const uint8_t head[PH_FRAME_HEADER + 1] = {[PH_FRAME_HEADER] = 131}; /* the length is set by ph_peer_commit */
    return ph_peer_begin_with(head, sizeof head);
}

static void release_bin(const void *data, size_t len, void *bin)
{
    (void)data;
    (void)len;
    ph_bin_unref(bin);
}

/* The first n references are the buffer's now. */
static void refs_moved(struct ph_wbuf *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        w->ref_bytes -= w->refs[i].len;
    w->nrefs -= n;
    if (n)
        memmove(w->refs, w->refs + n, w->nrefs * sizeof *w->refs);
}

/* Moves the frame into the buffer; its references go along. -1: out of memory; a part of it may lie there. */
static int append_frame(struct evbuffer *out, struct ph_wbuf *w)
{
    uint32_t header = htonl((uint32_t)(ph_wbuf_total(w) - PH_FRAME_HEADER));
    size_t done = 0;
    memcpy(w->buf, &header, sizeof header);
    for (size_t i = 0; i < w->nrefs; i++) {
        struct ph_wref *ref = &w->refs[i];
        if (evbuffer_add(out, w->buf + done, ref->at - done) ||
            evbuffer_add_reference(out, ref->p, ref->len, release_bin, ref->owner)) {
            refs_moved(w, i);
            return -1;
        }
        done = ref->at;
    }
    w->nrefs = 0;
    w->ref_bytes = 0;
    return evbuffer_add(out, w->buf + done, w->len - done);
}

/* A frame is lost, so nothing but goodbye may follow. One of which a part lies in `out` takes along those that wait there before it. */
static void starve_locked(struct ph_peer *p, size_t before)
{
    unsigned mute = PH_MUTE_NOT;
    if (evbuffer_get_length(p->out) != before) {
        evbuffer_drain(p->out, evbuffer_get_length(p->out));
        atomic_fetch_sub_explicit(&p->unsent, before, memory_order_relaxed);
    }
    atomic_compare_exchange_strong(&p->mute, &mute, PH_MUTE_UNTIL_GOODBYE);
    atomic_store(&p->starved, true);
}

static void schedule_flush(struct ph_peer *p)
{
    ph_peer_ref(p); /* for the task */
    ph_reactor_at_turn_end(p->reactor, &p->post_task);
}

static void overflow(struct ph_peer *p)
{
    ph_limit_met(PH_LIMIT_UNSENT_BYTES);
    atomic_store(&p->overflow, true);
    atomic_store(&p->mute, PH_MUTE_FOR_EVER);
}

/* False: no memory, or more than a frame can be. */
static bool append_locked(struct ph_peer *p, struct ph_wbuf *w, size_t total)
{
    size_t before = evbuffer_get_length(p->out);
    if (atomic_fetch_add_explicit(&p->unsent, total, memory_order_relaxed) > ph_limit(PH_LIMIT_UNSENT_BYTES))
        overflow(p);
    if (!w->failed && total <= UINT32_MAX && append_frame(p->out, w) == 0)
        return true;
    atomic_fetch_sub_explicit(&p->unsent, total, memory_order_relaxed);
    starve_locked(p, before);
    return false;
}

void ph_peer_commit(struct ph_peer *p, struct ph_wbuf *w)
{
    size_t total = ph_wbuf_total(w);
    bool due = false;
    if (ph_peer_is_open(p) && !atomic_load_explicit(&p->mute, memory_order_relaxed)) {
        pthread_mutex_lock(&p->out_mu);
        bool kept = append_locked(p, w, total);
        due = !p->flush_due;
        p->flush_due = true;
        pthread_mutex_unlock(&p->out_mu);
        if (!kept)
            ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_ERROR, &(struct ph_where){.connection = p->id}, "a frame of %zu bytes cannot be sent", total);
        ph_count(PH_COUNT_FRAMES_OUT, 1);
        ph_count(PH_COUNT_BYTES_OUT, total);
    }
    ph_wbuf_reset(w);
    if (due)
        schedule_flush(p);
}

void ph_peer_starve(struct ph_peer *p)
{
    pthread_mutex_lock(&p->out_mu);
    starve_locked(p, evbuffer_get_length(p->out));
    bool due = !p->flush_due;
    p->flush_due = true;
    pthread_mutex_unlock(&p->out_mu);
    if (due)
        schedule_flush(p);
}

static void maybe_input_again(struct ph_peer *p)
{
    if (atomic_load(&p->unsent) <= UNSENT_LOW && atomic_exchange(&p->input_held, false))
        input_again(p);
}

static void maybe_drained(struct ph_peer *p)
{
    maybe_input_again(p);
    if (atomic_load(&p->unsent) <= UNSENT_LOW && atomic_load(&p->charged) <= CHARGED_LOW &&
        atomic_exchange(&p->held_back, false) && ph_peer_is_open(p))
        p->owner.drained(p->owner.conn);
}

/* 1: all written, 0: the fd is full, -1: broken. */
static int write_some(struct ph_peer *p)
{
    while (evbuffer_get_length(p->sending) > 0) {
        int n = evbuffer_write(p->sending, p->fd);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (n <= 0)
            return -1;
        atomic_fetch_sub_explicit(&p->unsent, (size_t)n, memory_order_relaxed);
    }
    return 1;
}

bool ph_peer_flush(struct ph_peer *p)
{
    if (!ph_peer_is_open(p))
        return true;
    pthread_mutex_lock(&p->out_mu);
    evbuffer_add_buffer(p->sending, p->out);
    pthread_mutex_unlock(&p->out_mu);
    int done = write_some(p);
    if (done < 0)
        p->owner.broken(p->owner.conn, PH_FAULT_NONE, strerror(errno));
    else if (atomic_load_explicit(&p->overflow, memory_order_relaxed))
        p->owner.broken(p->owner.conn, PH_FAULT_NONE, "too_slow: the client does not read what it is sent");
    else if (done == 0 && event_add(p->writable, NULL))
        p->owner.broken(p->owner.conn, PH_FAULT_NO_MEMORY, "cannot wait until it reads");
    if (atomic_load_explicit(&p->starved, memory_order_relaxed) && atomic_exchange(&p->starved, false))
        p->owner.broken(p->owner.conn, PH_FAULT_NO_MEMORY, "no memory for a frame");
    maybe_drained(p);
    return done != 0;
}

static void flush_task(struct ph_task *task)
{
    struct ph_peer *p = (struct ph_peer *)((char *)task - offsetof(struct ph_peer, post_task));
    pthread_mutex_lock(&p->out_mu);
    p->flush_due = false; /* only here, where the task is in no list any more */
    pthread_mutex_unlock(&p->out_mu);
    ph_peer_flush(p);
    ph_peer_unref(p);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    ph_peer_flush(arg);
}

/* --- holding back --- */

void ph_peer_charge(struct ph_peer *p, size_t bytes)
{
    atomic_fetch_add_explicit(&p->charged, bytes, memory_order_relaxed);
}

/* With a reference to the peer. */
static void drained_task(struct ph_task *task)
{
    struct ph_peer *p = (struct ph_peer *)((char *)task - offsetof(struct ph_peer, drained_task));
    atomic_store(&p->drained_posted, false); /* first: who comes later posts it again */
    maybe_drained(p);
    ph_peer_unref(p);
}

void ph_peer_discharge(struct ph_peer *p, size_t bytes)
{
    size_t before = atomic_fetch_sub(&p->charged, bytes);
    if (before <= CHARGED_LOW || before - bytes > CHARGED_LOW || !atomic_load(&p->held_back))
        return;
    if (!atomic_exchange(&p->drained_posted, true)) {
        ph_peer_ref(p);
        ph_reactor_post(p->reactor, &p->drained_task);
    }
}

bool ph_peer_may_read(const struct ph_peer *cp)
{
    struct ph_peer *p = (struct ph_peer *)(uintptr_t)cp;
    bool many_unsent = atomic_load(&p->unsent) > UNSENT_HIGH;
    if (!many_unsent && atomic_load(&p->charged) <= CHARGED_HIGH)
        return true;
    /* Sequentially consistent with the loads in maybe_drained and discharge: either they see held_back, or we see the low counts. */
    if (!atomic_exchange(&p->held_back, true))
        ph_limit_met(many_unsent ? PH_LIMIT_UNSENT_PAUSE_BYTES : PH_LIMIT_REQUEST_BYTES);
    if (atomic_load(&p->unsent) > UNSENT_LOW || atomic_load(&p->charged) > CHARGED_LOW)
        return false;
    return atomic_exchange(&p->held_back, false);
}

void ph_peer_on_input_again(void (*again)(struct ph_peer *p))
{
    input_again = again;
}

bool ph_peer_may_input(struct ph_peer *p)
{
    if (atomic_load_explicit(&p->unsent, memory_order_relaxed) <= UNSENT_HIGH)
        return true;
    atomic_store(&p->input_held, true); /* as in ph_peer_may_read */
    if (atomic_load(&p->unsent) > UNSENT_LOW)
        return false;
    return atomic_exchange(&p->input_held, false);
}

/* --- the end --- */

void ph_peer_say_goodbye(struct ph_peer *p, enum ph_fault fault, const char *detail)
{
    static const char *const atoms[] = {
#define X(name, atom, ends, text) [PH_FAULT_##name] = atom,
        PH_FAULTS(X)
#undef X
    };
    static const char *const texts[] = {
#define X(name, atom, ends, text) [PH_FAULT_##name] = text,
        PH_FAULTS(X)
#undef X
    };
    unsigned mute = PH_MUTE_UNTIL_GOODBYE;
    atomic_compare_exchange_strong(&p->mute, &mute, PH_MUTE_NOT);
    struct ph_wbuf *w = ph_peer_begin();
    const char *text = detail ? detail : texts[fault];
    ph_w_tuple(w, 3);
    ph_w_atom(w, "goodbye");
    ph_w_atom(w, atoms[fault]);
    ph_w_binary(w, text, strlen(text));
    ph_peer_commit(p, w);
}

void ph_peer_drop_output(struct ph_peer *p)
{
    atomic_store(&p->mute, PH_MUTE_FOR_EVER);
    evbuffer_drain(p->sending, evbuffer_get_length(p->sending));
    pthread_mutex_lock(&p->out_mu);
    evbuffer_drain(p->out, evbuffer_get_length(p->out));
    pthread_mutex_unlock(&p->out_mu);
    atomic_store(&p->unsent, 0);
    maybe_input_again(p); /* a port that flushes may need it */
}

void ph_peer_close(struct ph_peer *p)
{
    if (atomic_exchange(&p->closed, true))
        return;
    ph_peer_forget_origin(p);
    event_free(p->writable);
    p->writable = NULL;
    ph_peer_drop_output(p);
    ph_monitors_of_closed_peer(p);
}

/* --- ports --- */

bool ph_peer_may_add_port(struct ph_peer *p)
{
    bool may = ph_peer_port_count(p) < ph_limit(PH_LIMIT_PORTS);
    if (!may)
        ph_limit_met(PH_LIMIT_PORTS);
    return may;
}

enum ph_added ph_peer_add_port(struct ph_peer *p, uint64_t id, void *port)
{
    enum ph_added added = PH_ADDED;
    pthread_mutex_lock(&p->mu);
    if (!ph_peer_is_open(p) || p->barred || ph_map_get(&p->ports, id))
        added = PH_ADDED_IN_USE;
    else if (!ph_map_put(&p->ports, id, port))
        added = PH_ADDED_NO_MEMORY;
    pthread_mutex_unlock(&p->mu);
    return added;
}

void ph_peer_remove_port(struct ph_peer *p, uint64_t id)
{
    pthread_mutex_lock(&p->mu);
    if (ph_map_del(&p->ports, id))
        p->untold++;
    pthread_mutex_unlock(&p->mu);
}

void ph_peer_port_told(struct ph_peer *p)
{
    pthread_mutex_lock(&p->mu);
    p->untold--;
    pthread_mutex_unlock(&p->mu);
}

void *ph_peer_get_port(struct ph_peer *p, uint64_t id, void (*ref)(void *port))
{
    pthread_mutex_lock(&p->mu);
    void *port = ph_map_get(&p->ports, id);
    if (port)
        ref(port);
    pthread_mutex_unlock(&p->mu);
    return port;
}

void ph_peer_bar_ports(struct ph_peer *p)
{
    pthread_mutex_lock(&p->mu);
    p->barred = true;
    pthread_mutex_unlock(&p->mu);
}

void ph_peer_each_port(struct ph_peer *p, void (*fn)(void *port, void *arg), void *arg)
{
    pthread_mutex_lock(&p->mu);
    ph_map_each(&p->ports, fn, arg);
    pthread_mutex_unlock(&p->mu);
}

size_t ph_peer_port_count(struct ph_peer *p)
{
    pthread_mutex_lock(&p->mu);
    size_t n = p->ports.n;
    pthread_mutex_unlock(&p->mu);
    return n;
}

bool ph_peer_has_ports(struct ph_peer *p)
{
    pthread_mutex_lock(&p->mu);
    bool any = p->ports.n > 0 || p->untold > 0;
    pthread_mutex_unlock(&p->mu);
    return any;
}

bool ph_peer_grant(struct ph_peer *p, uint64_t id, struct ph_slice term)
{
    struct ph_grant *g = ph_alloc_try(sizeof *g);
    uint8_t *copy = g ? ph_alloc_try(term.len) : NULL;
    if (!copy) {
        ph_free(g);
        return false;
    }
    *g = (struct ph_grant){.id = id, .len = term.len, .term = memcpy(copy, term.p, term.len)};
    pthread_mutex_lock(&p->mu);
    bool ok = p->grant_count < MAX_GRANTS && ph_peer_is_open(p);
    if (ok) {
        STAILQ_INSERT_TAIL(&p->grants, g, link);
        p->grant_count++;
    }
    pthread_mutex_unlock(&p->mu);
    if (!ok) {
        ph_free(g->term);
        ph_free(g);
    }
    return ok;
}

bool ph_peer_take_grant(struct ph_peer *p, uint64_t *id, uint8_t **term, size_t *len)
{
    pthread_mutex_lock(&p->mu);
    struct ph_grant *g = STAILQ_FIRST(&p->grants);
    if (g) {
        STAILQ_REMOVE_HEAD(&p->grants, link);
        p->grant_count--;
    }
    pthread_mutex_unlock(&p->mu);
    if (!g)
        return false;
    *id = g->id;
    *term = g->term;
    *len = g->len;
    ph_free(g);
    return true;
}
