/* SPDX-License-Identifier: Apache-2.0 */
/* From an open request to a live port: the driver is found (perhaps loaded), start() runs as the first job in the port's lock, and only then
 * the options are in force, the owner is linked and the client answered (erl_driver(3), start). */
#include "port/open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errno_id.h"
#include "base/flood.h"
#include "base/mem.h"
#include "check/violation.h"
#include "driver/ddll.h"
#include "peer/reply.h"
#include "port/busy.h"
#include "port/callback.h"
#include "term/words.h"

#define LINE_DEFAULT 512u

struct ph_opening {
    struct ph_open_options options;
    bool failed_in_start;
    size_t tag_len;
    uint8_t tag[];
};

/* --- options --- */

static bool known_atom(struct ph_cur *c, struct ph_open_options *o)
{
    static const char *const ignored[] = {"stream", "in", "out", "hide", "use_stdio", "nouse_stdio", "stderr_to_stdout", "overlapped_io"};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        if (ph_etf_is_atom(c, ignored[i]) == 0)
            return true;
    if (ph_etf_is_atom(c, "binary") == 0)
        return o->binary = true;
    if (ph_etf_is_atom(c, "eof") == 0)
        return o->eof = true;
    if (ph_etf_is_atom(c, "line"))
        return false;
    o->line = LINE_DEFAULT;
    return true;
}

static int msgq_option(struct ph_cur *c, struct ph_open_options *o)
{
    uint64_t low, high;
    uint32_t arity;
    o->msgq_given = true;
    if (ph_etf_is_atom(c, "disabled") == 0) {
        o->msgq_low = o->msgq_high = PH_MSGQ_DISABLED;
        return 0;
    }
    if (ph_etf_tuple(c, &arity) || arity != 2 || ph_etf_uint64(c, &low) || ph_etf_uint64(c, &high) || low < 1 || high < 1)
        return -1;
    if (low >= PH_MSGQ_DISABLED || high >= PH_MSGQ_DISABLED)
        return -1;
    o->msgq_high = high;
    o->msgq_low = low < high ? low : high;
    return 0;
}

static bool text(struct ph_cur *c)
{
    char *copy;
    size_t len;
    if (ph_etf_text(c, false, &copy, &len))
        return false;
    free(copy);
    return true;
}

/* [{Name, Value | false}]: checked as the VM does, though a driver never sees it. */
static int env_option(struct ph_cur *c)
{
    uint32_t n, arity;
    if (ph_etf_list(c, &n))
        return -1;
    for (uint32_t i = 0; i < n; i++)
        if (ph_etf_tuple(c, &arity) || arity != 2 || !text(c) || (ph_etf_is_atom(c, "false") && !text(c)))
            return -1;
    return n > 0 ? ph_etf_nil(c) : 0;
}

static int pair_option(struct ph_cur *c, struct ph_open_options *o, bool *packet)
{
    uint64_t n;
    if (ph_etf_is_atom(c, "line") == 0) {
        if (ph_etf_uint64(c, &n) || n == 0 || n > INT32_MAX)
            return -1;
        o->line = n;
        return 0;
    }
    if (ph_etf_is_atom(c, "packet") == 0) {
        *packet = true;
        return ph_etf_uint64(c, &n) == 0 && (n == 1 || n == 2 || n == 4) ? 0 : -1;
    }
    if (ph_etf_is_atom(c, "parallelism") == 0)
        return ph_etf_bool(c, &o->parallelism);
    if (ph_etf_is_atom(c, "busy_limits_msgq") == 0)
        return msgq_option(c, o);
    if (ph_etf_is_atom(c, "env") == 0)
        return env_option(c);
    if (ph_etf_is_atom(c, "cd") == 0)
        return text(c) ? 0 : -1;
    return -1;
}

int ph_open_parse(struct ph_cur *c, struct ph_open_options *o)
{
    bool packet = false;
    uint32_t n, arity;
    memset(o, 0, sizeof *o);
    if (ph_etf_list(c, &n))
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        if (known_atom(c, o))
            continue;
        if (ph_etf_tuple(c, &arity) || arity != 2 || pair_option(c, o, &packet))
            return -1;
    }
    if (n > 0 && ph_etf_nil(c))
        return -1;
    return packet && o->line ? -1 : 0;
}

