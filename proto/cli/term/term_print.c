/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the text of terms in Erlang syntax. Called by whatever shows terms. The bytes are checked once, before anything is
 * printed; the functions below rely on that and read on without looking for faults. */
#include <ei.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "term/bignum.h"
#include "term/term.h"
#include "term/utf8.h"

static _Thread_local bool escaped; /* how the call that this thread is in prints binaries that are no text */

static void print(FILE *f, struct ph_cur *c);

/* What needs room on the stack is not inlined: it would be there at each depth of the term. */
#define LEAF __attribute__((noinline))

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- text ---- */

static void print_char(FILE *f, uint32_t code, char quote)
{
    static const char from[] = "\b\177\033\f\n\r\t\v", to[] = "bdefnrtv";
    char utf8[4];
    const char *at = code && code < 128 ? strchr(from, (int)code) : NULL;
    if (at)
        fprintf(f, "\\%c", to[at - from]);
    else if (code == (uint8_t)quote || code == '\\')
        fprintf(f, "\\%c", (int)code);
    else if (code < 32 || (code > 126 && code < 160))
        fprintf(f, "\\%03o", (unsigned)code);
    else
        fwrite(utf8, 1, ph_utf8_put(utf8, code), f);
}

static void print_quoted(FILE *f, const char *p, size_t len, char quote)
{
    const char *end = p + len;
    fputc(quote, f);
    while (p < end) {
        uint32_t code = 0;
        p += ph_utf8_get(p, end, &code);
        print_char(f, code, quote);
    }
    fputc(quote, f);
}

LEAF static void print_atom(FILE *f, struct ph_cur *c)
{
    char text[1024];
    size_t len = 0;
    ph_etf_atom(c, text, sizeof text, &len);
    if (ph_atom_plain(text, len))
        fwrite(text, 1, len, f);
    else
        print_quoted(f, text, len, '\'');
}

/* ---- numbers ---- */

/* The shortest digits that give the number back: "D.DDDe+XX", with *digits of them. */
static int shortest(double v, char *text, size_t cap)
{
    int digits = 1;
    for (; digits < 17; digits++) {
        snprintf(text, cap, "%.*e", digits - 1, v);
        if (strtod(text, NULL) == v)
            return digits;
    }
    snprintf(text, cap, "%.16e", v);
    return digits;
}

/* Like the VM's float_to_list(V, [short]): plain if that is not longer, and exact as an integer. */
LEAF static void print_float(FILE *f, double v)
{
    char text[32], plain[400], sci[64];
    int digits = shortest(v, text, sizeof text);
    char *e = strchr(text, 'e');
    int exponent = e ? atoi(e + 1) : 0;
    int decimals = digits - 1 - exponent;
    snprintf(plain, sizeof plain, "%.*f", decimals < 1 ? 1 : decimals, v);
    if (e)
        *e = 0;
    snprintf(sci, sizeof sci, "%s%se%d", text, digits == 1 ? ".0" : "", exponent);
    bool small = fabs(v) < 9007199254740992.0;
    fputs(small && strlen(plain) <= strlen(sci) ? plain : sci, f);
}

static void print_big(FILE *f, struct ph_cur *c)
{
    bool large = c->p[0] == ERL_LARGE_BIG_EXT;
    size_t len = large ? get32(c->p + 1) : c->p[1], head = large ? 6 : 3;
    char *text = ph_big_to_text(c->p + head, len);
    if (text) {
        if (c->p[head - 1])
            fputc('-', f);
        fputs(text, f);
    }
    free(text);
    c->p += head + len;
}

/* From a copy with a NUL behind it: ei scans the text of an old float without a limit. */
LEAF static double take_double(struct ph_cur *c)
{
    char copy[40] = {0};
    size_t left = (size_t)(c->end - c->p);
    int used = 0;
    double v = 0;
    memcpy(copy, c->p, left < 32 ? left : 32);
    ei_decode_double(copy, &used, &v);
    c->p += used;
    return v;
}

static void print_number(FILE *f, struct ph_cur *c)
{
    int64_t v;
    if (ph_etf_int64(c, &v) == 0)
        fprintf(f, "%lld", (long long)v);
    else if (c->p[0] == ERL_SMALL_BIG_EXT || c->p[0] == ERL_LARGE_BIG_EXT)
        print_big(f, c);
    else
        print_float(f, take_double(c));
}

