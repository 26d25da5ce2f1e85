/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings (proto/cli/record): the file, and the rules of what may differ. Nothing is played. */
#include "fuzz.h"
#include "record/recording.h"
#include "record/rules.h"

static void take(struct ph_recording *r)
{
    struct ph_rules rules = {0};
    for (size_t i = 0; i < r->n; i++)
        ph_rules_take(&rules, &r->lines[i]);
    for (size_t i = 0; i < r->n; i++) {
        struct ph_slice term = {r->lines[i].bytes.buf, r->lines[i].bytes.len};
        if (r->lines[i].kind != PH_LINE_TERM || !r->lines[i].by_host)
            continue;
        ph_rules_compare(term);
        ph_rules_stream(&rules, term, false);
    }
    ph_rules_free(&rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_recording r;
    char name[32];
    int fd = fuzz_file(data, size, name);
    if (ph_recording_read(&r, name)) {
        take(&r);
        ph_recording_free(&r);
    }
    close(fd);
    return 0;
}
