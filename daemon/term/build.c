/* SPDX-License-Identifier: Apache-2.0 */
/* The driver term format. Called by the term-sending functions of the driver API; owns nothing that outlives a call.
 *
 * A specification is a postfix program, the external format is prefix. Building takes two passes: the first finds where each
 * operation begins and how many operations make up its term, the second goes from the last operation, which is the
 * whole term, to its operands, with a list of what is still to be written instead of recursion. The operands of
 * operation i end at i - 1, at i - 1 - size[i - 1], and so on: last operand first. */
#include "term/build.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/bin.h"
#include "base/mem.h"
#include "term/canon.h"
#include "term/ext.h"
#include "term/words.h"

#define COPY_MAX 64u        /* bytes of a binary that are copied rather than referred to */
#define STRING_MAX 65535u   /* bytes of a STRING_EXT */
#define FEW_OPS 64u         /* specifications of so many operations need no memory from the heap */
#define FEW_PAIRS 32u       /* keys of so many pairs are compared each with each if they are atoms */
#define MAP_TAG 116         /* MAP_EXT */

/* Words after each tag, by tag. */
static const uint8_t arguments[] = {
    [ERL_DRV_NIL] = 0,     [ERL_DRV_ATOM] = 1,   [ERL_DRV_INT] = 1,         [ERL_DRV_PORT] = 1,     [ERL_DRV_BINARY] = 3,
    [ERL_DRV_STRING] = 2,  [ERL_DRV_TUPLE] = 1,  [ERL_DRV_LIST] = 1,        [ERL_DRV_STRING_CONS] = 2, [ERL_DRV_PID] = 1,
    [ERL_DRV_FLOAT] = 1,   [ERL_DRV_EXT2TERM] = 2, [ERL_DRV_UINT] = 1,      [ERL_DRV_BUF2BINARY] = 2, [ERL_DRV_INT64] = 1,
    [ERL_DRV_UINT64] = 1,  [ERL_DRV_MAP] = 1,
};

static const void *pointer(ErlDrvTermData word)
{
    return (const void *)word;
}

static bool binary_ok(const ErlDrvTermData *arg)
{
    const ErlDrvBinary *bin = pointer(arg[0]);
    return bin != NULL && arg[2] <= (ErlDrvTermData)bin->orig_size && arg[1] <= (ErlDrvTermData)bin->orig_size - arg[2];
}

static bool arguments_ok(ErlDrvTermData tag, const ErlDrvTermData *arg)
{
    switch (tag) {
    case ERL_DRV_ATOM: return ph_word_kind(arg[0]) == PH_WORD_ATOM;
    case ERL_DRV_PORT: return ph_word_kind(arg[0]) == PH_WORD_PORT;
    case ERL_DRV_PID: return ph_word_kind(arg[0]) == PH_WORD_PID;
    case ERL_DRV_BINARY: return binary_ok(arg);
    case ERL_DRV_STRING:
    case ERL_DRV_STRING_CONS: return arg[0] != 0 && arg[1] <= INT_MAX;
    case ERL_DRV_BUF2BINARY: return arg[0] != 0 || arg[1] == 0;
    case ERL_DRV_TUPLE:
    case ERL_DRV_MAP: return arg[0] <= INT_MAX;
    case ERL_DRV_LIST: return arg[0] >= 1 && arg[0] <= INT_MAX;
    case ERL_DRV_FLOAT:
    case ERL_DRV_INT64:
    case ERL_DRV_UINT64: return arg[0] != 0;
    case ERL_DRV_EXT2TERM: return arg[0] != 0 && arg[1] <= INT_MAX && ph_ext_check(pointer(arg[0]), arg[1]) == 0;
    default: return true;
    }
}

/* How many terms the operation takes from the stack; it always puts one there. */
static uint64_t operands(const ErlDrvTermData *op)
{
    switch (op[0]) {
    case ERL_DRV_STRING_CONS: return 1;
    case ERL_DRV_TUPLE:
    case ERL_DRV_LIST: return op[1];
    case ERL_DRV_MAP: return 2 * (uint64_t)op[1];
    default: return 0;
    }
}

