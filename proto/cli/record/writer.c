/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the queue between who hears and the file, the frames of both streams, and the lines. Called by record.c; what is below "the thread" runs in the
 * writer's thread only. The mutex guards the queue; it is not held while something is written. */
#include "record/writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "proto.h"
#include "record/recording.h"
#include "term/term.h"

#define QUEUE_MAX ((size_t)256 << 20) /* bytes */
#define FLUSH_BYTES 65536u /* of frames that a file may lose that can take no more */

struct chunk {
    STAILQ_ENTRY(chunk) link;
    enum ph_side side;
    int64_t time; /* microseconds since the beginning */
    size_t len;   /* 0: the end of the stream */
    uint8_t bytes[];
};
STAILQ_HEAD(chunks, chunk);

/* What has come of a stream but is no whole frame yet. */
struct stream {
    uint8_t *p;
    size_t len, cap;
    bool lost; /* no frames to be found any more */
};

struct ph_writer {
    const char *name;
    FILE *file;
    pthread_t thread;
    int64_t begin;
    pthread_mutex_t mu;
    pthread_cond_t more;
    struct chunks queue; /* these four are guarded by mu */
    size_t queued;
    bool cut; /* something did not fit the queue: nothing after it is written */
    bool finished;
    struct stream streams[2]; /* of the thread */
    int64_t host_ended;       /* of the thread, then of who joins it; -1: it has not */
    int failed;               /* likewise: errno, once something could not be written; nothing more is told from then on */
    off_t whole;              /* likewise: to here the file has whole lines */
    bool torn;                /* likewise: it goes on behind that, and could not be cut there */
};

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void ph_writer_heard(struct ph_writer *w, enum ph_side side, const void *bytes, size_t len)
{
    struct chunk *c = ph_alloc_try(sizeof *c + len);
    if (c) {
        *c = (struct chunk){.side = side, .time = now_us() - w->begin, .len = len};
        if (len)
            memcpy(c->bytes, bytes, len);
    }
    pthread_mutex_lock(&w->mu);
    w->cut = w->cut || !c || w->queued + len > QUEUE_MAX;
    if (!w->cut) {
        STAILQ_INSERT_TAIL(&w->queue, c, link);
        w->queued += len;
        c = NULL;
    }
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->mu);
    ph_free(c);
}

/* ---- the thread: lines ---- */

/* To the file, whole lines. A file that does not take them, or not all, ends with those before, so that nothing is missing in the middle if it takes more later. */
static void flush_lines(struct ph_writer *w)
{
    struct stat st;
    if (w->failed)
        return;
    if (fflush(w->file) == 0 && !ferror(w->file)) {
        w->whole = ftello(w->file);
        return;
    }
    w->failed = errno;
    __fpurge(w->file);
    clearerr(w->file);
    w->torn = fstat(fileno(w->file), &st) || !S_ISREG(st.st_mode) || ftruncate(fileno(w->file), w->whole) || fseeko(w->file, w->whole, SEEK_SET);
}

static void begin_line(struct ph_writer *w, char mark, int64_t time)
{
    fprintf(w->file, "%c %lld.%06lld ", mark, (long long)(time / 1000000), (long long)(time % 1000000));
}

static void write_bytes(struct ph_writer *w, const char *what, const uint8_t *p, size_t len)
{
    struct ph_wbuf binary;
    ph_wbuf_init(&binary, NULL);
    ph_w_binary(&binary, p, len);
    fprintf(w->file, "%s ", what);
    ph_term_print_escaped(w->file, (struct ph_slice){binary.buf, binary.len});
    fputc('\n', w->file);
    ph_wbuf_free(&binary);
}

/* The term's text, if the term can be had back from it; new. */
static char *text_of(struct ph_slice term)
{
    static const struct ph_term_limits limits = {PH_PRINT_DEPTH, PH_RECORDING_MAX_FRAME};
    char *text = NULL;
    size_t len = 0;
    struct ph_wbuf again;
    struct ph_term_error err;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return NULL;
    bool ok = ph_term_print_escaped(f, term) == 0;
    ok = fclose(f) == 0 && ok;
    ph_wbuf_init(&again, NULL);
    ok = ok && ph_term_read(text, len, limits, &again, &err) == 0;
    ph_wbuf_free(&again);
    if (ok)
        return text;
    free(text);
    return NULL;
}

static void write_frame(struct ph_writer *w, enum ph_side side, int64_t time, const uint8_t *p, size_t len)
{
    struct ph_cur c = {p, p + len};
    char *text = ph_etf_version(&c) == 0 ? text_of((struct ph_slice){c.p, len - 1}) : NULL;
    begin_line(w, side == PH_CLIENT ? '>' : '<', time);
    if (text)
        fprintf(w->file, "%s\n", text);
    else
        write_bytes(w, "frame", p, len);
    free(text);
}

/* ---- the thread: frames ---- */

static void keep(struct stream *s, const uint8_t *p, size_t len)
{
    if (s->cap - s->len < len) {
        s->cap = (s->len + len) * 2;
        s->p = ph_realloc(s->p, s->cap);
    }
    memcpy(s->p + s->len, p, len);
    s->len += len;
}

