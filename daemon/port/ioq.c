/* SPDX-License-Identifier: Apache-2.0 */
/* The driver queue: owns the vector pair v, b of a struct ph_ioq, and in it one reference to each binary. Called by the
 * port, under its lock or its PDL; looks at no port. Sharing or copying a payload happens here only.
 *
 * v and b are one block of memory: cap entries of v, then cap of b. The elements stand at v[head .. head+n), with room on
 * both sides. When a side runs out they move to the middle, in a block at least twice as large unless half of this one is
 * free: at least cap/4 operations pay for each move, so an operation costs amortised O(1) at either end. */
#include "port/ioq.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "base/bin.h"
#include "base/mem.h"

#define CAP_FIRST 8
#define CAP_KEPT 16 /* an empty queue gives back more than this */
#define CAP_MAX (INT_MAX / 4)

enum end { HEAD, TAIL };

static void set_block(struct ph_ioq *q, SysIOVec *block, int cap)
{
    q->v = block;
    q->b = block == NULL ? NULL : (ErlDrvBinary **)(void *)(block + cap);
    q->cap = cap;
}

static void move_elements(struct ph_ioq *q, SysIOVec *v, ErlDrvBinary **b)
{
    if (q->n > 0) {
        memmove(v, q->v + q->head, (size_t)q->n * sizeof *v);
        memmove(b, q->b + q->head, (size_t)q->n * sizeof *b);
    }
}

static int grow(struct ph_ioq *q, int head, int cap)
{
    SysIOVec *block = ph_alloc_try((size_t)cap * (sizeof *q->v + sizeof *q->b));
    if (block == NULL) {
        return -1;
    }
    move_elements(q, block + head, (ErlDrvBinary **)(void *)(block + cap) + head);
    ph_free(q->v);
    set_block(q, block, cap);
    return 0;
}

/* Room for k more elements at one end. */
static int make_room(struct ph_ioq *q, enum end end, int k)
{
    int room = end == HEAD ? q->head : q->cap - q->head - q->n;
    if (k <= room) {
        return 0;
    }
    if (k > CAP_MAX - q->n) {
        return -1;
    }
    int need = q->n + k, cap = q->cap;
    while (cap < CAP_FIRST || need > cap / 2) {
        cap = cap < CAP_FIRST ? CAP_FIRST : cap * 2;
    }
    int head = (cap - need) / 2 + (end == HEAD ? k : 0);
    if (cap == q->cap) {
        move_elements(q, q->v + head, q->b + head);
    } else if (grow(q, head, cap) != 0) {
        return -1;
    }
    q->head = head;
    return 0;
}

/* The reference an element of the queue holds: the binary's own, or a copy of bytes that belong to nobody. */
static int hold(SysIOVec *v, ErlDrvBinary **b)
{
    if (*b != NULL) {
        ph_bin_ref(*b);
        return 0;
    }
    *b = ph_bin_new(v->iov_len);
    if (*b == NULL) {
        return -1;
    }
    memcpy((*b)->orig_bytes, v->iov_base, v->iov_len);
    v->iov_base = (*b)->orig_bytes;
    return 0;
}

/* Fills the k slots from `at` with the non-empty ones of the elements. All of them or none. */
static int fill(struct ph_ioq *q, int at, const SysIOVec *iov, ErlDrvBinary **binv, int k)
{
    for (int i = 0; i < k; iov++, binv += binv != NULL) {
        if (iov->iov_len == 0) {
            continue;
        }
        q->v[at + i] = *iov;
        q->b[at + i] = binv == NULL ? NULL : *binv;
        if (hold(&q->v[at + i], &q->b[at + i]) != 0) {
            while (i-- > 0) {
                ph_bin_unref(q->b[at + i]);
            }
            return -1;
        }
        i++;
    }
    return 0;
}

/* A block of elements goes in as a whole, its order kept, before or behind what is there. */
static int insert(struct ph_ioq *q, enum end end, const SysIOVec *iov, ErlDrvBinary **binv, int count)
{
    int k = 0;
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        k += iov[i].iov_len > 0;
        if (__builtin_add_overflow(bytes, iov[i].iov_len, &bytes)) {
            return -1;
        }
    }
    /* (size_t)-1 is what driver_deq and driver_sizeq answer for an error. */
    if (bytes >= SIZE_MAX - q->size || make_room(q, end, k) != 0 ||
        fill(q, end == HEAD ? q->head - k : q->head + q->n, iov, binv, k) != 0) {
        return -1;
    }
    q->head -= end == HEAD ? k : 0;
    q->n += k;
    q->size += bytes;
    return 0;
}

