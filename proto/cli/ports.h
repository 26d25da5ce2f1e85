/* SPDX-License-Identifier: Apache-2.0 */
/* The ports that a session has opened, each with a name, which is an atom and stands for the port in all that is printed:
 * it is the port's term for the host. A driver may create more of them, which are called as the session says (host/session.h). What comes from the host is printed as it comes, a term to a line:
 *
 *   Message                     to us, as {p1,{data,"x"}}, {p1,eof}, or whatever a driver sends
 *   {send,Pid,Message}          to another process
 *   {created,Port,Parent,Owner,Driver}
 *   {exit,Port,Reason}  {busy,Port,Boolean}  {signal,Port,Pid,Reason}
 *   {ok,Request,Value}  {error,Request,Reason}    the reply to a step
 *
 * Not printed is what only keeps host and client in step: link, unlink, monitor, demonitor, closed. One thread. */
#ifndef PH_CLI_PORTS_H
#define PH_CLI_PORTS_H

#include "args.h"
#include "host/session.h"

struct ph_cli_port {
    char name[64];
    uint64_t id;
    bool busy;
    bool gone;   /* exit has come, or it could not be opened */
    bool closed; /* the host has nothing of it any more */
    struct ph_ports *ports;
};

struct ph_ports {
    struct ph_session *session;
    struct ph_cli_port **at; /* one for each name, owned */
    size_t n;
};

/* The ports take over the session's events. */
void ph_ports_init(struct ph_ports *ports, struct ph_session *s);
void ph_ports_free(struct ph_ports *ports);

/* NULL if there never was one of that name. */
struct ph_cli_port *ph_ports_find(const struct ph_ports *ports, struct ph_text name);

/* True if the text can be the name of a port. */
bool ph_port_name_ok(struct ph_text name);

/* Opens a port; a driver that is not there is loaded first, from the host's driver path. options: n encoded terms. *port is set if it
 * was opened. These return the exit status that the program has if nothing worse follows; what went wrong has been shown. */
enum ph_exit ph_port_open(struct ph_ports *ports, struct ph_text name, struct ph_text command, const struct ph_wbuf *options,
                          uint32_t n, struct ph_cli_port **port);

enum ph_exit ph_port_command(struct ph_cli_port *port, const struct ph_wbuf *data);
enum ph_exit ph_port_control(struct ph_cli_port *port, uint32_t op, const struct ph_wbuf *data);
enum ph_exit ph_port_call(struct ph_cli_port *port, uint32_t op, const struct ph_wbuf *term);
enum ph_exit ph_port_connect(struct ph_cli_port *port, const struct ph_wbuf *pid); /* pid: encoded */
enum ph_exit ph_port_close(struct ph_cli_port *port);

/* Closes what is open and waits until the host has let go of everything. */
enum ph_exit ph_ports_finish(struct ph_ports *ports);

#endif