/* ---- binaries ---- */

bool ph_utf8_printable(struct ph_slice bytes, bool *ascii)
{
    const char *p = (const char *)bytes.p, *end = p + bytes.len;
    *ascii = true;
    while (p < end) {
        uint32_t code;
        size_t n = ph_utf8_get(p, end, &code);
        if (n == 0 || !ph_code_point_printable(code))
            return false;
        *ascii = *ascii && code < 128;
        p += n;
    }
    return true;
}

static bool latin1_printable(struct ph_slice b)
{
    for (size_t i = 0; i < b.len; i++)
        if (!ph_code_point_printable(b.p[i]))
            return false;
    return true;
}

static void print_bytes(FILE *f, struct ph_slice b)
{
    for (size_t i = 0; i < b.len; i++)
        fprintf(f, "%s%u", i ? "," : "", b.p[i]);
}

static void print_escaped(FILE *f, struct ph_slice b)
{
    fputc('"', f);
    for (size_t i = 0; i < b.len; i++) {
        if (b.p[i] > 126)
            fprintf(f, "\\%03o", b.p[i]);
        else
            print_char(f, b.p[i], '"');
    }
    fputc('"', f);
}

static void print_binary(FILE *f, struct ph_slice b)
{
    bool ascii = true;
    fputs("<<", f);
    if (b.len > 0 && ph_utf8_printable(b, &ascii)) {
        print_quoted(f, (const char *)b.p, b.len, '"');
        fputs(ascii ? "" : "/utf8", f);
    } else if (b.len > 0 && latin1_printable(b)) {
        fputc('"', f);
        for (size_t i = 0; i < b.len; i++)
            print_char(f, b.p[i], '"');
        fputc('"', f);
    } else if (b.len > 0 && escaped) {
        print_escaped(f, b);
    } else {
        print_bytes(f, b);
    }
    fputs(">>", f);
}

static void print_bits(FILE *f, struct ph_cur *c)
{
    struct ph_slice b = {c->p + 6, get32(c->p + 1)};
    unsigned bits = c->p[5];
    c->p += 6 + b.len;
    if (b.len == 0 || bits == 8) {
        print_binary(f, b);
        return;
    }
    b.len--;
    fputs("<<", f);
    print_bytes(f, b);
    fprintf(f, "%s%u:%u>>", b.len ? "," : "", (unsigned)b.p[b.len] >> (8 - bits), bits);
}

/* ---- lists ---- */

/* Passes the header of a list that the cursor is at. -1 if it is at something else. */
static int enter_list(struct ph_cells *l)
{
    struct ph_cur *c = &l->cur;
    size_t bytes = (size_t)(c->end - c->p);
    l->bytes = bytes >= 3 && c->p[0] == ERL_STRING_EXT;
    if (l->bytes) {
        l->left = (uint32_t)c->p[1] << 8 | c->p[2];
        c->p += 3;
        return 0;
    }
    if (bytes < 5 || c->p[0] != ERL_LIST_EXT)
        return -1;
    l->left = get32(c->p + 1);
    c->p += 5;
    return 0;
}

void ph_term_pass_empty_heads(struct ph_cur *c)
{
    while (c->end - c->p > 5 && c->p[0] == ERL_LIST_EXT && get32(c->p + 1) == 0)
        c->p += 5;
}

int ph_cells_begin(struct ph_cells *l, struct ph_cur c)
{
    struct ph_cur nil = c;
    *l = (struct ph_cells){.cur = c};
    if (ph_etf_nil(&nil) == 0)
        return 0; /* as if behind the last element, with this nil for the tail */
    return enter_list(l);
}

enum ph_cell ph_cells_next(struct ph_cells *l, uint8_t *byte)
{
    while (l->left == 0) {
        if (l->bytes || ph_etf_nil(&l->cur) == 0)
            return PH_CELL_END;
        if (enter_list(l) < 0)
            return PH_CELL_TAIL;
    }
    l->left--;
    if (!l->bytes)
        return PH_CELL_TERM;
    *byte = *l->cur.p++;
    return PH_CELL_BYTE;
}

