/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of any connection, as commands name them: CONNECTION/ID, or the name of one of the session's own. One thread. */
#ifndef PH_CLI_PORT_REF_H
#define PH_CLI_PORT_REF_H

#include "args.h"
#include "host/session.h"

struct ph_port_ref {
    uint64_t connection, id;
};

/* Takes a word. s may be NULL, as long as there is no session: then only the form is looked at, of arguments of the command line.
 * False with a message on stderr. */
bool ph_port_ref_take(const struct ph_session *s, struct ph_args *a, struct ph_port_ref *ref);

/* Begins a tagged request `NAME` with the port as its first elements, to which `more` are to be appended. */
void ph_port_ref_begin(struct ph_session *s, const char *name, struct ph_port_ref ref, uint32_t more);

/* Writes why the host refused to stderr: there is no such port, or what the reason says. */
void ph_port_ref_refused(const char *command, struct ph_port_ref ref, struct ph_slice reason);

#endif