/* --- answers --- */

static struct ph_slice tag_of(const struct ph_opening *o)
{
    return (struct ph_slice){o->tag, o->tag_len};
}

static void done(struct ph_port *p)
{
    ph_free(p->opening);
    p->opening = NULL;
}

static void tell_link(struct ph_port *p, const char *event, ErlDrvTermData pid)
{
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 3);
    ph_w_atom(w, event);
    ph_w_uint(w, p->id);
    ph_w_word(w, pid);
    ph_peer_commit(p->peer, w);
}

void ph_open_answer(struct ph_port *p)
{
    if (!p->opening)
        return;
    struct ph_wbuf *w = ph_reply_ok(tag_of(p->opening));
    ph_w_map(w, 2);
    ph_w_atom(w, "soft_busy");
    ph_w_bool(w, (p->driver->entry.driver_flags & ERL_DRV_FLAG_SOFT_BUSY) != 0);
    ph_w_atom(w, "parallelism");
    ph_w_bool(w, p->parallelism);
    ph_peer_commit(p->peer, w);
    done(p);
}

static void answer_error(struct ph_port *p, const char *reason)
{
    ph_reply_error_atom(p->peer, tag_of(p->opening), reason);
    done(p);
}

/* The id is free again before the client hears of it. */
static void abandon(struct ph_port *p, const char *reason)
{
    struct ph_opening *o = p->opening;
    p->opening = NULL;
    ph_port_abandon(p);
    ph_reply_error_atom(p->peer, tag_of(o), reason);
    ph_peer_port_told(p->peer);
    ph_free(o);
}

/* The error a start value or an acknowledgement stands for, or NULL: it is driver data. */
static const char *start_error(ErlDrvData data, int err)
{
    if (data == ERL_DRV_ERROR_GENERAL)
        return "einval";
    if (data == ERL_DRV_ERROR_ERRNO)
        return ph_errno_id(err);
    return data == ERL_DRV_ERROR_BADARG ? "badarg" : NULL;
}

/* --- start --- */

struct start_job {
    struct ph_job job;
    struct ph_port *port; /* reference */
};

static void apply_options(struct ph_port *p)
{
    const struct ph_open_options *o = &p->opening->options;
    p->binary = o->binary;
    p->eof = o->eof;
    if (o->line)
        p->line = ph_line_new(o->line);
}

static bool acknowledges(const struct ph_port *p)
{
    return (p->driver->entry.driver_flags & ERL_DRV_FLAG_USE_INIT_ACK) != 0;
}

static void started(struct ph_port *p, ErlDrvData data)
{
    bool failed = p->opening->failed_in_start;
    p->data = data;
    apply_options(p);
    ph_port_set_state(p, PH_PORT_LIVE);
    tell_link(p, "link", p->owner);
    ph_busy_begin(p); /* before the answer, whose receiver may send a command at once */
    if (!acknowledges(p) || failed)
        ph_open_answer(p);
    if (failed)
        ph_port_exit_atom(p, "normal", PH_EXIT_FAILED);
}

/* The error of a start that failed, or NULL. The driver may write into the command: it gets a copy. */
static const char *start(struct ph_port *p, ErlDrvData *data)
{
    int err = 0;
    char *command = ph_strdup_try(ph_port_name(p));
    if (!command)
        return "enomem";
    *data = ph_callback_start(p, command, &err);
    ph_free(command);
    return p->driver->entry.start ? start_error(*data, err) : NULL;
}

static void run_start(struct ph_job *job)
{
    struct ph_port *p = ((struct start_job *)job)->port;
    ErlDrvData data = NULL;
    ph_port_await_lock(p);
    const char *error = start(p, &data);
    if (error) {
        struct ph_where where;
        ph_log_flood(PH_FLOOD_DRIVERS, PH_LOG_NOTICE, ph_port_where(p, &where), "start failed: %s", error);
        ph_driver_count(p->driver->slot, PH_DRIVER_OPEN_FAILURES, 1);
        abandon(p, error);
    } else {
        started(p, data);
    }
    ph_port_unref(p);
    ph_free(job);
}