/* Writes the whole frames at the beginning and drops them. */
static void take_frames(struct ph_writer *w, enum ph_side side, int64_t time)
{
    struct stream *s = &w->streams[side];
    size_t at = 0, flushed = 0;
    while (!w->failed && !s->lost && s->len - at >= PH_FRAME_HEADER) {
        const uint8_t *p = s->p + at;
        size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        s->lost = len > PH_RECORDING_MAX_FRAME;
        if (s->lost || s->len - at - PH_FRAME_HEADER < len)
            break;
        write_frame(w, side, time, p + PH_FRAME_HEADER, len);
        at += PH_FRAME_HEADER + len;
        if (at - flushed >= FLUSH_BYTES) {
            flush_lines(w);
            flushed = at;
        }
    }
    memmove(s->p, s->p + at, s->len - at);
    s->len -= at;
}

static void write_rest(struct ph_writer *w, enum ph_side side, int64_t time)
{
    struct stream *s = &w->streams[side];
    if (s->len == 0)
        return;
    begin_line(w, side == PH_CLIENT ? '>' : '<', time);
    write_bytes(w, "rest", s->p, s->len);
    s->len = 0;
}

static void take_chunk(struct ph_writer *w, const struct chunk *c)
{
    struct stream *s = &w->streams[c->side];
    if (c->len > 0) {
        keep(s, c->bytes, c->len);
        take_frames(w, c->side, c->time);
    }
    if (c->len == 0 || s->lost)
        write_rest(w, c->side, c->time);
    if (c->len == 0 && c->side == PH_HOST) {
        w->host_ended = c->time;
    } else if (c->len == 0) {
        begin_line(w, '=', c->time);
        fputs("client ended\n", w->file);
    }
}

/* Everything that is queued; false once nothing more will be. */
static bool take_queue(struct ph_writer *w, struct chunks *taken)
{
    STAILQ_INIT(taken);
    pthread_mutex_lock(&w->mu);
    while (STAILQ_EMPTY(&w->queue) && !w->finished)
        pthread_cond_wait(&w->more, &w->mu);
    STAILQ_CONCAT(taken, &w->queue);
    pthread_mutex_unlock(&w->mu);
    return !STAILQ_EMPTY(taken);
}

static void *write_queue(void *arg)
{
    struct ph_writer *w = arg;
    struct chunks taken;
    while (take_queue(w, &taken)) {
        struct chunk *c;
        while ((c = STAILQ_FIRST(&taken))) {
            STAILQ_REMOVE_HEAD(&taken, link);
            if (!w->failed)
                take_chunk(w, c);
            flush_lines(w);
            pthread_mutex_lock(&w->mu);
            w->queued -= c->len;
            pthread_mutex_unlock(&w->mu);
            ph_free(c);
        }
    }
    return NULL;
}

/* ---- beginning and end ---- */

/* Signals are for the thread that relays. */
static int start_thread(struct ph_writer *w)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&w->thread, NULL, write_queue, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err;
}

struct ph_writer *ph_writer_start(const char *file)
{
    FILE *f = fopen(file, "we");
    if (!f) {
        ph_complain("%s: %s", file, strerror(errno));
        return NULL;
    }
    struct ph_writer *w = ph_calloc(1, sizeof *w);
    w->name = file;
    w->file = f;
    w->begin = now_us();
    w->host_ended = -1;
    STAILQ_INIT(&w->queue);
    pthread_mutex_init(&w->mu, NULL);
    pthread_cond_init(&w->more, NULL);
    fputs(PH_RECORDING_HEAD "\n", f);
    flush_lines(w);
    int err = start_thread(w);
    if (!err)
        return w;
    ph_complain("cannot start a thread: %s", strerror(err));
    fclose(f);
    ph_free(w);
    return NULL;
}

static void write_end(struct ph_writer *w, bool cut, const char *how)
{
    if (cut) {
        begin_line(w, '=', now_us() - w->begin);
        fputs("cut\n", w->file);
    } else if (w->host_ended >= 0) {
        begin_line(w, '=', w->host_ended);
        fprintf(w->file, "host ended%s%s\n", how[0] ? ": " : "", how);
    }
}

bool ph_writer_finish(struct ph_writer *w, const char *how)
{
    pthread_mutex_lock(&w->mu);
    w->finished = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->mu);
    pthread_join(w->thread, NULL);
    int failed = w->failed;
    w->failed = 0;
    if (!w->torn)
        write_end(w, w->cut || failed, how); /* for which there may be room */
    flush_lines(w);
    failed = failed ? failed : w->failed;
    if (fclose(w->file) != 0 && !failed)
        failed = errno;
    bool whole = !failed && !w->cut;
    if (failed)
        ph_complain("%s: not all of the session could be written: %s", w->name, strerror(failed));
    else if (w->cut)
        ph_complain("%s: the file could not keep up with the session, of which the end is missing", w->name);
    for (int i = 0; i < 2; i++)
        ph_free(w->streams[i].p);
    pthread_mutex_destroy(&w->mu);
    pthread_cond_destroy(&w->more);
    ph_free(w);
    return whole;
}
