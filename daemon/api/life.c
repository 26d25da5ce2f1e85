/* SPDX-License-Identifier: Apache-2.0 */
/* Driver API: ports that end, ports that drivers make, and drivers that add or lock drivers. Only from callbacks. */
#include <erl_driver.h>
#include <string.h>

#include "base/errno_id.h"
#include "base/mem.h"
#include "base/thread.h"
#include "driver/ddll.h"
#include "peer/reply.h"
#include "port/misuse.h"
#include "port/open.h"
#include "port/output.h"
#include "term/words.h"

/* The port may lose its last reference on the way: ours keeps it. */
static int fail(struct ph_port *p, const char *reason)
{
    ph_port_ref(p);
    ph_port_exit_atom(p, reason, PH_EXIT_FAILED);
    ph_port_unref(p);
    return 0;
}

/* The port, or NULL. */
static struct ph_port *failing(ErlDrvPort port, const char *function)
{
    struct ph_port *p = ph_port_called(port, function);
    if (p && ph_checking() && p->terminating)
        ph_violation(PH_VIOLATION_FAILURE_IN_STOP, "%s in stop, or after it: the port ends already", function);
    return p;
}

/* erl_driver(3), driver_failure_eof: with option eof the port stays open. */
int driver_failure_eof(ErlDrvPort port)
{
    struct ph_port *p = failing(port, __func__);
    if (!p)
        return -1;
    ph_out_flush_line(p);
    if (p->eof && ph_port_state(p) == PH_PORT_LIVE) {
        ph_out_eof(p);
        return 0;
    }
    return fail(p, "normal");
}

/* Frees the reason. */
static void exit_with(struct ph_port *p, struct ph_wbuf *reason)
{
    ph_port_ref(p);
    if (reason->failed)
        ph_port_exit_atom(p, "enomem", PH_EXIT_FAILED);
    else
        ph_port_exit(p, (struct ph_slice){reason->buf, reason->len}, PH_EXIT_FAILED);
    ph_port_unref(p);
    ph_wbuf_free(reason);
}

/* erl_driver(3), driver_failure_atom. Latin-1. */
int driver_failure_atom(ErlDrvPort port, char *string)
{
    struct ph_port *p = failing(port, __func__);
    struct ph_wbuf reason;
    if (!p)
        return -1;
    ph_wbuf_init(&reason, NULL);
    ph_w_word(&reason, ph_atom_latin1(string, strlen(string)));
    exit_with(p, &reason);
    return 0;
}

/* erl_driver(3), driver_failure_posix */
int driver_failure_posix(ErlDrvPort port, int error)
{
    struct ph_port *p = failing(port, __func__);
    return p ? fail(p, ph_errno_id(error)) : -1;
}

/* erl_driver(3), driver_failure: the number itself is the reason, and 0 is eof. */
int driver_failure(ErlDrvPort port, int error)
{
    struct ph_port *p = failing(port, __func__);
    struct ph_wbuf reason;
    if (!p)
        return -1;
    if (error == 0)
        return driver_failure_eof(port);
    ph_wbuf_init(&reason, NULL);
    ph_w_int(&reason, error);
    exit_with(p, &reason);
    return 0;
}

/* erl_driver(3), driver_exit: the owner is unlinked first and gets no signal. */
int driver_exit(ErlDrvPort port, int err)
{
    struct ph_port *p = failing(port, __func__);
    if (!p)
        return -1;
    if (ph_port_state(p) == PH_PORT_LIVE) {
        struct ph_wbuf *w = ph_peer_begin();
        ph_w_tuple(w, 3);
        ph_w_atom(w, "unlink");
        ph_w_uint(w, p->id);
        ph_w_word(w, p->owner);
        ph_peer_commit(p->peer, w);
    }
    return fail(p, err ? ph_errno_id(err) : "normal");
}

/* erl_driver(3), driver_create_port: a port of the same driver, without start(). (ErlDrvPort)-1 if that is impossible. */
ErlDrvPort driver_create_port(ErlDrvPort creator_port, ErlDrvTermData connected, char *name, ErlDrvData drv_data)
{
    struct ph_port *creator = ph_port_called(creator_port, __func__), *p = NULL;
    if (creator && ph_word_kind(connected) == PH_WORD_PID)
        p = ph_open_child(creator, connected, name, drv_data);
    return p ? (ErlDrvPort)(uintptr_t)p->handle : (ErlDrvPort)-1;
}

/* erl_driver(3), erl_drv_init_ack */
void erl_drv_init_ack(ErlDrvPort ix, ErlDrvData res)
{
    struct ph_port *p = ph_port_called(ix, __func__);
    if (!p)
        return;
    ph_port_ref(p);
    ph_open_acknowledge(p, res);
    ph_port_unref(p);
}

/* erl_driver(3), erl_drv_set_os_pid */
void erl_drv_set_os_pid(ErlDrvPort ix, ErlDrvSInt pid)
{
    struct ph_port *p = ph_port_called(ix, __func__);
    if (p)
        p->os_pid = pid;
}

/* erl_driver(3), driver_lock_driver */
int driver_lock_driver(ErlDrvPort ix)
{
    struct ph_port *p = ph_port_called(ix, __func__);
    return p ? ph_ddll_make_permanent(p->driver) : -1;
}

/* erl_driver(3), add_driver_entry */
void add_driver_entry(ErlDrvEntry *de)
{
    ph_driver_add_entry(de);
}

/* erl_driver(3), remove_driver_entry */
int remove_driver_entry(ErlDrvEntry *de)
{
    return ph_driver_remove_entry(de);
}