void ph_open_failed_in_start(struct ph_port *p)
{
    p->opening->failed_in_start = true;
}

/* Why nothing comes of an acknowledgement, or NULL. As in the VM, it is too early inside start(). */
static const char *acknowledged_in_vain(const struct ph_port *p)
{
    if (!acknowledges(p))
        return "the driver has not the flag ERL_DRV_FLAG_USE_INIT_ACK";
    if (ph_port_state(p) == PH_PORT_OPENING)
        return "start has not returned yet, and will have to be acknowledged then";
    return p->opening ? NULL : "nobody waits for it: the port has been acknowledged, or ends, or was not opened by a client";
}

void ph_open_acknowledge(struct ph_port *p, ErlDrvData data)
{
    int err = errno;
    const char *in_vain = acknowledged_in_vain(p);
    if (in_vain && ph_checking())
        ph_violation(PH_VIOLATION_INIT_ACK, "erl_drv_init_ack: %s", in_vain);
    if (in_vain)
        return;
    const char *error = start_error(data, err);
    if (!error) {
        p->data = data;
        ph_open_answer(p);
        return;
    }
    tell_link(p, "unlink", p->owner);
    answer_error(p, error);
    ph_port_exit_atom(p, "normal", PH_EXIT_NORMALLY);
}

/* --- open --- */

/* The driver is known and has counted the port: takes the hold; start() becomes the first job of the port's lock. */
static void begin(struct ph_port *p, struct ph_driver *d)
{
    bool own_lock = ph_driver_has_port_locking(d);
    struct ph_lock *lock = own_lock ? ph_lock_new(ph_peer_reactor(p->peer), d->lock) : ph_lock_ref(d->lock);
    const struct ph_open_options *o = &p->opening->options;
    ph_port_set_driver(p, d);
    if (d->entry.driver_flags & ERL_DRV_FLAG_NO_BUSY_MSGQ)
        p->msgq_low = p->msgq_high = PH_MSGQ_DISABLED;
    else if (o->msgq_given) {
        p->msgq_low = o->msgq_low;
        p->msgq_high = o->msgq_high;
    }
    p->parallelism = o->parallelism;
    if (o->parallelism)
        ph_lock_force_worker(lock);
    struct start_job *job = ph_alloc(sizeof *job);
    *job = (struct start_job){.job.run = run_start, .port = ph_port_ref(p)};
    ph_port_set_lock(p, lock, &job->job);
    ph_lock_unref(lock);
    ph_kill_if_unwanted(p);
}

struct refused_job {
    struct ph_job job;
    struct ph_port *port; /* reference */
    const char *reason;   /* static */
};

static void run_refused(struct ph_job *job)
{
    struct ph_port *p = ((struct refused_job *)job)->port;
    ph_port_await_lock(p);
    abandon(p, ((struct refused_job *)job)->reason);
    ph_port_unref(p);
    ph_free(job);
}

/* No such driver, or not with these options: the port gets a lock of its own all the same, so that what was sent to it meanwhile is answered in order. */
static void refuse(struct ph_port *p, const char *reason)
{
    struct ph_where where;
    ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_NOTICE, ph_port_where(p, &where), "open is refused: %s", reason);
    struct ph_lock *lock = ph_lock_new(ph_peer_reactor(p->peer), NULL);
    struct refused_job *job = ph_alloc(sizeof *job);
    *job = (struct refused_job){.job.run = run_refused, .port = ph_port_ref(p), .reason = reason};
    ph_port_set_lock(p, lock, &job->job);
    ph_lock_unref(lock);
}

static bool options_suit(const struct ph_driver *d, const struct ph_open_options *o)
{
    return !(d->entry.driver_flags & ERL_DRV_FLAG_NO_BUSY_MSGQ) || !o->msgq_given || o->msgq_high == PH_MSGQ_DISABLED;
}

