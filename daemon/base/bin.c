/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the memory of driver binaries. The driver sees an ErlDrvBinary; its count stands in the word before it. Any thread.
 *
 *     block -> | refc (4) | pooled (4) | orig_size (8) | orig_bytes ... |        blocks are aligned to 16, and so are orig_bytes
 */
#include "base/bin.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"

struct block {
    _Atomic int32_t refc;
    uint32_t pooled; /* bytes of the block, if it is from the pool; else 0 */
    ErlDrvBinary bin;
};

_Static_assert(offsetof(struct block, bin) == PH_BIN_HEAD, "nothing between the count and the binary");
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

static void *plain_alloc(size_t total, size_t used)
{
    (void)used;
    return ph_alloc_try(total);
}

static void *plain_realloc(void *block, size_t total, size_t used)
{
    (void)used;
    return ph_realloc_try(block, total);
}

/* How memory is had: set before there are threads. */
static size_t pool_max = PH_POOL_MAX;
static struct ph_bin_memory memory = {plain_alloc, plain_realloc, ph_free};

void ph_bin_set_memory(const struct ph_bin_memory *m)
{
    memory = *m;
    pool_max = 0;
}

static size_t used_size(size_t size)
{
    return offsetof(struct block, bin.orig_bytes) + size;
}

ErlDrvBinary *ph_bin_new(size_t size)
{
    size_t total = block_size(size);
    bool pooled = total <= pool_max;
    struct block *block = total == 0 ? NULL : pooled ? ph_pool_alloc(total) : memory.alloc(total, used_size(size));
    if (block == NULL) {
        return NULL;
    }
    atomic_init(&block->refc, 1);
    block->pooled = pooled ? (uint32_t)total : 0;
    block->bin.orig_size = (ErlDrvSInt)size;
    return &block->bin;
}

static void free_block(struct block *block)
{
    if (block->pooled) {
        ph_pool_free(block, block->pooled);
    } else {
        memory.free(block);
    }
}

/* From the pool to malloc: a binary that grows is no small one. */
static struct block *leave_pool(struct block *old, size_t total)
{
    struct block *block = ph_alloc_try(total);
    if (block != NULL) {
        memcpy(block, old, total < old->pooled ? total : old->pooled);
        block->pooled = 0;
        free_block(old);
    }
    return block;
}

ErlDrvBinary *ph_bin_realloc(ErlDrvBinary *b, size_t size)
{
    if (b == NULL) {
        return ph_bin_new(size);
    }
    size_t total = block_size(size);
    struct block *old = block_of(b);
    struct block *block = total == 0 ? NULL : old->pooled ? leave_pool(old, total) : memory.realloc(old, total, used_size(size));
    if (block == NULL) {
        return NULL;
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
        free_block(block_of(b));
    }
}
