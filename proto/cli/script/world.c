/* SPDX-License-Identifier: Apache-2.0 */
/* Owns callers, ports, links, monitors and mailboxes of a run. Called by run.c and the statements; events come from the session while something waits. */
#include "script/world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script/memory.h"
#include "term/term.h"

/* ---- finding ---- */

static struct ph_caller *caller_of_pid(const struct ph_run *run, struct ph_slice pid)
{
    for (size_t i = 0; i < run->ncallers; i++) {
        const struct ph_wbuf *w = &run->callers[i]->pid;
        if (w->len == pid.len && memcmp(w->buf, pid.p, pid.len) == 0)
            return run->callers[i];
    }
    return NULL;
}

static struct ph_caller *take_caller(const struct ph_run *run, struct ph_cur *c)
{
    struct ph_slice pid;
    return ph_etf_pid(c, &pid) == 0 ? caller_of_pid(run, pid) : NULL;
}

static struct ph_script_port *take_port(const struct ph_run *run, struct ph_cur *c)
{
    uint64_t id;
    if (ph_etf_uint64(c, &id) == 0)
        for (size_t i = 0; i < run->nports; i++)
            if (run->ports[i]->id == id)
                return run->ports[i];
    return NULL;
}

struct ph_caller *ph_world_find_caller(const struct ph_run *run, const char *name)
{
    for (size_t i = run->ncallers; *name && i > 0; i--)
        if (strcmp(run->callers[i - 1]->name, name) == 0)
            return run->callers[i - 1];
    return run->callers[0];
}

struct ph_script_port *ph_world_find_port(const struct ph_run *run, const char *name)
{
    for (size_t i = run->nports; i > 0; i--)
        if (strcmp(run->ports[i - 1]->name, name) == 0)
            return run->ports[i - 1];
    return NULL;
}

void ph_world_put_port(struct ph_wbuf *w, const struct ph_script_port *port)
{
    char name[PH_SCRIPT_NAME_MAX + 1];
    ph_session_created_name(port->id, name, sizeof name);
    ph_w_atom(w, port->created ? name : port->name);
}

/* ---- mailboxes ---- */

static void deliver(struct ph_caller *to, const struct ph_wbuf *term)
{
    if (!to || to->dead)
        return;
    struct ph_message *m = ph_script_alloc(sizeof *m);
    ph_wbuf_init(&m->term, NULL);
    ph_w_raw(&m->term, term->buf, term->len);
    ph_script_need(!m->term.failed);
    STAILQ_INSERT_TAIL(&to->mailbox, m, next);
}

void ph_message_drop(struct ph_mailbox *box, struct ph_message *m)
{
    if (m == STAILQ_FIRST(box))
        STAILQ_REMOVE_HEAD(box, next);
    else
        STAILQ_REMOVE(box, m, ph_message, next);
    ph_wbuf_free(&m->term);
    free(m);
}

static void empty(struct ph_mailbox *box)
{
    while (!STAILQ_EMPTY(box))
        ph_message_drop(box, STAILQ_FIRST(box));
}

/* ---- events ---- */

static void on_send(struct ph_run *run, struct ph_cur c)
{
    struct ph_caller *to = take_caller(run, &c);
    struct ph_wbuf term = {.buf = (uint8_t *)c.p, .len = (size_t)(c.end - c.p)};
    deliver(to, &term);
}

/* {signal, PortId, To, Reason}: the process gets what one gets that traps exits. */
static void on_signal(struct ph_run *run, struct ph_cur c)
{
    const struct ph_script_port *port = take_port(run, &c);
    struct ph_caller *to = take_caller(run, &c);
    struct ph_wbuf w;
    ph_wbuf_init(&w, NULL);
    ph_w_tuple(&w, 3);
    ph_w_atom(&w, "EXIT");
    if (port)
        ph_world_put_port(&w, port);
    else
        ph_w_atom(&w, "undefined");
    ph_w_raw(&w, c.p, (size_t)(c.end - c.p));
    deliver(to, &w);
    ph_wbuf_free(&w);
}

static void on_link(struct ph_run *run, struct ph_cur c)
{
    struct ph_script_port *port = take_port(run, &c);
    struct ph_caller *to = take_caller(run, &c);
    if (!port || !to)
        return;
    port->links = ph_script_grow(port->links, port->nlinks, sizeof *port->links);
    port->links[port->nlinks++] = to;
}

static void on_unlink(struct ph_run *run, struct ph_cur c)
{
    struct ph_script_port *port = take_port(run, &c);
    const struct ph_caller *to = take_caller(run, &c);
    for (size_t i = 0; port && i < port->nlinks; i++)
        if (port->links[i] == to)
            port->links[i--] = port->links[--port->nlinks];
}

