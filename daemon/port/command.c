/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: iodata from a frame to outputv (as references into the frame) or output (flat). In the port's lock. */
#include <ei.h>
#include <string.h>

#include "base/bin.h"
#include "base/flood.h"
#include "base/mem.h"
#include "port/callback.h"
#include "port/flat.h"
#include "port/misuse.h"
#include "port/op.h"

#define BINARY_HEAD 5u       /* bytes: tag and size */
#define SHARE_OVER 64u       /* binaries of more bytes get an element of their own ... */
#define SHARE_OVER_MANY 255u /* ... or of more than these, if there would be many */
#define MANY 16
#define ON_STACK 16

/* Building an ErlIOVec in two passes: count, then fill. */
struct vec {
    size_t share_over;
    int n;              /* elements so far, the reserved first one included */
    size_t common_size; /* bytes of small pieces */
    bool in_common;     /* the last element lies in the common binary */
    SysIOVec *iov;      /* NULL in the first pass */
    ErlDrvBinary **binv;
    ErlDrvBinary *common, *frame;
};

static void add_small(void *arg, const uint8_t *p, size_t len)
{
    struct vec *v = arg;
    if (len == 0)
        return;
    if (v->iov) {
        char *to = v->common->orig_bytes + v->common_size;
        memcpy(to, p, len);
        if (v->in_common)
            v->iov[v->n - 1].iov_len += len;
        else
            v->iov[v->n] = (SysIOVec){.iov_base = to, .iov_len = len};
        v->binv[v->n - v->in_common] = v->common;
    }
    v->n += !v->in_common;
    v->in_common = true;
    v->common_size += len;
}

static void add_binary(void *arg, const uint8_t *p, size_t len)
{
    struct vec *v = arg;
    if (len <= v->share_over) {
        add_small(v, p, len);
        return;
    }
    if (v->iov) {
        v->iov[v->n] = (SysIOVec){.iov_base = (void *)(uintptr_t)p, .iov_len = len};
        v->binv[v->n] = v->frame;
    }
    v->n++;
    v->in_common = false;
}

static int walk(struct vec *v, struct ph_slice data)
{
    struct ph_iodata_sink sink = {add_small, add_binary, v};
    struct ph_cur c = {data.p, data.p + data.len};
    v->n = 1;
    v->common_size = 0;
    v->in_common = false;
    return ph_iodata_each(&c, &sink);
}

/* A lone empty binary is the one thing that gets an empty element. */
static bool is_empty_binary(struct ph_slice data)
{
    struct ph_cur c = {data.p, data.p + data.len};
    struct ph_slice bin;
    return ph_etf_binary(&c, &bin) == 0 && bin.len == 0;
}

/* The commonest command: one binary that is not empty. (The data is known to be one whole term.) */
static bool is_one_binary(struct ph_slice data, struct ph_slice *bin)
{
    if (data.len <= BINARY_HEAD || data.p[0] != ERL_BINARY_EXT)
        return false;
    *bin = (struct ph_slice){data.p + BINARY_HEAD, data.len - BINARY_HEAD};
    return true;
}

static void call_checked(struct ph_port *p, ErlDrvTermData caller, ErlIOVec *ev)
{
    struct ph_vector_copy copy;
    ph_vector_keep(&copy, ev);
    ph_callback_outputv(p, caller, ev);
    ph_vector_compare(p, &copy, ev);
}

static void call_outputv(struct ph_port *p, ErlDrvTermData caller, ErlIOVec *ev)
{
    if (ph_checking())
        call_checked(p, caller, ev);
    else
        ph_callback_outputv(p, caller, ev);
}

/* A command has no answer, and what it carries must not be lost in silence: its connection ends. */
static void no_memory(struct ph_port *p, size_t size)
{
    struct ph_where where;
    ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_ERROR, ph_port_where(p, &where), "no memory for a command of %zu bytes", size);
    ph_peer_starve(p->peer);
}