/* With a reference to the port, which it drops. */
static void found(void *arg, struct ph_driver *d, const char *why)
{
    struct ph_port *p = arg;
    if (d && !options_suit(d, &p->opening->options))
        why = "badarg";
    else if (d)
        why = ph_driver_take_port(d) ? NULL : "system_limit";
    if (!why) {
        begin(p, d);
    } else {
        refuse(p, why);
        if (d)
            ph_driver_release(d);
    }
    ph_port_unref(p);
}

void ph_port_open(struct ph_peer *peer, struct ph_slice tag, uint64_t id, struct ph_slice term, ErlDrvTermData owner, const char *name,
                  size_t len, const struct ph_open_options *options)
{
    const char *space = memchr(name, ' ', len);
    size_t driver_len = space ? (size_t)(space - name) : len;
    struct ph_driver *d = ph_driver_find(name, driver_len, true);
    struct ph_port *p = NULL;
    enum ph_added added;
    if (driver_len == 0 || (d && !options_suit(d, options))) {
        ph_reply_error_atom(peer, tag, "badarg");
    } else if (!(p = ph_port_new(peer, id, term, name, len))) {
        ph_reply_error_atom(peer, tag, "system_limit");
    } else if ((added = ph_peer_add_port(peer, id, p)) != PH_ADDED) {
        ph_reply_error_atom(peer, tag, added == PH_ADDED_IN_USE ? "port_id_in_use" : "enomem");
        ph_port_unlist(p);
        ph_port_unref(p);
        p = NULL;
    }
    if (!p) {
        if (d)
            ph_driver_release(d);
        return;
    }
    ph_port_set_owner(p, owner);
    p->opening = ph_alloc(sizeof *p->opening + tag.len);
    *p->opening = (struct ph_opening){.options = *options, .tag_len = tag.len};
    memcpy(p->opening->tag, tag.p, tag.len);
    if (d)
        found(p, d, NULL);
    else
        ph_ddll_autoload(peer, name, driver_len, found, p);
}

/* A port with an id that was granted, or NULL: the grant is used up if its id is in use, and stays otherwise. */
static struct ph_port *granted(struct ph_peer *peer, const char *name)
{
    struct ph_grant *g = ph_peer_take_grant(peer);
    if (!g)
        return NULL;
    struct ph_port *p = ph_port_new(peer, g->id, (struct ph_slice){g->term, g->len}, name, strlen(name));
    enum ph_added added = p ? ph_peer_add_port(peer, g->id, p) : PH_ADDED_NO_MEMORY;
    if (added == PH_ADDED_NO_MEMORY)
        ph_peer_return_grant(peer, g);
    else
        ph_peer_free_grant(g);
    if (p && added != PH_ADDED) {
        ph_port_unlist(p);
        ph_port_unref(p);
        p = NULL;
    }
    return p;
}

struct ph_port *ph_open_child(struct ph_port *creator, ErlDrvTermData owner, const char *name, ErlDrvData data)
{
    struct ph_driver *d = creator->driver;
    if (!ph_peer_may_add_port(creator->peer) || !ph_driver_take_port(d))
        return NULL;
    struct ph_port *p = granted(creator->peer, name);
    if (!p) {
        atomic_fetch_sub(&d->ports, 1);
        return NULL;
    }
    ph_driver_hold(d);
    ph_port_set_driver(p, d);
    ph_port_set_owner(p, owner);
    p->data = data;
    ph_port_set_state(p, PH_PORT_LIVE);
    /* The creator's lock, also with port locking: its callback goes on to use the child. */
    ph_port_set_lock(p, atomic_load(&creator->lock), NULL);
    ph_kill_if_unwanted(p);
    struct ph_wbuf *w = ph_peer_begin();
    ph_w_tuple(w, 5);
    ph_w_atom(w, "created");
    ph_w_uint(w, p->id);
    ph_w_uint(w, creator->id);
    ph_w_word(w, owner);
    ph_w_binary(w, name, strlen(name));
    ph_peer_commit(p->peer, w);
    tell_link(p, "link", owner);
    ph_port_unref(p); /* the table has the other reference */
    return p;
}
