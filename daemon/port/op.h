/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on a port that clients ask for, as jobs: made by the connection from a request, run in the port's lock. */
#ifndef PH_OP_H
#define PH_OP_H

#include "port/port.h"

struct ph_op {
    struct ph_job job;
    size_t size;            /* of this block, body included */
    struct ph_port *port;   /* reference */
    enum ph_request what;
    bool force;             /* command: also if busy */
    bool counted;           /* command, send: its size is in the port's msgq_bytes */
    uint32_t number;        /* control, call: the operation */
    ErlDrvTermData caller;  /* pid, or nil */
    ErlDrvTermData pid;     /* connect: the new owner */
    struct ph_slice tag;    /* into body */
    struct ph_slice data;   /* one encoded term, into body or frame; the byte before and the one behind it may be overwritten */
    ErlDrvBinary *frame;    /* reference, or NULL: data is in body */
    size_t charge;          /* bytes charged to the peer until the op is freed */
    uint8_t body[];
};

#define PH_OP_INLINE 69u /* data of more bytes gets a driver binary, so that outputv can refer to it: to a binary of more than 64 bytes, with 5 in front */

/* Operations that come from one connection, one behind the other, for the same port: they go to its lock together. On the connection's reactor, within one
 * event callback. */
struct ph_op_batch {
    struct ph_port *port; /* reference, or NULL: none, all else is unset */
    uint64_t id;          /* of the port, on the wire */
    struct ph_jobs ops;
    struct ph_slice head; /* request.c: how the last command for it began, up to its data; len 0: there was none. Into the bytes that are looked at */
    ErlDrvTermData caller; /* of that command */
};

/* New; takes the reference to port. data is copied, or referred to if it lies within frame (a new reference is taken; may be NULL). NULL: out of memory. */
struct ph_op *ph_op_new(enum ph_request what, struct ph_port *port, struct ph_slice tag, struct ph_slice data, ErlDrvBinary *frame);
/* The peer's port with that id, for ph_op_new and ph_op_batch_add: a reference, or NULL. What is in the batch is submitted if it is for another port. */
struct ph_port *ph_op_batch_port(struct ph_op_batch *b, struct ph_peer *peer, uint64_t id);
void ph_op_batch_add(struct ph_op_batch *b, struct ph_op *op); /* takes it; its port is the one that ph_op_batch_port has just found */
void ph_op_batch_submit(struct ph_op_batch *b); /* the batch is empty then */
void ph_op_free(struct ph_op *op);

/* --- for op.c, by area --- */
void ph_op_command(struct ph_op *op);                                          /* command.c */
void ph_port_command(struct ph_port *p, ErlDrvTermData caller, struct ph_slice data, ErlDrvBinary *frame);
void ph_op_control(struct ph_op *op);                                          /* control.c */
void ph_op_call(struct ph_op *op);
void ph_op_send(struct ph_op *op);                                             /* signal.c */
void ph_op_connect(struct ph_op *op);
void ph_op_info(struct ph_op *op);                                             /* info.c */
/* Answers a peer that is not the port's; takes the reference to p. Any thread; the answer comes from the port's lock. */
void ph_info_for(struct ph_port *p, struct ph_peer *to, struct ph_slice tag, struct ph_slice item);
void ph_op_set_data(struct ph_op *op);
void ph_op_get_data(struct ph_op *op);
void ph_port_forget_data(struct ph_port *p);

#endif
