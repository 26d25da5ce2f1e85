/* SPDX-License-Identifier: Apache-2.0 */
/* One request while it is decoded, for the files of this directory. Slices point into the frame. */
#ifndef PH_REQUEST_H
#define PH_REQUEST_H

#include <erl_driver.h>

#include "conn/conn.h"
#include "etf.h"

struct ph_req {
    struct ph_conn *conn;
    struct ph_peer *peer;
    enum ph_request what;
    const char *name;
    uint32_t arity;
    unsigned element;    /* position of the element that was looked at last, 1 = the name */
    struct ph_cur cur;   /* behind it */
    struct ph_slice tag; /* len 0: untagged */
    ErlDrvBinary *frame; /* borrowed, or NULL */
};

struct ph_op_args {
    ErlDrvTermData caller, pid;
    struct ph_slice data;
    uint32_t number;
    bool force;
};

/* The next element; false if it is of another type. */
bool ph_req_raw(struct ph_req *r, struct ph_slice *out);
bool ph_req_pid(struct ph_req *r, ErlDrvTermData *pid);

/* Hands permitted on; if it is false, that is logged ("may not WHAT") and counted. */
bool ph_req_permitted(struct ph_req *r, bool permitted, const char *what);

/* Tells the client that its request is ignored, and why. The connection goes on: PH_FAULT_NONE. */
enum ph_fault ph_req_fault(struct ph_req *r, const char *reason, const char *text);

/* hello.c: PH_FAULT_NONE if answered, or why the connection must end. */
enum ph_fault ph_hello(struct ph_req *r);
enum ph_fault ph_hello_auth(struct ph_req *r);
/* The host has not said hello: may this request come now? */
enum ph_fault ph_hello_due(const struct ph_req *r, enum ph_request what);

/* False: an element is wrong (r->element). Otherwise answered, now or later. */
bool ph_driver_request(struct ph_req *r); /* driver_request.c */
bool ph_answer_ports(struct ph_req *r);   /* status.c */
void ph_answer_stats(struct ph_req *r);
bool ph_answer_port_stats(struct ph_req *r);
bool ph_admin_request(struct ph_req *r);  /* admin.c */

#endif