static void outputv(struct ph_port *p, ErlDrvTermData caller, struct ph_slice data, ErlDrvBinary *frame, size_t size)
{
    SysIOVec small_iov[ON_STACK];
    ErlDrvBinary *small_binv[ON_STACK];
    void *heap = NULL;
    struct vec v = {.share_over = SHARE_OVER, .frame = frame};
    walk(&v, data);
    if (v.n >= MANY) {
        v.share_over = SHARE_OVER_MANY;
        walk(&v, data);
    }
    bool empty = is_empty_binary(data), many = v.n + empty > ON_STACK;
    size_t n = (size_t)v.n + 1;
    v.common = v.common_size ? ph_bin_new(v.common_size) : NULL;
    if ((v.common_size && !v.common) || (many && !(heap = ph_alloc_try(n * (sizeof *v.iov + sizeof(ErlDrvBinary *)))))) {
        ph_bin_unref(v.common);
        no_memory(p, size);
        return;
    }
    v.iov = many ? heap : small_iov;
    v.binv = many ? (ErlDrvBinary **)(void *)(v.iov + n) : small_binv;
    v.iov[0] = v.iov[1] = (SysIOVec){0};
    v.binv[0] = v.binv[1] = NULL;
    walk(&v, data);
    if (empty)
        v.iov[v.n++].iov_base = (void *)(uintptr_t)data.p;
    call_outputv(p, caller, &(ErlIOVec){.vsize = v.n, .size = size, .iov = v.iov, .binv = v.binv});
    ph_bin_unref(v.common);
    ph_free(heap);
}

static void outputv_one(struct ph_port *p, ErlDrvTermData caller, struct ph_slice bin, ErlDrvBinary *frame)
{
    SysIOVec iov[2] = {{0}, {.iov_base = (void *)(uintptr_t)bin.p, .iov_len = bin.len}};
    ErlDrvBinary *binv[2] = {NULL, frame};
    ErlIOVec ev = {.vsize = 2, .size = bin.len, .iov = iov, .binv = binv};
    if (bin.len > SHARE_OVER) {
        call_outputv(p, caller, &ev);
        return;
    }
    ErlDrvBinary *copy = ph_bin_new(bin.len);
    if (!copy) {
        no_memory(p, bin.len);
        return;
    }
    iov[1].iov_base = memcpy(copy->orig_bytes, bin.p, bin.len);
    binv[1] = copy;
    call_outputv(p, caller, &ev);
    ph_bin_unref(copy);
}

static void count_bytes(struct ph_port *p, size_t n)
{
    ph_stat_add(&p->stats.output, n);
    ph_driver_count(p->driver->slot, PH_DRIVER_BYTES_TO, n);
}

void ph_port_command(struct ph_port *p, ErlDrvTermData caller, struct ph_slice data, ErlDrvBinary *frame)
{
    struct ph_slice bin;
    if (p->driver->entry.outputv && is_one_binary(data, &bin)) {
        count_bytes(p, bin.len);
        outputv_one(p, caller, bin, frame);
        return;
    }
    struct ph_flat flat;
    size_t size;
    struct ph_where where;
    if (ph_iodata_size((struct ph_cur){data.p, data.p + data.len}, &size)) {
        ph_log_flood(PH_FLOOD_CLIENTS, PH_LOG_WARNING, ph_port_where(p, &where), "a command that is not iodata is dropped");
        return;
    }
    count_bytes(p, size);
    if (p->driver->entry.outputv) {
        outputv(p, caller, data, frame, size);
    } else if (ph_flat_get(&flat, data) == 0) {
        ph_callback_output(p, caller, flat.p, flat.len);
        ph_flat_free(&flat);
    } else {
        no_memory(p, size);
    }
}

void ph_op_command(struct ph_op *op)
{
    ph_port_command(op->port, op->caller, op->data, op->frame);
}