/* {created, PortId, ParentId, Owner, Driver} */
static void on_created(struct ph_run *run, struct ph_cur c)
{
    char name[PH_SCRIPT_NAME_MAX + 1];
    uint64_t id;
    if (ph_etf_uint64(&c, &id) < 0)
        return;
    const struct ph_script_port *parent = take_port(run, &c);
    ph_session_created_name(id, name, sizeof name);
    struct ph_script_port *port = ph_world_port(run, name, id, take_caller(run, &c));
    port->parent = parent;
    port->created = port->unread = true;
    run->turns++;
}

static void on_exit_event(struct ph_run *run, struct ph_cur c)
{
    struct ph_script_port *port = take_port(run, &c);
    if (!port)
        return;
    run->turns++;
    port->gone = true;
    port->busy = false;
    ph_wbuf_reset(&port->reason);
    ph_w_raw(&port->reason, c.p, (size_t)(c.end - c.p));
}

static void on_closed(struct ph_run *run, struct ph_cur c)
{
    struct ph_script_port *port = take_port(run, &c);
    if (port)
        port->closed = port->gone = true;
}

static void on_busy(struct ph_run *run, struct ph_cur c)
{
    struct ph_script_port *port = take_port(run, &c);
    if (!port || ph_etf_bool(&c, &port->busy) < 0)
        return;
    port->was_busy |= port->busy;
    run->turns++;
}

static void on_monitor(struct ph_run *run, struct ph_cur c)
{
    struct ph_script_monitor m;
    if (ph_etf_uint64(&c, &m.id) < 0 || !(m.caller = take_caller(run, &c)) || m.caller->dead)
        return; /* the session answers for the dead */
    run->monitors = ph_script_grow(run->monitors, run->nmonitors, sizeof m);
    run->monitors[run->nmonitors++] = m;
}

static void on_demonitor(struct ph_run *run, struct ph_cur c)
{
    uint64_t id;
    if (ph_etf_uint64(&c, &id) < 0)
        return;
    for (size_t i = 0; i < run->nmonitors; i++)
        if (run->monitors[i].id == id)
            run->monitors[i--] = run->monitors[--run->nmonitors];
}

static const struct {
    const char *name;
    void (*handle)(struct ph_run *run, struct ph_cur c);
} events[] = {
    {"send", on_send},     {"signal", on_signal},   {"link", on_link}, {"unlink", on_unlink},       {"exit", on_exit_event},
    {"closed", on_closed}, {"busy", on_busy},       {"monitor", on_monitor}, {"demonitor", on_demonitor}, {"created", on_created},
};

static void on_event(void *arg, const struct ph_event *e)
{
    struct ph_run *run = arg;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (strcmp(e->name, events[i].name) == 0)
            events[i].handle(run, e->args);
}

static bool lives(void *arg, struct ph_slice pid)
{
    const struct ph_caller *c = caller_of_pid(arg, pid);
    return c && !c->dead;
}

void ph_world_listen(struct ph_run *run)
{
    run->session.on_event = on_event;
    run->session.lives = lives;
    run->session.arg = run;
}

/* ---- what is made ---- */

struct ph_caller *ph_world_caller(struct ph_run *run, struct ph_text name)
{
    char text[48];
    struct ph_term_error err;
    struct ph_caller *c = ph_script_alloc(sizeof *c);
    memcpy(c->name, name.p, name.len);
    STAILQ_INIT(&c->mailbox);
    int len = snprintf(text, sizeof text, "<0.%ld.%zu>", (long)getpid(), run->ncallers);
    ph_wbuf_init(&c->pid, NULL);
    ph_script_need(ph_term_read(text, (size_t)len, PH_TERM_LIMITS, &c->pid, &err) == 0);
    run->callers = ph_script_grow(run->callers, run->ncallers, sizeof *run->callers);
    run->callers[run->ncallers++] = c;
    ph_vars_set(&run->vars, name, (struct ph_slice){c->pid.buf, c->pid.len});
    return c;
}

struct ph_script_port *ph_world_port(struct ph_run *run, const char *name, uint64_t id, const struct ph_caller *owner)
{
    struct ph_script_port *p = ph_script_alloc(sizeof *p);
    p->id = id;
    p->owner = owner;
    snprintf(p->name, sizeof p->name, "%s", name);
    ph_wbuf_init(&p->reason, NULL);
    run->ports = ph_script_grow(run->ports, run->nports, sizeof *run->ports);
    run->ports[run->nports++] = p;
    return p;
}

/* ---- and what ends ---- */

static enum ph_result send_exit(struct ph_run *run, const struct ph_script_port *port, const struct ph_caller *from, struct ph_slice reason)
{
    struct ph_session *s = &run->session;
    ph_session_begin(s, "exit", 4);
    ph_w_uint(&s->out, port->id);
    ph_session_put(s, &from->pid);
    ph_w_raw(&s->out, reason.p, reason.len);
    return ph_session_post(s);
}