static int insert_bytes(struct ph_ioq *q, enum end end, const char *buf, size_t len)
{
    SysIOVec iov = {.iov_base = (char *)(uintptr_t)buf, .iov_len = len};
    return insert(q, end, &iov, NULL, 1);
}

static int insert_bin(struct ph_ioq *q, enum end end, ErlDrvBinary *b, size_t offset, size_t len)
{
    if (len == 0) {
        return 0;
    }
    size_t size = (size_t)b->orig_size;
    if (offset > size || len > size - offset) {
        return -1;
    }
    SysIOVec iov = {.iov_base = b->orig_bytes + offset, .iov_len = len};
    return insert(q, end, &iov, &b, 1);
}

/* The first element that is not wholly skipped is shortened where it stands: drivers see that in their vector. */
static int insert_vec(struct ph_ioq *q, enum end end, ErlIOVec *ev, size_t skip)
{
    if (skip >= ev->size) {
        return 0;
    }
    int i = 0;
    while (i < ev->vsize && ev->iov[i].iov_len <= skip) {
        skip -= ev->iov[i++].iov_len;
    }
    if (i >= ev->vsize) {
        return 0;
    }
    ev->iov[i].iov_base += skip;
    ev->iov[i].iov_len -= skip;
    return insert(q, end, ev->iov + i, ev->binv == NULL ? NULL : ev->binv + i, ev->vsize - i);
}

static void forget(struct ph_ioq *q)
{
    q->head = q->n = 0;
    q->size = 0;
    if (q->cap > CAP_KEPT) {
        ph_free(q->v);
        set_block(q, NULL, 0);
    }
}

void ph_ioq_clear(struct ph_ioq *q)
{
    for (int i = 0; i < q->n; i++) {
        ph_bin_unref(q->b[q->head + i]);
    }
    ph_free(q->v);
    *q = (struct ph_ioq){0};
}

int ph_ioq_enq(struct ph_ioq *q, const char *buf, size_t len)
{
    return insert_bytes(q, TAIL, buf, len);
}

int ph_ioq_pushq(struct ph_ioq *q, const char *buf, size_t len)
{
    return insert_bytes(q, HEAD, buf, len);
}

int ph_ioq_enq_bin(struct ph_ioq *q, ErlDrvBinary *b, size_t offset, size_t len)
{
    return insert_bin(q, TAIL, b, offset, len);
}

int ph_ioq_pushq_bin(struct ph_ioq *q, ErlDrvBinary *b, size_t offset, size_t len)
{
    return insert_bin(q, HEAD, b, offset, len);
}

int ph_ioq_enqv(struct ph_ioq *q, ErlIOVec *ev, size_t skip)
{
    return insert_vec(q, TAIL, ev, skip);
}

int ph_ioq_pushqv(struct ph_ioq *q, ErlIOVec *ev, size_t skip)
{
    return insert_vec(q, HEAD, ev, skip);
}

size_t ph_ioq_deq(struct ph_ioq *q, size_t n)
{
    if (n > q->size) {
        return (size_t)-1;
    }
    size_t left = q->size -= n;
    while (n > 0) {
        SysIOVec *first = &q->v[q->head];
        if (n < first->iov_len) {
            first->iov_base += n;
            first->iov_len -= n;
            return left;
        }
        n -= first->iov_len;
        ph_bin_unref(q->b[q->head]);
        q->head++;
        q->n--;
    }
    if (q->n == 0) {
        forget(q);
    }
    return left;
}

SysIOVec *ph_ioq_peek(struct ph_ioq *q, int *vlen)
{
    *vlen = q->n;
    return q->n == 0 ? NULL : q->v + q->head;
}

size_t ph_ioq_peekv(struct ph_ioq *q, ErlIOVec *ev)
{
    ev->iov = ph_ioq_peek(q, &ev->vsize);
    ev->binv = q->n == 0 ? NULL : q->b + q->head;
    ev->size = q->size;
    return q->size;
}
