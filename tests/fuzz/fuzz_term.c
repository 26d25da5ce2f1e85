/* SPDX-License-Identifier: Apache-2.0 */
/* The term reader of porthostctl (proto/cli/term/term.h): what it reads is well-formed, and is the same when it has been printed and read again. */
#include <string.h>

#include "fuzz.h"
#include "term/term.h"

static const struct ph_term_limits limits = {200, 1u << 20};

static void print(const struct ph_wbuf *w, char **text, size_t *len)
{
    FILE *f = open_memstream(text, len);
    FUZZ_ASSERT(f && ph_term_print(f, (struct ph_slice){w->buf, w->len}) == 0);
    fclose(f);
}

static void check_again(const struct ph_wbuf *w)
{
    struct ph_term_error err;
    struct ph_wbuf again;
    char *first, *second;
    size_t first_len, second_len;
    ph_wbuf_init(&again, NULL);
    print(w, &first, &first_len);
    FUZZ_ASSERT(ph_term_read(first, first_len, PH_TERM_LIMITS, &again, &err) == 0);
    print(&again, &second, &second_len);
    FUZZ_ASSERT(first_len == second_len && memcmp(first, second, first_len) == 0);
    free(first);
    free(second);
    ph_wbuf_free(&again);
}

static void print_others(const struct ph_wbuf *w)
{
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    FUZZ_ASSERT(f && ph_term_print_json(f, (struct ph_slice){w->buf, w->len}) == 0);
    FUZZ_ASSERT(ph_term_print_escaped(f, (struct ph_slice){w->buf, w->len}) == 0);
    fclose(f);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct ph_term_error err;
    struct ph_wbuf w;
    size_t used;
    ph_wbuf_init(&w, NULL);
    if (ph_term_read(text, size, limits, &w, &err) == 0) {
        struct ph_cur c = {w.buf, w.buf + w.len};
        FUZZ_ASSERT(ph_etf_skip(&c, limits.max_depth) == 0 && c.p == c.end);
        check_again(&w);
        print_others(&w);
    } else {
        FUZZ_ASSERT(w.len == 0 && err.text[0]);
    }
    ph_wbuf_reset(&w);
    if (ph_term_read_prefix(text, size, limits, &w, &err, &used) == 0)
        FUZZ_ASSERT(used <= size);
    ph_wbuf_reset(&w);
    if (ph_term_read_pattern(text, size, limits, &w, &err, &used) == 0)
        FUZZ_ASSERT(used <= size);
    ph_wbuf_free(&w);
    return 0;
}
