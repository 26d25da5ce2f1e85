/* SPDX-License-Identifier: Apache-2.0 */
#include "port/flat.h"

#include <string.h>

#include "base/mem.h"

static void append(void *arg, const uint8_t *p, size_t len)
{
    struct ph_flat *f = arg;
    memcpy(f->p + f->len, p, len);
    f->len += len;
}

int ph_flat_get(struct ph_flat *f, struct ph_slice iodata)
{
    struct ph_cur c = {iodata.p, iodata.p + iodata.len};
    struct ph_iodata_sink sink = {append, append, f};
    struct ph_slice bin;
    size_t size;
    memset(f, 0, sizeof *f);
    if (ph_etf_binary(&c, &bin) == 0) {
        f->p = (char *)(uintptr_t)bin.p;
        f->len = bin.len;
        return 0;
    }
    if (ph_iodata_size(c, &size))
        return -1;
    if (!(f->owned = ph_alloc_try(size + 1)))
        return -2;
    f->p = f->owned;
    return ph_iodata_each(&c, &sink);
}

void ph_flat_free(struct ph_flat *f)
{
    ph_free(f->owned);
}