int ph_build_check(const ErlDrvTermData *spec, int n)
{
    uint64_t depth = 0;
    int at = 0;

    if (spec == NULL)
        return -1;
    while (at < n) {
        const ErlDrvTermData *op = spec + at;
        if (op[0] < ERL_DRV_NIL || op[0] > ERL_DRV_MAP || arguments[op[0]] > n - at - 1)
            return -1;
        if (!arguments_ok(op[0], op + 1) || operands(op) > depth)
            return -1;
        depth = depth - operands(op) + 1;
        at += 1 + arguments[op[0]];
    }
    return depth == 1 ? 0 : -1;
}

bool ph_build_binaries(const ErlDrvTermData *spec, int n, bool (*fn)(const ErlDrvBinary *b, size_t offset, size_t len))
{
    for (int at = 0; spec && at < n; at += 1 + arguments[spec[at]]) {
        const ErlDrvTermData *op = spec + at;
        if (op[0] < ERL_DRV_NIL || op[0] > ERL_DRV_MAP || arguments[op[0]] > n - at - 1)
            return true;
        if (op[0] == ERL_DRV_BINARY && !fn(pointer(op[1]), op[3], op[2]))
            return false;
    }
    return true;
}

struct op {
    uint32_t at;   /* index of its tag in the specification */
    uint32_t size; /* operations in its term, with itself */
};

struct build {
    struct ph_wbuf *w;
    const ErlDrvTermData *spec;
    ph_port_term *port_term;
    struct op *ops;
    uint32_t *todo; /* operations to be written, the next one last: index << 1 | 1 if it continues a list */
    size_t ntodo;
    bool check_keys; /* there are maps whose keys must be compared in the finished term */
    bool failed;
};

static const ErlDrvTermData *op_words(const struct build *b, uint32_t i)
{
    return b->spec + b->ops[i].at;
}

static uint32_t count_ops(const ErlDrvTermData *spec, int n)
{
    uint32_t count = 0;
    for (int at = 0; at < n; at += 1 + arguments[spec[at]])
        count++;
    return count;
}

/* Every operation is an operand of at most one other, so this takes time proportional to n. */
static void find_ops(struct op *ops, const ErlDrvTermData *spec, int n)
{
    uint32_t i = 0;
    for (int at = 0; at < n; at += 1 + arguments[spec[at]], i++) {
        ops[i] = (struct op){(uint32_t)at, 1};
        for (uint64_t left = operands(spec + at); left > 0; left--)
            ops[i].size += ops[i - ops[i].size].size;
    }
}

static void later(struct build *b, uint32_t i, bool continues_list)
{
    b->todo[b->ntodo++] = i << 1 | continues_list;
}

/* The operands of i, to be written in order; the last one as the tail of a list if i is one. */
static void later_operands(struct build *b, uint32_t i, bool is_list)
{
    uint32_t operand = i - 1;
    for (uint64_t left = operands(op_words(b, i)); left > 0; left--) {
        later(b, operand, is_list && operand == i - 1);
        operand -= b->ops[operand].size;
    }
}

static void write_cells(struct build *b, const uint8_t *p, size_t len)
{
    uint8_t *out = ph_w_reserve(b->w, 2 * len);

    if (out == NULL)
        return;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = 97; /* SMALL_INTEGER_EXT */
        out[2 * i + 1] = p[i];
    }
    b->w->len += 2 * len;
}

/* A list as one sees it in the term, made by any number of operations, each of which is the tail of the one before. */
struct list {
    uint64_t cells;
    bool bytes;  /* made by STRING and STRING_CONS alone */
    bool proper;
};

