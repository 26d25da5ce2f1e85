/* SPDX-License-Identifier: Apache-2.0 */
/* The outgoing half of a connection: frames are appended from any thread and written by the peer's reactor, once per turn.
 *
 * Small frames are copied into a flat block, one behind the other; the block lasts until the turn's end, when it is mostly written as it is. What is large, does not fit, or
 * cannot be written yet, goes into evbuffers. Each thread keeps a block that it was the last to empty. */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/bin.h"
#include "base/counters.h"
#include "base/flood.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "peer/peer_struct.h"

#define BLOCK_BYTES 16384u
#define SMALL_BYTES 2048u        /* a frame of more is not copied but for its own bytes */
#define KEEP_BUFFER (256u << 10) /* a thread's frame buffer that grew over this is given back */

static void flush_task(struct ph_task *task);
static void on_writable(evutil_socket_t fd, short what, void *arg);

bool ph_sending_init(struct ph_peer *p)
{
    p->out = evbuffer_new();
    p->sending = evbuffer_new();
    p->writable = event_new(ph_reactor_base(p->reactor), p->fd, EV_WRITE, on_writable, p);
    p->post_task.run = flush_task;
    pthread_mutex_init(&p->out_mu, NULL);
    if (p->out && p->sending && p->writable)
        return true;
    if (p->writable)
        event_free(p->writable);
    ph_sending_free(p);
    return false;
}

void ph_sending_free(struct ph_peer *p)
{
    if (p->out)
        evbuffer_free(p->out);
    if (p->sending)
        evbuffer_free(p->sending);
    ph_free(p->block);
    pthread_mutex_destroy(&p->out_mu);
}

/* --- what each thread has for it --- */

struct workplace {
    struct ph_wbuf frame;
    uint8_t *block; /* spare, or NULL */
};

static _Thread_local struct workplace *workplace; /* NULL before the thread's first frame; freed by the key's destructor when it ends */
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_workplace(void *arg)
{
    struct workplace *w = arg;
    workplace = NULL;
    ph_wbuf_free(&w->frame);
    ph_free(w->block);
    ph_free(w);
}

static void make_key(void)
{
    if (pthread_key_create(&key, free_workplace))
        ph_fatal("no thread key for frame buffers");
}

static struct workplace *new_workplace(void)
{
    pthread_once(&once, make_key);
    workplace = ph_calloc(1, sizeof *workplace);
    ph_wbuf_init(&workplace->frame, ph_bin_unref);
    pthread_setspecific(key, workplace);
    return workplace;
}

/* NULL: no memory. */
static uint8_t *take_block(void)
{
    uint8_t *block = workplace ? workplace->block : NULL;
    if (!block)
        return ph_alloc_try(BLOCK_BYTES);
    workplace->block = NULL;
    return block;
}

static void give_block(uint8_t *block)
{
    struct workplace *w = workplace ? workplace : new_workplace();
    if (w->block)
        ph_free(block);
    else
        w->block = block;
}

/* --- frames --- */