static bool is_normal(struct ph_slice reason)
{
    struct ph_cur c = {reason.p, reason.p + reason.len};
    return ph_etf_is_atom(&c, "normal") == 0;
}

/* A link that breaks with reason normal ends only what the process owns. */
static enum ph_result break_links(struct ph_run *run, const struct ph_caller *c, struct ph_slice reason)
{
    enum ph_result r = PH_RESULT_OK;
    for (size_t i = 0; r == PH_RESULT_OK && i < run->nports; i++) {
        const struct ph_script_port *port = run->ports[i];
        bool linked = false;
        for (size_t j = 0; j < port->nlinks; j++)
            linked |= port->links[j] == c;
        if (linked && !port->gone && (port->owner == c || !is_normal(reason)))
            r = send_exit(run, port, c, reason);
    }
    return r;
}

enum ph_result ph_world_kill(struct ph_run *run, struct ph_caller *c, struct ph_slice reason)
{
    struct ph_session *s = &run->session;
    c->dead = true;
    empty(&c->mailbox);
    if (!run->started || run->lost)
        return PH_RESULT_OK;
    enum ph_result r = break_links(run, c, reason);
    for (size_t i = 0; r == PH_RESULT_OK && i < run->nmonitors; i++) {
        if (run->monitors[i].caller != c)
            continue;
        ph_session_begin(s, "down", 3);
        ph_w_uint(&s->out, run->monitors[i].id);
        ph_w_raw(&s->out, reason.p, reason.len);
        run->monitors[i--] = run->monitors[--run->nmonitors];
        r = ph_session_post(s);
    }
    return r;
}

struct ports_from {
    const struct ph_run *run;
    size_t n, killed; /* its ports from n on; those up to killed have been told */
};

static bool all_closed(void *arg)
{
    const struct ports_from *from = arg;
    for (size_t i = from->n; i < from->run->nports; i++)
        if (!from->run->ports[i]->closed)
            return false;
    return true;
}

static bool none_to_wait_for(void *arg)
{
    const struct ports_from *from = arg;
    return all_closed(arg) || from->run->nports > from->killed;
}

static void free_port(struct ph_script_port *p)
{
    ph_wbuf_free(&p->reason);
    free(p->links);
    free(p);
}

static void free_caller(struct ph_caller *c)
{
    empty(&c->mailbox);
    ph_wbuf_free(&c->pid);
    free(c);
}

static void forget(struct ph_run *run, size_t nports)
{
    while (run->nports > nports)
        free_port(run->ports[--run->nports]);
}

static enum ph_result kill_ports(struct ph_run *run, size_t nports, struct ph_slice reason)
{
    struct ports_from from = {run, nports, nports};
    enum ph_result r = PH_RESULT_OK;
    int64_t deadline = ph_now_ms() + run->cli.timeout_ms;
    do { /* what is killed may create more */
        for (; r == PH_RESULT_OK && from.killed < run->nports; from.killed++)
            if (!run->ports[from.killed]->closed)
                r = send_exit(run, run->ports[from.killed], run->callers[0], reason);
        if (r == PH_RESULT_OK)
            r = ph_session_listen(&run->session, deadline, -1, none_to_wait_for, &from);
    } while (r == PH_RESULT_OK && from.killed < run->nports && ph_now_ms() < deadline);
    if (r == PH_RESULT_OK && !all_closed(&from))
        r = PH_RESULT_TIMEOUT;
    return r;
}

/* Callers stay in the table, dead: a port that another test opened may still be linked to one. */
enum ph_result ph_world_end(struct ph_run *run, size_t ncallers, size_t nports)
{
    struct ph_wbuf kill;
    ph_wbuf_init(&kill, NULL);
    ph_w_atom(&kill, "kill");
    struct ph_slice reason = {kill.buf, kill.len};
    enum ph_result r = PH_RESULT_OK;
    if (run->started && !run->lost)
        r = kill_ports(run, nports, reason);
    for (size_t i = ncallers; r == PH_RESULT_OK && i < run->ncallers; i++)
        if (!run->callers[i]->dead)
            r = ph_world_kill(run, run->callers[i], reason);
    if (r == PH_RESULT_OK)
        forget(run, nports);
    for (size_t i = 0; i < ncallers; i++)
        empty(&run->callers[i]->mailbox);
    ph_wbuf_free(&kill);
    return r;
}

void ph_world_free(struct ph_run *run)
{
    forget(run, 0);
    for (size_t i = 0; i < run->ncallers; i++)
        free_caller(run->callers[i]);
    free(run->callers);
    free(run->ports);
    free(run->monitors);
    ph_vars_free(&run->vars);
}
