/* SPDX-License-Identifier: Apache-2.0 */
/* iodata as one run of bytes: in place if it is one binary (a byte behind it may be overwritten by the driver), else copied. */
#ifndef PH_FLAT_H
#define PH_FLAT_H

#include "etf.h"

struct ph_flat {
    char *p;
    size_t len;
    void *owned; /* what ph_flat_free frees, or NULL */
};

int ph_flat_get(struct ph_flat *f, struct ph_slice iodata); /* 0; -1 not iodata, or out of memory */
void ph_flat_free(struct ph_flat *f);

#endif