static struct list measure_list(const struct build *b, uint32_t i)
{
    struct list l = {.bytes = true};
    for (;; i--) {
        const ErlDrvTermData *op = op_words(b, i);
        switch (op[0]) {
        case ERL_DRV_LIST:
            l.cells += op[1] - 1;
            l.bytes = l.bytes && op[1] == 1;
            break;
        case ERL_DRV_STRING_CONS: l.cells += op[2]; break;
        case ERL_DRV_STRING: l.cells += op[2]; l.proper = true; return l;
        default: l.proper = op[0] == ERL_DRV_NIL; return l;
        }
    }
}

/* All the bytes of a list that was found to be of bytes, proper, and short enough. */
static void write_string(struct build *b, uint32_t i, size_t len)
{
    uint8_t head[3] = {107, (uint8_t)(len >> 8), (uint8_t)len}; /* STRING_EXT */

    ph_w_raw(b->w, head, sizeof head);
    for (;; i--) {
        const ErlDrvTermData *op = op_words(b, i);
        if (op[0] == ERL_DRV_STRING || op[0] == ERL_DRV_STRING_CONS)
            ph_w_raw(b->w, pointer(op[1]), op[2]);
        if (op[0] == ERL_DRV_STRING || op[0] == ERL_DRV_NIL)
            return;
    }
}

/* The cells of one operation of a list whose header is written. */
static void write_list_part(struct build *b, uint32_t i)
{
    const ErlDrvTermData *op = op_words(b, i);

    if (op[0] != ERL_DRV_LIST)
        write_cells(b, pointer(op[1]), op[2]);
    if (op[0] == ERL_DRV_STRING)
        ph_w_nil(b->w);
    else
        later_operands(b, i, true);
}

static void write_list(struct build *b, uint32_t i)
{
    struct list l = measure_list(b, i);

    if (l.cells > UINT32_MAX) {
        b->failed = true; /* there is no external format for it */
    } else if (l.cells == 0) {
        write_list_part(b, i);
    } else if (l.bytes && l.proper && l.cells <= STRING_MAX) {
        write_string(b, i, (size_t)l.cells);
    } else {
        ph_w_list(b->w, (uint32_t)l.cells);
        write_list_part(b, i);
    }
}

/* For the small maps with atoms as keys that drivers mostly make. -1: two keys are equal; 0: they differ; 1: not such a map. */
static int compare_atom_keys(const struct build *b, uint32_t i, uint64_t pairs)
{
    ErlDrvTermData keys[FEW_PAIRS];
    uint32_t operand = i - 1;

    if (pairs > FEW_PAIRS)
        return 1;
    for (uint64_t k = 0; k < pairs; k++) {
        uint32_t key = operand - b->ops[operand].size;
        const ErlDrvTermData *op = op_words(b, key);
        if (op[0] != ERL_DRV_ATOM)
            return 1;
        keys[k] = op[1];
        for (uint64_t other = 0; other < k; other++)
            if (keys[other] == keys[k])
                return -1;
        operand = key - 1;
    }
    return 0;
}

static void write_map(struct build *b, uint32_t i, uint64_t pairs)
{
    if (pairs >= 2) {
        int different = compare_atom_keys(b, i, pairs);
        b->failed = b->failed || different < 0;
        b->check_keys = b->check_keys || different > 0;
    }
    ph_w_map(b->w, (uint32_t)pairs);
    later_operands(b, i, false);
}

static void write_float(struct build *b, const void *p)
{
    double d;

    memcpy(&d, p, sizeof d);
    if (isfinite(d))
        ph_w_double(b->w, d);
    else
        b->failed = true;
}

static void write_binary(struct build *b, const ErlDrvTermData *arg)
{
    ErlDrvBinary *bin = (ErlDrvBinary *)arg[0];

    if (arg[1] <= COPY_MAX)
        ph_w_binary(b->w, bin->orig_bytes + arg[2], arg[1]);
    else
        ph_w_binary_ref(b->w, bin->orig_bytes + arg[2], arg[1], ph_bin_ref(bin));
}