/* The next character of a list that is a string; 0 at its end, -1 if there is something else. */
static int next_code(struct ph_cells *l, uint32_t *code)
{
    uint8_t byte = 0;
    uint64_t v = 0;
    enum ph_cell cell = ph_cells_next(l, &byte);
    if (cell == PH_CELL_END)
        return 0;
    if (cell == PH_CELL_BYTE)
        v = byte;
    else if (cell == PH_CELL_TAIL || ph_etf_uint64(&l->cur, &v) < 0)
        return -1;
    *code = (uint32_t)v;
    return v <= PH_CODE_POINT_MAX && ph_code_point_printable(*code) ? 1 : -1;
}

char *ph_term_string_text(struct ph_cur c, size_t *len)
{
    struct ph_cells l;
    uint32_t code = 0;
    int more;
    size_t n = 0;
    if (ph_cells_begin(&l, c) < 0)
        return NULL;
    struct ph_cells again = l;
    while ((more = next_code(&l, &code)) > 0)
        n++;
    char *text = more == 0 && n > 0 ? malloc(n * 4 + 1) : NULL;
    *len = 0;
    while (text && next_code(&again, &code) > 0)
        *len += ph_utf8_put(text + *len, code);
    if (text)
        text[*len] = 0;
    return text;
}

static void print_cells(FILE *f, struct ph_cur *c)
{
    struct ph_cells l;
    uint8_t byte = 0;
    const char *between = "";
    enum ph_cell cell;
    ph_cells_begin(&l, *c);
    fputc('[', f);
    while ((cell = ph_cells_next(&l, &byte)) < PH_CELL_END) {
        fputs(between, f);
        between = ",";
        if (cell == PH_CELL_BYTE)
            fprintf(f, "%u", byte);
        else
            print(f, &l.cur);
    }
    if (cell == PH_CELL_TAIL) {
        fputc('|', f);
        print(f, &l.cur);
    }
    fputc(']', f);
    *c = l.cur;
}

static void print_list(FILE *f, struct ph_cur *c)
{
    size_t len;
    char *text = ph_term_string_text(*c, &len);
    if (!text) {
        print_cells(f, c);
        return;
    }
    print_quoted(f, text, len, '"');
    free(text);
    ph_etf_skip(c, PH_PRINT_DEPTH);
}

/* ---- tuples and maps ---- */

static void print_tuple(FILE *f, struct ph_cur *c)
{
    uint32_t arity = 0;
    ph_etf_tuple(c, &arity);
    fputc('{', f);
    for (uint32_t i = 0; i < arity; i++) {
        fputs(i ? "," : "", f);
        print(f, c);
    }
    fputc('}', f);
}

static void print_map(FILE *f, struct ph_cur *c)
{
    uint32_t pairs = 0;
    ph_etf_map(c, &pairs);
    fputs("#{", f);
    for (uint32_t i = 0; i < pairs; i++) {
        fputs(i ? "," : "", f);
        print(f, c);
        fputs(" => ", f);
        print(f, c);
    }
    fputc('}', f);
}

/* ---- identifiers and funs ---- */

/* The node and creation, of which the latter stands `behind` bytes behind the node's name. */
LEAF static void print_node(FILE *f, struct ph_cur *c, size_t behind, bool wide)
{
    char name[1024];
    size_t len = 0;
    struct ph_cur atom = *c;
    ph_etf_atom(c, name, sizeof name, &len);
    uint32_t creation = wide ? get32(c->p + behind) : c->p[behind];
    if (creation == PH_CTL_CREATION && strcmp(name, PH_CTL_NODE) == 0) {
        fputc('0', f);
        return;
    }
    print_atom(f, &atom);
    if (creation)
        fprintf(f, "/%u", creation);
}

static void print_pid(FILE *f, struct ph_cur *c)
{
    bool wide = *c->p++ == ERL_NEW_PID_EXT;
    fputc('<', f);
    print_node(f, c, 8, wide);
    fprintf(f, ".%u.%u>", get32(c->p), get32(c->p + 4));
    c->p += wide ? 12 : 9;
}

static void print_port(FILE *f, struct ph_cur *c)
{
    uint8_t tag = *c->p++;
    size_t id_size = tag == ERL_V4_PORT_EXT ? 8 : 4;
    fputs("#Port<", f);
    print_node(f, c, id_size, tag != ERL_PORT_EXT);
    uint64_t id = get32(c->p);
    if (id_size == 8)
        id = id << 32 | get32(c->p + 4);
    fprintf(f, ".%llu>", (unsigned long long)id);
    c->p += id_size + (tag == ERL_PORT_EXT ? 1 : 4);
}

