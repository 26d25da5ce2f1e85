/* SPDX-License-Identifier: Apache-2.0 */
/* What a port tells about itself (erlang:port_info/2, as far as the host knows), and the term a client keeps with it. In the port's lock, but for
 * ph_info_for, which is for other connections than the port's own. */
#include <malloc.h>
#include <string.h>

#include "base/mem.h"
#include "peer/reply.h"
#include "port/monitor.h"
#include "port/op.h"
#include "port/pdl.h"
#include "term/words.h"

static void write_monitors(struct ph_wbuf *w, struct ph_port *p)
{
    struct ph_port_monitor *m;
    struct ph_pdl *pdl = ph_port_pdl_enter(p);
    uint32_t n = 0;
    LIST_FOREACH(m, &p->monitors, link)
        n++;
    ph_w_list(w, n);
    LIST_FOREACH(m, &p->monitors, link) {
        ph_w_tuple(w, 2);
        ph_w_atom(w, "process");
        ph_w_word(w, m->pid);
    }
    if (n)
        ph_w_nil(w);
    ph_port_pdl_leave(pdl);
}

static void write_name(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_string(w, ph_port_name(p), strlen(ph_port_name(p)));
}

static void write_connected(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_word(w, p->owner);
}

static void write_input(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_uint(w, ph_stat_get(&p->stats.input));
}

static void write_output(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_uint(w, ph_stat_get(&p->stats.output));
}

static void write_os_pid(struct ph_wbuf *w, struct ph_port *p)
{
    if (p->os_pid < 0)
        ph_w_atom(w, "undefined");
    else
        ph_w_int(w, p->os_pid);
}

static void write_locking(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_atom(w, ph_driver_has_port_locking(p->driver) ? "port_level" : "driver_level");
}

static void write_parallelism(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_bool(w, p->parallelism);
}

static void write_queue_size(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_uint(w, ph_port_queue_size(p));
}

/* What the host itself has allocated for the port; the driver's own memory is unknown to it. */
static void write_memory(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_uint(w, malloc_usable_size(p) + malloc_usable_size(p->user_data) + malloc_usable_size(p->data_head) + ph_port_queue_size(p));
}

static void write_driver(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_string(w, p->driver->name, strlen(p->driver->name));
}

static void write_busy(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_bool(w, p->busy || p->msgq_busy);
}

static void write_stats(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_port_stats(w, p);
}

static const struct item {
    const char *name;
    void (*write)(struct ph_wbuf *w, struct ph_port *p);
} items[] = {
    {"name", write_name},           {"connected", write_connected},     {"input", write_input},
    {"output", write_output},       {"os_pid", write_os_pid},           {"locking", write_locking},
    {"parallelism", write_parallelism}, {"queue_size", write_queue_size}, {"memory", write_memory},
    {"monitors", write_monitors},   {"driver", write_driver},           {"busy", write_busy},
    {"stats", write_stats},
};
#define ITEMS (sizeof items / sizeof *items)

static void write_all(struct ph_wbuf *w, struct ph_port *p)
{
    ph_w_list(w, ITEMS);
    for (size_t i = 0; i < ITEMS; i++) {
        ph_w_tuple(w, 2);
        ph_w_atom(w, items[i].name);
        items[i].write(w, p);
    }
    ph_w_nil(w);
}

static void answer(struct ph_port *p, struct ph_peer *to, struct ph_slice tag, struct ph_slice name)
{
    struct ph_cur c = {name.p, name.p + name.len};
    const struct item *item = NULL;
    bool all = ph_etf_is_atom(&c, "all") == 0;
    for (size_t i = 0; i < ITEMS && !all && !item; i++)
        if (ph_etf_is_atom(&c, items[i].name) == 0)
            item = &items[i];
    if (!all && !item) {
        ph_reply_error_atom(to, tag, "badarg");
        return;
    }
    struct ph_wbuf *w = ph_reply_ok(tag);
    if (all)
        write_all(w, p);
    else
        item->write(w, p);
    ph_peer_commit(to, w);
}

void ph_op_info(struct ph_op *op)
{
    answer(op->port, op->port->peer, op->tag, op->data);
}

struct info_job {
    struct ph_job job;
    struct ph_port *port; /* reference */
    struct ph_peer *to;   /* reference; charged until the answer is given */
    size_t tag_len, item_len;
    uint8_t body[];       /* tag, item */
};

static size_t charge_of(const struct info_job *j)
{
    return sizeof *j + j->tag_len + j->item_len;
}

static void run_info(struct ph_job *job)
{
    struct info_job *j = (struct info_job *)job;
    struct ph_slice tag = {j->body, j->tag_len}, item = {j->body + j->tag_len, j->item_len};
    enum ph_port_state state = ph_port_state(j->port);
    if (state == PH_PORT_LIVE || state == PH_PORT_CLOSING)
        answer(j->port, j->to, tag, item);
    else
        ph_reply_error_atom(j->to, tag, "undefined");
    ph_peer_discharge(j->to, charge_of(j));
    ph_peer_unref(j->to);
    ph_port_unref(j->port);
    ph_free(j);
}

void ph_info_for(struct ph_port *p, struct ph_peer *to, struct ph_slice tag, struct ph_slice item)
{
    struct info_job *j = ph_alloc_try(sizeof *j + tag.len + item.len);
    if (!j) {
        ph_reply_error_atom(to, tag, "enomem");
        ph_port_unref(p);
        return;
    }
    *j = (struct info_job){.job.run = run_info, .port = p, .to = ph_peer_ref(to), .tag_len = tag.len, .item_len = item.len};
    memcpy(j->body, tag.p, tag.len);
    memcpy(j->body + tag.len, item.p, item.len);
    ph_peer_charge(to, charge_of(j));
    ph_port_submit(p, &j->job);
}

void ph_port_forget_data(struct ph_port *p)
{
    if (!p->user_data)
        return;
    ph_peer_unkeep(p->peer, p->user_data->len);
    ph_free(p->user_data);
    p->user_data = NULL;
}

void ph_op_set_data(struct ph_op *op)
{
    struct ph_port *p = op->port;
    if (!ph_peer_keep(p->peer, op->data.len)) {
        ph_reply_error_atom(p->peer, op->tag, "system_limit");
        return;
    }
    struct ph_blob *data = ph_blob_new(op->data.p, op->data.len);
    if (!data) {
        ph_peer_unkeep(p->peer, op->data.len);
        ph_reply_error_atom(p->peer, op->tag, "enomem");
        return;
    }
    ph_port_forget_data(p);
    p->user_data = data;
    ph_reply_ok_atom(p->peer, op->tag, "true");
}

void ph_op_get_data(struct ph_op *op)
{
    struct ph_port *p = op->port;
    struct ph_wbuf *w = ph_reply_ok(op->tag);
    if (p->user_data)
        ph_w_raw(w, p->user_data->bytes, p->user_data->len);
    else
        ph_w_atom(w, "undefined");
    ph_peer_commit(p->peer, w);
}
