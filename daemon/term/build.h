/* SPDX-License-Identifier: Apache-2.0 */
/* The driver term format (erl_driver(3), erl_drv_output_term): checking a specification and turning it into
 * external format. SEMANTICS "Driver term format". Any thread, no lock. Layering: what a port is called on the wire is not known here,
 * so the caller passes a function for it. */
#ifndef PH_BUILD_H
#define PH_BUILD_H

#include <erl_driver.h>
#include <stdbool.h>

#include "wbuf.h"

/* Appends the port term for a port word; for a port that is unknown something must be appended too. */
typedef void ph_port_term(struct ph_wbuf *w, ErlDrvTermData port);

/* 0: well-formed as far as the VM checks before it looks for the receiver; -1 malformed. Never reads outside spec[0..n). */
int ph_build_check(const ErlDrvTermData *spec, int n);

/* Calls fn for each binary until it answers false: false then. As far as the specification is well-formed; what is in the binaries is not looked at. */
bool ph_build_binaries(const ErlDrvTermData *spec, int n, bool (*fn)(const ErlDrvBinary *b, size_t offset, size_t len));

/* For a specification that ph_build_check has found well-formed. Appends the term. BINARY of more than 64 bytes is appended as a ref
 * (one reference taken with ph_bin_ref; the wbuf's release function must be ph_bin_unref). -1: malformed after all (NaN, equal map
 * keys) or out of memory; w is as it was before. */
int ph_build(struct ph_wbuf *w, const ErlDrvTermData *spec, int n, ph_port_term *port_term);

#endif
