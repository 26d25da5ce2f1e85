/* SPDX-License-Identifier: Apache-2.0 */
/* The driver queue of a port: a FIFO of (iovec, binary) pairs (SEMANTICS: "Driver queue"; OTP reference erl_driver(3), driver_enq and
 * friends). Plain data, its port's (ph_port_ioq); the caller holds the port's lock or its PDL.
 * Results are those of the driver functions but for "invalid port", which the caller answers. */
#ifndef PH_IOQ_H
#define PH_IOQ_H

#include <erl_driver.h>

struct ph_ioq {
    SysIOVec *v;        /* ring-less: v[head .. head+n), parallel to b */
    ErlDrvBinary **b;   /* one reference each */
    int head, n, cap;
    size_t size;        /* bytes */
};

void ph_ioq_clear(struct ph_ioq *q);                                       /* drops everything and the memory */
int ph_ioq_enq(struct ph_ioq *q, const char *buf, size_t len);             /* driver_enq: 0, -1 out of memory */
int ph_ioq_pushq(struct ph_ioq *q, const char *buf, size_t len);
int ph_ioq_enq_bin(struct ph_ioq *q, ErlDrvBinary *b, size_t offset, size_t len);
int ph_ioq_pushq_bin(struct ph_ioq *q, ErlDrvBinary *b, size_t offset, size_t len);
int ph_ioq_enqv(struct ph_ioq *q, ErlIOVec *ev, size_t skip);              /* modifies ev->iov at the skip point as the VM does */
int ph_ioq_pushqv(struct ph_ioq *q, ErlIOVec *ev, size_t skip);
size_t ph_ioq_deq(struct ph_ioq *q, size_t n);                             /* bytes left; n over the size: (size_t)-1, nothing removed */
SysIOVec *ph_ioq_peek(struct ph_ioq *q, int *vlen);                        /* borrowed until the next operation; NULL and 0 if empty */
size_t ph_ioq_peekv(struct ph_ioq *q, ErlIOVec *ev);                       /* returns the size */

#endif
