/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the memory of driver binaries. The driver sees an ErlDrvBinary; its count stands in the word before it. Any thread.
 *
 *     block -> | refc (8) | orig_size (8) | orig_bytes ... |        malloc aligns blocks to 16, so orig_bytes is 16-aligned
 */
#include "base/bin.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct block {
    _Atomic ErlDrvSInt refc;
    ErlDrvBinary bin;
};

_Static_assert(offsetof(struct block, bin) == sizeof(ErlDrvSInt), "nothing between the count and the binary");
_Static_assert(offsetof(struct block, bin.orig_bytes) % 8 == 0, "the data is 8-aligned");

static struct block *block_of(const ErlDrvBinary *b)
{
    return (struct block *)((char *)(uintptr_t)b - offsetof(struct block, bin));
}

/* 0 if there can be no such binary: orig_size is signed. */
static size_t block_size(size_t size)
{
    size_t head = offsetof(struct block, bin.orig_bytes);
    if (size > PTRDIFF_MAX - head) {
        return 0;
    }
    return head + size < sizeof(struct block) ? sizeof(struct block) : head + size;
}

ErlDrvBinary *ph_bin_new(size_t size)
{
    return ph_bin_realloc(NULL, size);
}

ErlDrvBinary *ph_bin_realloc(ErlDrvBinary *b, size_t size)
{
    size_t total = block_size(size);
    struct block *block = total == 0 ? NULL : ph_realloc_try(b == NULL ? NULL : block_of(b), total);
    if (block == NULL) {
        return NULL;
    }
    if (b == NULL) {
        atomic_init(&block->refc, 1);
    }
    block->bin.orig_size = (ErlDrvSInt)size;
    return &block->bin;
}

/* Relaxed: whoever takes a reference already has one, so the count cannot be on its way to 0. */
ErlDrvSInt ph_bin_inc(ErlDrvBinary *b)
{
    return atomic_fetch_add_explicit(&block_of(b)->refc, 1, memory_order_relaxed) + 1;
}

/* Release and acquire: all that others did with the data comes before the free of the last one. */
ErlDrvSInt ph_bin_dec(ErlDrvBinary *b)
{
    return atomic_fetch_sub_explicit(&block_of(b)->refc, 1, memory_order_acq_rel) - 1;
}

ErlDrvSInt ph_bin_refc(const ErlDrvBinary *b)
{
    return atomic_load_explicit(&block_of(b)->refc, memory_order_acquire);
}

ErlDrvBinary *ph_bin_ref(ErlDrvBinary *b)
{
    ph_bin_inc(b);
    return b;
}

void ph_bin_unref(void *p)
{
    ErlDrvBinary *b = p;
    if (b != NULL && ph_bin_dec(b) == 0) {
        ph_free(block_of(b));
    }
}
