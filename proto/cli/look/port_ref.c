/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the way in which commands name ports. Called by info and trace. */
#include "look/port_ref.h"

#include <string.h>

#include "out.h"
#include "ports.h"

static bool numbers(struct ph_text t, struct ph_port_ref *ref)
{
    const char *slash = t.p ? memchr(t.p, '/', t.len) : NULL;
    if (!slash)
        return false;
    size_t before = (size_t)(slash - t.p);
    return ph_text_number((struct ph_text){t.p, before}, PH_MAX_PORT_ID, &ref->connection) &&
           ph_text_number((struct ph_text){slash + 1, t.len - before - 1}, PH_MAX_PORT_ID, &ref->id);
}

bool ph_port_ref_take(const struct ph_session *s, struct ph_args *a, struct ph_port_ref *ref)
{
    struct ph_text t = ph_args_word(a);
    const struct ph_cli_port *port = s && s->ports ? ph_ports_find(s->ports, t) : NULL;
    if (numbers(t, ref) || (!s && !a->argv))
        return true;
    if (port) {
        *ref = (struct ph_port_ref){ph_session_connection(s), port->id};
        return true;
    }
    ph_args_complain(a, "expected a port: CONNECTION/ID as `ports --all` shows it%s, found %.*s", a->argv ? "" : ", or the name of a port",
                     (int)t.len, t.p ? t.p : "");
    return false;
}

void ph_port_ref_begin(struct ph_session *s, const char *name, struct ph_port_ref ref, uint32_t more)
{
    ph_session_begin_tagged(s, name, 4 + more);
    ph_w_uint(&s->out, ref.connection);
    ph_w_uint(&s->out, ref.id);
}

void ph_port_ref_refused(const char *command, struct ph_port_ref ref, struct ph_slice reason)
{
    struct ph_cur c = {reason.p, reason.p + reason.len};
    if (ph_etf_is_atom(&c, "undefined") == 0)
        ph_complain("%s: there is no port %llu/%llu", command, (unsigned long long)ref.connection, (unsigned long long)ref.id);
    else
        ph_out_failure(command, reason);
}
