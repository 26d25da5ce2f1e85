/* SPDX-License-Identifier: Apache-2.0 */
/* Owns `ports` and `info`. Called through the table of commands. */
#include "look/look.h"
#include "look/port_ref.h"
#include "out.h"

/* ---- ports ---- */

static bool ports_arguments(struct ph_args *a, bool *all)
{
    struct ph_text option = ph_args_word(a);
    *all = ph_text_is(option, "--all");
    if (option.p && !*all)
        ph_args_complain(a, "ports: expected --all, found %.*s", (int)option.len, option.p);
    return !option.p || *all;
}

bool ph_ports_check(struct ph_args *a)
{
    bool all;
    return ports_arguments(a, &all);
}

enum ph_exit ph_ports_run(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    struct ph_slice value = {0};
    bool all;
    (void)c;
    if (!ports_arguments(a, &all))
        return PH_EXIT_USAGE;
    ph_session_begin_tagged(s, "ports", 3);
    ph_w_atom(&s->out, all ? "all" : "connection");
    enum ph_result r = ph_session_ask(s, &value);
    return ph_out_reply(s->cli, "ports", r, value);
}

/* ---- info ---- */

bool ph_info_check(struct ph_args *a)
{
    struct ph_port_ref ref;
    return !ph_args_left(a) || ph_port_ref_take(NULL, a, &ref);
}

/* [{Item, Value}] as a map. False if it is no such list. */
static bool map_of_pairs(struct ph_slice list, struct ph_wbuf *w)
{
    struct ph_cur c = {list.p, list.p + list.len};
    uint32_t n, arity;
    if (ph_etf_list(&c, &n) < 0)
        return false;
    ph_w_map(w, n);
    for (uint32_t i = 0; i < n; i++) {
        struct ph_slice item, value;
        if (ph_etf_tuple(&c, &arity) < 0 || arity != 2 || ph_etf_raw(&c, &item) < 0 || ph_etf_raw(&c, &value) < 0)
            return false;
        ph_w_raw(w, item.p, item.len);
        ph_w_raw(w, value.p, value.len);
    }
    return true;
}

static enum ph_exit port_info(struct ph_session *s, struct ph_args *a)
{
    struct ph_slice value = {0};
    struct ph_port_ref ref;
    struct ph_wbuf w;
    if (!ph_port_ref_take(s, a, &ref))
        return PH_EXIT_USAGE;
    ph_port_ref_begin(s, "port_info", ref, 1);
    ph_w_atom(&s->out, "all");
    enum ph_result r = ph_session_ask(s, &value);
    ph_wbuf_init(&w, NULL);
    if (r == PH_RESULT_OK && map_of_pairs(value, &w))
        value = (struct ph_slice){w.buf, w.len};
    enum ph_exit e = PH_EXIT_FAILED;
    if (r == PH_RESULT_ERROR)
        ph_port_ref_refused("info", ref, value);
    else
        e = ph_out_reply(s->cli, "info", r, value);
    ph_wbuf_free(&w);
    return e;
}

/* Without a port: the map of the host's hello, which has been here since the beginning. */
enum ph_exit ph_info_run(const struct ph_command *c, struct ph_session *s, struct ph_args *a)
{
    (void)c;
    if (ph_args_left(a))
        return port_info(s, a);
    return ph_out_reply(s->cli, "info", PH_RESULT_OK, (struct ph_slice){s->hello.buf, s->hello.len});
}
