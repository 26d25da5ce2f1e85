/* SPDX-License-Identifier: Apache-2.0 */
/* From the driver to processes: data to the owner, eof, terms. ph_out_data* in the port's lock; in closing state they drop what they are given. */
#ifndef PH_OUTPUT_H
#define PH_OUTPUT_H

#include "port/port.h"

void ph_out_data(struct ph_port *p, const char *header, size_t header_len, const char *buf, size_t len); /* buf NULL is not the same as empty */
void ph_out_binary(struct ph_port *p, const char *header, size_t header_len, ErlDrvBinary *bin, size_t offset, size_t len);
void ph_out_vector(struct ph_port *p, const char *header, size_t header_len, ErlIOVec *ev, size_t skip);
void ph_out_eof(struct ph_port *p);        /* {Port, eof} */
void ph_out_flush_line(struct ph_port *p); /* what is left in line mode, as noeol */

/* A driver term to process `to`: 1 sent, 0 no receiver (connection gone, port closing), -1 bad term. Any thread that holds a reference to p. */
int ph_out_term(struct ph_port *p, ErlDrvTermData to, const ErlDrvTermData *spec, int n);

#endif
