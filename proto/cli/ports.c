/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the ports of a session and what is printed about them. Called by the steps and the shell. */
#include "ports.h"

#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "out.h"

/* ---- the table ---- */

struct ph_cli_port *ph_ports_find(const struct ph_ports *ports, struct ph_text name)
{
    for (size_t i = 0; i < ports->n; i++)
        if (ph_text_is(name, ports->at[i]->name))
            return ports->at[i];
    return NULL;
}

/* The entry of that name, which is new or of a port that is closed. */
static struct ph_cli_port *entry(struct ph_ports *ports, struct ph_text name, uint64_t id)
{
    struct ph_cli_port *port = ph_ports_find(ports, name);
    if (!port) {
        struct ph_cli_port **at = realloc(ports->at, (ports->n + 1) * sizeof *at);
        port = at ? malloc(sizeof *port) : NULL;
        ports->at = at ? at : ports->at;
        if (!port)
            return NULL;
        at[ports->n++] = port;
    }
    *port = (struct ph_cli_port){.id = id, .ports = ports};
    memcpy(port->name, name.p, name.len);
    return port;
}

/* ---- events ---- */

static struct ph_cli_port *port_of_event(const struct ph_ports *ports, struct ph_cur *c)
{
    uint64_t id;
    if (ph_etf_uint64(c, &id) == 0)
        for (size_t i = 0; i < ports->n; i++)
            if (ports->at[i]->id == id)
                return ports->at[i];
    return NULL;
}

static void print_message(const struct ph_ports *ports, const struct ph_event *e)
{
    struct ph_cur c = e->args;
    struct ph_slice to, message;
    if (ph_etf_pid(&c, &to) == 0 && ph_session_is_self(ports->session, to) && ph_etf_raw(&c, &message) == 0)
        ph_out_term(ports->session->cli, message);
    else
        ph_out_term(ports->session->cli, e->whole);
}

/* With the port's name where its id is. */
static void print_about_port(const struct ph_cli_port *port, const struct ph_event *e, struct ph_cur rest)
{
    struct ph_wbuf w;
    ph_wbuf_init(&w, NULL);
    ph_w_tuple(&w, e->arity);
    ph_w_atom(&w, e->name);
    ph_w_atom(&w, port->name);
    ph_w_raw(&w, rest.p, (size_t)(rest.end - rest.p));
    ph_out_term(port->ports->session->cli, (struct ph_slice){w.buf, w.len});
    ph_wbuf_free(&w);
}