static void print_ref(FILE *f, struct ph_cur *c)
{
    uint8_t tag = *c->p++;
    unsigned words = 1;
    size_t creation = 4;
    if (tag != ERL_REFERENCE_EXT) {
        words = (unsigned)c->p[0] << 8 | c->p[1];
        creation = tag == ERL_NEWER_REFERENCE_EXT ? 4 : 1;
        c->p += 2;
    }
    fputs("#Ref<", f);
    print_node(f, c, tag == ERL_REFERENCE_EXT ? 4 : 0, tag == ERL_NEWER_REFERENCE_EXT);
    const uint8_t *id = c->p + (tag == ERL_REFERENCE_EXT ? 0 : creation);
    for (unsigned i = words; i > 0; i--)
        fprintf(f, ".%u", get32(id + (i - 1) * 4));
    fputc('>', f);
    c->p += words * 4 + (tag == ERL_NEWER_REFERENCE_EXT ? 4 : 1);
}

static void print_export(FILE *f, struct ph_cur *c)
{
    c->p++;
    fputs("fun ", f);
    print_atom(f, c);
    fputc(':', f);
    print_atom(f, c);
    fputc('/', f);
    print(f, c);
}

/* The module and numbers of a fun as the shell shows them; funs cannot be read. */
static void print_fun(FILE *f, struct ph_cur *c)
{
    struct ph_cur q = {c->p + 30, c->end}; /* behind size, arity, hash, index and count */
    fputs("#Fun<", f);
    print_atom(f, &q);
    fputc('.', f);
    print(f, &q);
    fputc('.', f);
    print(f, &q);
    fputc('>', f);
    ph_etf_skip(c, PH_PRINT_DEPTH);
}

/* ---- the whole ---- */

static void print(FILE *f, struct ph_cur *c)
{
    static void (*const by_tag[256])(FILE *, struct ph_cur *) = {
        [ERL_SMALL_INTEGER_EXT] = print_number, [ERL_INTEGER_EXT] = print_number,
        [ERL_SMALL_BIG_EXT] = print_number,     [ERL_LARGE_BIG_EXT] = print_number,
        [ERL_FLOAT_EXT] = print_number,         [NEW_FLOAT_EXT] = print_number,
        [ERL_ATOM_EXT] = print_atom,            [ERL_SMALL_ATOM_EXT] = print_atom,
        [ERL_ATOM_UTF8_EXT] = print_atom,       [ERL_SMALL_ATOM_UTF8_EXT] = print_atom,
        [ERL_NIL_EXT] = print_list,             [ERL_STRING_EXT] = print_list,
        [ERL_LIST_EXT] = print_list,            [ERL_BIT_BINARY_EXT] = print_bits,
        [ERL_SMALL_TUPLE_EXT] = print_tuple,    [ERL_LARGE_TUPLE_EXT] = print_tuple,
        [ERL_MAP_EXT] = print_map,              [ERL_PID_EXT] = print_pid,
        [ERL_NEW_PID_EXT] = print_pid,          [ERL_PORT_EXT] = print_port,
        [ERL_NEW_PORT_EXT] = print_port,        [ERL_V4_PORT_EXT] = print_port,
        [ERL_REFERENCE_EXT] = print_ref,        [ERL_NEW_REFERENCE_EXT] = print_ref,
        [ERL_NEWER_REFERENCE_EXT] = print_ref,  [ERL_EXPORT_EXT] = print_export,
        [ERL_NEW_FUN_EXT] = print_fun,
    };
    struct ph_slice bytes;
    ph_term_pass_empty_heads(c);
    if (ph_etf_binary(c, &bytes) == 0)
        print_binary(f, bytes);
    else
        by_tag[c->p[0]](f, c);
}

int ph_term_print_escaped(FILE *f, struct ph_slice term)
{
    escaped = true;
    int result = ph_term_print(f, term);
    escaped = false;
    return result;
}

int ph_term_print(FILE *f, struct ph_slice term)
{
    struct ph_cur c = {term.p, term.p + term.len}, check = c;
    if (ph_etf_skip(&check, PH_PRINT_DEPTH) < 0 || check.p != check.end)
        return -1;
    print(f, &c);
    return 0;
}