static void write_ext(struct build *b, const ErlDrvTermData *arg)
{
    size_t from = b->w->len;

    if (ph_ext_append(b->w, pointer(arg[0]), arg[1]))
        b->failed = true;
    else if (memchr(b->w->buf + from, MAP_TAG, b->w->len - from) != NULL)
        b->check_keys = true;
}

static void write_int64(struct build *b, const ErlDrvTermData *op)
{
    ErlDrvSInt64 v;
    ErlDrvUInt64 u;

    memcpy(&v, pointer(op[1]), sizeof v);
    memcpy(&u, &v, sizeof u);
    if (op[0] == ERL_DRV_INT64)
        ph_w_int(b->w, v);
    else
        ph_w_uint(b->w, u);
}

/* What is written whole when it is met. */
static void write_leaf(struct build *b, const ErlDrvTermData *op)
{
    switch (op[0]) {
    case ERL_DRV_NIL: ph_w_nil(b->w); break;
    case ERL_DRV_ATOM:
    case ERL_DRV_PID: ph_w_word(b->w, op[1]); break;
    case ERL_DRV_PORT: b->port_term(b->w, op[1]); break;
    case ERL_DRV_INT: ph_w_int(b->w, (ErlDrvSInt)op[1]); break;
    case ERL_DRV_UINT: ph_w_uint(b->w, op[1]); break;
    case ERL_DRV_INT64:
    case ERL_DRV_UINT64: write_int64(b, op); break;
    case ERL_DRV_FLOAT: write_float(b, pointer(op[1])); break;
    case ERL_DRV_BINARY: write_binary(b, op + 1); break;
    case ERL_DRV_BUF2BINARY: ph_w_binary(b->w, pointer(op[1]), op[2]); break;
    case ERL_DRV_STRING: ph_w_string(b->w, pointer(op[1]), op[2]); break;
    default: write_ext(b, op + 1); break;
    }
}

static void write_op(struct build *b, uint32_t i, bool continues_list)
{
    const ErlDrvTermData *op = op_words(b, i);

    switch (op[0]) {
    case ERL_DRV_TUPLE:
        ph_w_tuple(b->w, (uint32_t)op[1]);
        later_operands(b, i, false);
        break;
    case ERL_DRV_MAP: write_map(b, i, op[1]); break;
    case ERL_DRV_LIST:
    case ERL_DRV_STRING_CONS:
        if (continues_list)
            write_list_part(b, i);
        else
            write_list(b, i);
        break;
    case ERL_DRV_STRING:
        if (continues_list) {
            write_list_part(b, i);
            break;
        }
        /* fall through */
    default: write_leaf(b, op); break;
    }
}

static int write_term(struct build *b, uint32_t nops)
{
    size_t len = b->w->len, nrefs = b->w->nrefs;

    later(b, nops - 1, false);
    while (b->ntodo > 0 && !b->failed && !b->w->failed) {
        uint32_t next = b->todo[--b->ntodo];
        write_op(b, next >> 1, next & 1);
    }
    if (b->failed || b->w->failed || (b->check_keys && ph_canon_check_keys(b->w, len, nrefs))) {
        ph_wbuf_truncate(b->w, len, nrefs);
        b->w->failed = false;
        return -1;
    }
    return 0;
}

int ph_build(struct ph_wbuf *w, const ErlDrvTermData *spec, int n, ph_port_term *port_term)
{
    struct op few_ops[FEW_OPS];
    uint32_t few_todo[FEW_OPS];
    struct build b = {.w = w, .spec = spec, .port_term = port_term, .ops = few_ops, .todo = few_todo};
    uint32_t nops = count_ops(spec, n);
    void *many = NULL;

    if (w->failed)
        return -1;
    if (nops > FEW_OPS) {
        many = ph_alloc_try(nops * (sizeof *b.ops + sizeof *b.todo));
        if (many == NULL)
            return -1;
        b.ops = many;
        b.todo = (uint32_t *)(b.ops + nops);
    }
    find_ops(b.ops, spec, n);
    int rc = write_term(&b, nops);
    ph_free(many);
    return rc;
}
