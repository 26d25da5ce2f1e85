/* SPDX-License-Identifier: Apache-2.0 */
/* Terms that a driver hands over encoded (daemon/term/ext.h), and equal keys in them (daemon/term/canon.h). What is checked can be appended, and is one term then. */
#include "fuzz.h"
#include "term/canon.h"
#include "term/ext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_wbuf w;
    ph_wbuf_init(&w, NULL);
    int checked = ph_ext_check(data, size), appended = ph_ext_append(&w, data, size);
    FUZZ_ASSERT(checked == appended);
    if (appended == 0) {
        struct ph_cur c = {w.buf, w.buf + w.len};
        FUZZ_ASSERT(ph_canon_skip(&c) == 0 && c.p == c.end);
        FUZZ_ASSERT(ph_canon_is_term((struct ph_slice){w.buf, w.len}) == (ph_canon_check_keys(&w, 0, 0) == 0));
    }
    ph_wbuf_free(&w);
    return 0;
}