static bool is_bookkeeping(const char *name)
{
    static const char *const names[] = {"link", "unlink", "monitor", "demonitor", "closed"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void print_created(const struct ph_cli_port *port, const struct ph_cli_port *parent, struct ph_cur rest)
{
    struct ph_wbuf w;
    ph_wbuf_init(&w, NULL);
    ph_w_tuple(&w, 5);
    ph_w_atom(&w, "created");
    ph_w_atom(&w, port->name);
    ph_w_atom(&w, parent ? parent->name : "undefined");
    ph_w_raw(&w, rest.p, (size_t)(rest.end - rest.p));
    ph_out_term(port->ports->session->cli, (struct ph_slice){w.buf, w.len});
    ph_wbuf_free(&w);
}

/* {created, PortId, ParentId, Owner, Driver}: it is a port like others from now on. */
static void on_created(struct ph_ports *ports, const struct ph_event *e)
{
    char name[sizeof ((struct ph_cli_port *)0)->name];
    uint64_t id;
    struct ph_cur c = e->args;
    if (ph_etf_uint64(&c, &id) < 0)
        return;
    const struct ph_cli_port *parent = port_of_event(ports, &c);
    ph_session_created_name(id, name, sizeof name);
    const struct ph_cli_port *port = entry(ports, (struct ph_text){name, strlen(name)}, id);
    if (port)
        print_created(port, parent, c);
    else
        ph_complain("there is no memory for %s", name);
}

static void on_event(void *arg, const struct ph_event *e)
{
    struct ph_ports *ports = arg;
    struct ph_cur rest = e->args, flag;
    if (strcmp(e->name, "send") == 0) {
        print_message(ports, e);
        return;
    }
    if (strcmp(e->name, "created") == 0) {
        on_created(ports, e);
        return;
    }
    struct ph_cli_port *port = port_of_event(ports, &rest);
    flag = rest;
    if (port && strcmp(e->name, "busy") == 0)
        ph_etf_bool(&flag, &port->busy);
    if (port && strcmp(e->name, "exit") == 0)
        port->gone = true;
    if (port && strcmp(e->name, "closed") == 0)
        port->closed = port->gone = true;
    if (is_bookkeeping(e->name))
        return;
    if (port)
        print_about_port(port, e, rest);
    else
        ph_out_term(ports->session->cli, e->whole);
}

/* ---- beginning and end ---- */

void ph_ports_init(struct ph_ports *ports, struct ph_session *s)
{
    *ports = (struct ph_ports){.session = s};
    s->on_event = on_event;
    s->arg = ports;
    s->ports = ports;
}

void ph_ports_free(struct ph_ports *ports)
{
    ports->session->on_event = NULL;
    ports->session->ports = NULL;
    for (size_t i = 0; i < ports->n; i++)
        free(ports->at[i]);
    free(ports->at);
}

bool ph_port_name_ok(struct ph_text name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((uint8_t)name.p[i] > 127)
            return false;
    return name.len < sizeof ((struct ph_cli_port *)0)->name && ph_atom_plain(name.p, name.len) && !ph_session_is_created_name(name);
}

/* ---- requests ---- */

/* Shows the reply to a request as {ok,Request,Value} or {error,Request,Reason}. */
static enum ph_exit show_reply(struct ph_session *s, const char *request, enum ph_result r, struct ph_slice value)
{
    struct ph_wbuf w;
    if (r != PH_RESULT_OK && r != PH_RESULT_ERROR)
        return ph_result_exit(r);
    ph_wbuf_init(&w, NULL);
    ph_w_tuple(&w, 3);
    ph_w_atom(&w, r == PH_RESULT_OK ? "ok" : "error");
    ph_w_atom(&w, request);
    ph_w_raw(&w, value.p, value.len);
    ph_out_term(s->cli, (struct ph_slice){w.buf, w.len});
    ph_wbuf_free(&w);
    return ph_result_exit(r);
}

static enum ph_exit ask_and_show(struct ph_session *s, const char *request)
{
    struct ph_slice value = {0};
    enum ph_result r = ph_session_ask(s, &value);
    return show_reply(s, request, r, value);
}

static enum ph_result ask_open(struct ph_cli_port *port, struct ph_text command, const struct ph_wbuf *options, uint32_t n,
                               struct ph_slice *value)
{
    struct ph_session *s = port->ports->session;
    ph_session_begin_tagged(s, "open", 7);
    ph_w_uint(&s->out, port->id);
    ph_w_atom(&s->out, port->name);
    ph_session_put_self(s);
    ph_w_binary(&s->out, command.p, command.len);
    if (n > 0) {
        ph_w_list(&s->out, n);
        ph_session_put(s, options);
    }
    ph_w_nil(&s->out);
    return ph_session_ask(s, value);
}

static bool is_no_driver(enum ph_result r, struct ph_slice value)
{
    struct ph_cur c = {value.p, value.p + value.len};
    return r == PH_RESULT_ERROR && ph_etf_is_atom(&c, "no_driver") == 0;
}

/* The driver's name is the command up to the first space. */
static struct ph_text driver_name(struct ph_text command)
{
    const char *space = memchr(command.p, ' ', command.len);
    return (struct ph_text){command.p, space ? (size_t)(space - command.p) : command.len};
}

static bool load_driver_of(struct ph_session *s, struct ph_text command)
{
    struct ph_slice value;
    enum ph_result r = ph_driver_load(s, (struct ph_text){0}, driver_name(command), &value);
    if (r == PH_RESULT_ERROR)
        ph_driver_explain(s, "load", value);
    return r == PH_RESULT_OK;
}

enum ph_exit ph_port_open(struct ph_ports *ports, struct ph_text name, struct ph_text command, const struct ph_wbuf *options,
                          uint32_t n, struct ph_cli_port **port)
{
    struct ph_session *s = ports->session;
    struct ph_slice value = {0};
    struct ph_cli_port *p = entry(ports, name, ph_session_port_id(s));
    *port = p;
    if (!p) {
        ph_complain("there is no memory for a port");
        return PH_EXIT_FAILED;
    }
    enum ph_result r = ask_open(p, command, options, n, &value);
    if (is_no_driver(r, value)) {
        if (load_driver_of(s, command)) {
            r = ask_open(p, command, options, n, &value);
        } else {
            p->closed = p->gone = true;
            *port = NULL;
            return PH_EXIT_FAILED;
        }
    }
    if (r == PH_RESULT_ERROR) {
        p->closed = p->gone = true;
        *port = NULL;
    }
    return show_reply(s, "open", r, value);
}

static bool may_command(void *arg)
{
    const struct ph_cli_port *port = arg;
    return !port->busy || port->gone;
}

/* As in the VM, a command to a busy port waits until the port is not busy any more, though not for ever. */
static enum ph_result until_not_busy(struct ph_cli_port *port)
{
    struct ph_session *s = port->ports->session;
    enum ph_result r = ph_session_listen(s, ph_now_ms(), -1, NULL, NULL);
    if (r == PH_RESULT_OK)
        r = ph_session_listen(s, ph_now_ms() + s->cli->timeout_ms, -1, may_command, port);
    if (r != PH_RESULT_OK || may_command(port))
        return r;
    ph_complain("%s is busy for more than %g seconds", port->name, s->cli->timeout_ms / 1000.0);
    return PH_RESULT_TIMEOUT;
}

enum ph_exit ph_port_command(struct ph_cli_port *port, const struct ph_wbuf *data)
{
    struct ph_session *s = port->ports->session;
    enum ph_result r = until_not_busy(port);
    if (r != PH_RESULT_OK)
        return ph_result_exit(r);
    if (port->gone) {
        ph_complain("command: %s is gone", port->name);
        return PH_EXIT_FAILED;
    }
    ph_session_begin(s, "command", 4);
    ph_w_uint(&s->out, port->id);
    ph_session_put_self(s);
    ph_session_put(s, data);
    return ph_result_exit(ph_session_post(s));
}

static void begin_for_port(struct ph_cli_port *port, const char *request, uint32_t arity)
{
    struct ph_session *s = port->ports->session;
    ph_session_begin_tagged(s, request, arity);
    ph_w_uint(&s->out, port->id);
    ph_session_put_self(s);
}

static enum ph_exit ask_with_op(struct ph_cli_port *port, const char *request, uint32_t op, const struct ph_wbuf *term)
{
    struct ph_session *s = port->ports->session;
    begin_for_port(port, request, 6);
    ph_w_uint(&s->out, op);
    ph_session_put(s, term);
    return ask_and_show(s, request);
}

enum ph_exit ph_port_control(struct ph_cli_port *port, uint32_t op, const struct ph_wbuf *data)
{
    return ask_with_op(port, "control", op, data);
}

enum ph_exit ph_port_call(struct ph_cli_port *port, uint32_t op, const struct ph_wbuf *term)
{
    return ask_with_op(port, "call", op, term);
}

enum ph_exit ph_port_connect(struct ph_cli_port *port, const struct ph_wbuf *pid)
{
    struct ph_session *s = port->ports->session;
    begin_for_port(port, "connect", 5);
    ph_session_put(s, pid);
    return ask_and_show(s, "connect");
}

enum ph_exit ph_port_close(struct ph_cli_port *port)
{
    begin_for_port(port, "close", 4);
    return ask_and_show(port->ports->session, "close");
}

/* ---- the end ---- */

static bool all_closed(void *arg)
{
    const struct ph_ports *ports = arg;
    for (size_t i = 0; i < ports->n; i++)
        if (!ports->at[i]->closed)
            return false;
    return true;
}

/* A port that has ended by itself meanwhile, of which we hear only now, needs no closing. */
static enum ph_result close_at_end(struct ph_cli_port *port)
{
    struct ph_slice value = {0};
    begin_for_port(port, "close", 4);
    enum ph_result r = ph_session_ask(port->ports->session, &value);
    if (r == PH_RESULT_ERROR && port->gone)
        return PH_RESULT_OK;
    show_reply(port->ports->session, "close", r, value);
    return r;
}

enum ph_exit ph_ports_finish(struct ph_ports *ports)
{
    struct ph_session *s = ports->session;
    enum ph_exit worst = PH_EXIT_OK;
    for (size_t i = 0; i < ports->n; i++) {
        struct ph_cli_port *port = ports->at[i];
        enum ph_result r = port->gone ? PH_RESULT_OK : close_at_end(port);
        if (r != PH_RESULT_OK && r != PH_RESULT_ERROR)
            return ph_result_exit(r); /* the host does not answer; the end of the connection ends the rest */
        if (r == PH_RESULT_ERROR) {
            worst = PH_EXIT_FAILED;
            port->closed = true; /* it will not be */
        }
    }
    enum ph_result r = ph_session_listen(s, ph_now_ms() + s->cli->timeout_ms, -1, all_closed, ports);
    if (r == PH_RESULT_OK && !all_closed(ports)) {
        ph_complain("a port has not finished flushing within %g seconds", s->cli->timeout_ms / 1000.0);
        r = PH_RESULT_TIMEOUT;
    }
    enum ph_exit e = ph_result_exit(r);
    return e > worst ? e : worst;
}
