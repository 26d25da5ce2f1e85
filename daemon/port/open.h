/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a port: finding the driver, start(), and answering the client. */
#ifndef PH_OPEN_H
#define PH_OPEN_H

#include "port/port.h"

struct ph_open_options {
    bool binary, eof, parallelism;
    size_t line;               /* 0: not line mode */
    bool msgq_given;
    size_t msgq_low, msgq_high; /* both PH_MSGQ_DISABLED for `disabled` */
};

/* Parses the option list of open. 0, or -1: badarg. */
int ph_open_parse(struct ph_cur *c, struct ph_open_options *o);

/* Opens a port for the peer and answers the tag, now or later. name: the command, len bytes (copied, as are the slices). Any thread. */
void ph_port_open(struct ph_peer *peer, struct ph_slice tag, uint64_t id, struct ph_slice term, ErlDrvTermData owner, const char *name,
                  size_t len, const struct ph_open_options *options);

/* In the port's lock: */
void ph_open_answer(struct ph_port *p);          /* replies ok if that is still due */
void ph_open_failed_in_start(struct ph_port *p); /* a failure function inside start(): the port ends as soon as it is open */
void ph_open_acknowledge(struct ph_port *p, ErlDrvData data); /* erl_drv_init_ack */
/* driver_create_port: a new live port beside creator, with an id that its client has granted, or NULL. Owner gets linked. */
struct ph_port *ph_open_child(struct ph_port *creator, ErlDrvTermData owner, const char *name, ErlDrvData data);

#endif
