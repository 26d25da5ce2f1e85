/* SPDX-License-Identifier: Apache-2.0 */
/* Reading external terms from outside (proto/etf.h), and printing them (proto/cli/term): every reader at every term of the input. */
#include <limits.h>
#include <string.h>

#include "etf.h"
#include "fuzz.h"
#include "term/term.h"

static void count(void *arg, const uint8_t *p, size_t len)
{
    size_t *n = arg;
    for (size_t i = 0; i < len; i++)
        *n += 1 + (p[i] & 0); /* reads them, for a sanitizer */
}

static void read_iodata(struct ph_cur c)
{
    size_t size, counted = 0;
    struct ph_iodata_sink sink = {count, count, &counted};
    int rc = ph_iodata_size(c, &size);
    FUZZ_ASSERT((ph_iodata_each(&c, &sink) == 0) == (rc == 0));
    FUZZ_ASSERT(rc != 0 || size == counted);
}

/* The cursor moves if the reader succeeds, never behind the end, and not otherwise. */
#define READ(call)                                                               \
    do {                                                                         \
        struct ph_cur c = at;                                                    \
        if ((call) == 0)                                                         \
            FUZZ_ASSERT(c.p > at.p && c.p <= at.end && c.end == at.end);         \
        else                                                                     \
            FUZZ_ASSERT(c.p == at.p);                                            \
    } while (0)

static void read_simple(struct ph_cur at)
{
    char atom[1024];
    uint32_t n;
    int64_t i;
    uint64_t u;
    bool b;
    size_t len;
    READ(ph_etf_tuple(&c, &n));
    READ(ph_etf_map(&c, &n));
    READ(ph_etf_list(&c, &n));
    READ(ph_etf_nil(&c));
    READ(ph_etf_atom(&c, atom, sizeof atom, &len));
    READ(ph_etf_is_atom(&c, "hello"));
    READ(ph_etf_int64(&c, &i));
    READ(ph_etf_uint64(&c, &u));
    READ(ph_etf_bool(&c, &b));
}

static void read_slices(struct ph_cur at)
{
    struct ph_slice s;
    char *text;
    size_t len;
    READ(ph_etf_binary(&c, &s));
    READ(ph_etf_pid(&c, &s));
    READ(ph_etf_ref(&c, &s));
    READ(ph_etf_raw(&c, &s));
    for (int atom_ok = 0; atom_ok < 2; atom_ok++) {
        struct ph_cur c = at;
        if (ph_etf_text(&c, atom_ok, &text, &len) == 0) {
            FUZZ_ASSERT(strlen(text) == len);
            free(text);
        }
    }
}

static void print(struct ph_slice term)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    FUZZ_ASSERT(f);
    ph_term_print(f, term);
    ph_term_print_escaped(f, term);
    ph_term_print_json(f, term);
    fclose(f);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_cur whole = {data, data + size};
    struct ph_slice term;
    for (size_t i = 0; i < size && i < 64; i++) {
        struct ph_cur at = {data + i, data + size};
        read_simple(at);
        read_slices(at);
        read_iodata(at);
    }
    print((struct ph_slice){data, size});
    if (ph_etf_raw(&whole, &term) == 0)
        print(term);
    whole.p = data;
    ph_etf_skip(&whole, UINT_MAX);
    return 0;
}