static struct ph_wbuf *empty_frame(void)
{
    struct ph_wbuf *frame = &(workplace ? workplace : new_workplace())->frame;
    if (frame->cap > KEEP_BUFFER) {
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

/* A small frame, whole, into the block. False: it is not small, or there is no room or memory for it. */
static bool add_to_block(struct ph_peer *p, const struct ph_wbuf *w, size_t total)
{
    if (total > SMALL_BYTES || p->block_len + total > BLOCK_BYTES || (!p->block && !(p->block = take_block())))
        return false;
    uint8_t *to = p->block + p->block_len;
    size_t done = 0;
    for (size_t i = 0; i < w->nrefs; i++) {
        const struct ph_wref *ref = &w->refs[i];
        memcpy(to, w->buf + done, ref->at - done);
        to += ref->at - done;
        memcpy(to, ref->p, ref->len);
        to += ref->len;
        done = ref->at;
    }
    memcpy(to, w->buf + done, w->len - done);
    p->block_len += total;
    return true;
}

/* Moves the frame into the buffer, behind what is in the block; its references go along. -1: out of memory; a part of it may lie there. */
static int add_to_buffer(struct ph_peer *p, struct ph_wbuf *w)
{
    struct evbuffer *out = p->out;
    size_t done = 0;
    if (p->block_len && evbuffer_add(out, p->block, p->block_len))
        return -1;
    p->block_len = 0;
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

static size_t waiting_locked(const struct ph_peer *p)
{
    return evbuffer_get_length(p->out) + p->block_len;
}

static void drop_waiting_locked(struct ph_peer *p)
{
    evbuffer_drain(p->out, evbuffer_get_length(p->out));
    p->block_len = 0;
}

/* A frame is lost, so nothing but goodbye may follow. One of which a part waits takes along those that wait before it. */
static void starve_locked(struct ph_peer *p, size_t before)
{
    unsigned mute = PH_MUTE_NOT;
    if (waiting_locked(p) != before) {
        drop_waiting_locked(p);
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

static void set_length(struct ph_wbuf *w, size_t total)
{
    uint32_t header = htonl((uint32_t)(total - PH_FRAME_HEADER));
    memcpy(w->buf, &header, sizeof header);
}

/* False: no memory, or more than a frame can be. */
static bool append_locked(struct ph_peer *p, struct ph_wbuf *w, size_t total)
{
    bool possible = !w->failed && total <= UINT32_MAX;
    if (possible)
        set_length(w, total);
    if (atomic_fetch_add_explicit(&p->unsent, total, memory_order_relaxed) > ph_limit(PH_LIMIT_UNSENT_BYTES))
        overflow(p);
    if (possible && add_to_block(p, w, total))
        return true;
    size_t before = waiting_locked(p);
    if (possible && add_to_buffer(p, w) == 0)
        return true;
    atomic_fetch_sub_explicit(&p->unsent, total, memory_order_relaxed);
    starve_locked(p, before);
    return false;
}

enum place { BEFORE_OTHERS, LAST };

/* Looked at under out_mu too: else a thread that was held up before it could add a frame behind the last one, or behind one that was cut. */
static bool is_mute_locked(const struct ph_peer *p, enum place place)
{
    unsigned mute = atomic_load_explicit(&p->mute, memory_order_relaxed);
    return mute == PH_MUTE_FOR_EVER || (mute == PH_MUTE_UNTIL_GOODBYE && place != LAST);
}

static void commit(struct ph_peer *p, struct ph_wbuf *w, enum place place)
{
    size_t total = ph_wbuf_total(w);
    bool kept = false, due = false;
    pthread_mutex_lock(&p->out_mu);
    bool mute = is_mute_locked(p, place);
    if (!mute) {
        kept = append_locked(p, w, total);
        due = !p->flush_due;
        p->flush_due = true;
    }
    if (place == LAST)
        atomic_store(&p->mute, PH_MUTE_FOR_EVER);
    pthread_mutex_unlock(&p->out_mu);
    if (mute)
        return;
    if (!kept)
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_ERROR, &(struct ph_where){.connection = p->id}, "a frame of %zu bytes cannot be sent", total);
    ph_count(PH_COUNT_FRAMES_OUT, 1);
    ph_count(PH_COUNT_BYTES_OUT, total);
    if (due)
        schedule_flush(p);
}

void ph_peer_commit(struct ph_peer *p, struct ph_wbuf *w)
{
    if (ph_peer_is_open(p) && !atomic_load_explicit(&p->mute, memory_order_relaxed))
        commit(p, w, BEFORE_OTHERS);
    ph_wbuf_reset(w);
}

void ph_peer_starve(struct ph_peer *p)
{
    pthread_mutex_lock(&p->out_mu);
    starve_locked(p, waiting_locked(p));
    bool due = !p->flush_due;
    p->flush_due = true;
    pthread_mutex_unlock(&p->out_mu);
    if (due)
        schedule_flush(p);
}

/* --- writing; on the peer's reactor --- */

/* Writes what it can of the block, and keeps the rest. -1: broken, or no memory. */
static int write_block(struct ph_peer *p, const uint8_t *block, size_t len)
{
    ssize_t n = 0;
    while (evbuffer_get_length(p->sending) == 0 && (n = write(p->fd, block, len)) < 0 && errno == EINTR)
        continue;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return -1;
    size_t done = n > 0 ? (size_t)n : 0;
    atomic_fetch_sub_explicit(&p->unsent, done, memory_order_relaxed);
    return done < len ? evbuffer_add(p->sending, block + done, len - done) : 0;
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
    uint8_t *block = p->block;
    size_t len = p->block_len;
    p->block = NULL;
    p->block_len = 0;
    pthread_mutex_unlock(&p->out_mu);
    int done = len && write_block(p, block, len) ? -1 : write_some(p);
    if (block)
        give_block(block);
    if (done < 0)
        p->owner.broken(p->owner.conn, PH_FAULT_NONE, strerror(errno));
    else if (atomic_load_explicit(&p->overflow, memory_order_relaxed))
        p->owner.broken(p->owner.conn, PH_FAULT_NONE, "too_slow: the client does not read what it is sent");
    else if (done == 0 && event_add(p->writable, NULL))
        p->owner.broken(p->owner.conn, PH_FAULT_NO_MEMORY, "cannot wait until it reads");
    if (atomic_load_explicit(&p->starved, memory_order_relaxed) && atomic_exchange(&p->starved, false))
        p->owner.broken(p->owner.conn, PH_FAULT_NO_MEMORY, "no memory for a frame");
    ph_peer_maybe_drained(p);
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
    struct ph_wbuf *w = ph_peer_begin();
    const char *text = detail ? detail : texts[fault];
    ph_w_tuple(w, 3);
    ph_w_atom(w, "goodbye");
    ph_w_atom(w, atoms[fault]);
    ph_w_binary(w, text, strlen(text));
    commit(p, w, LAST);
    ph_wbuf_reset(w);
}

void ph_peer_drop_output(struct ph_peer *p)
{
    atomic_store(&p->mute, PH_MUTE_FOR_EVER);
    evbuffer_drain(p->sending, evbuffer_get_length(p->sending));
    pthread_mutex_lock(&p->out_mu);
    drop_waiting_locked(p);
    atomic_store(&p->unsent, 0);
    pthread_mutex_unlock(&p->out_mu);
    ph_peer_maybe_input_again(p); /* a port that flushes may need it */
}
