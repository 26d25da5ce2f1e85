/* SPDX-License-Identifier: Apache-2.0 */
/* The host's allocator: malloc with a rule for when it fails (mem.h). Keeps no state, called from any thread. */
#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/reserve.h"

/* malloc(0) may answer NULL, which here means out of memory. */
static size_t at_least_one(size_t size)
{
    return size == 0 ? 1 : size;
}

void *ph_alloc_try(size_t size)
{
    return malloc(at_least_one(size));
}

void *ph_calloc_try(size_t n, size_t size)
{
    return calloc(at_least_one(n), at_least_one(size));
}

/* What is in the reserve goes to malloc's memory. */
static void *leave_reserve(void *p, size_t size)
{
    void *q = ph_alloc_try(size);
    if (q != NULL) {
        memcpy(q, p, size < PH_RESERVE_BLOCK ? size : PH_RESERVE_BLOCK);
        ph_reserve_give(p);
    }
    return q;
}

void *ph_realloc_try(void *p, size_t size)
{
    return ph_reserve_has(p) ? leave_reserve(p, size) : realloc(p, at_least_one(size));
}

char *ph_strdup_try(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = ph_alloc_try(size);
    return copy == NULL ? NULL : memcpy(copy, s, size);
}

static void *from_reserve(size_t size)
{
    void *p = ph_reserve_take(size);
    if (p == NULL) {
        ph_fatal("out of memory: %zu bytes", size);
    }
    return p;
}

void *ph_alloc(size_t size)
{
    void *p = ph_alloc_try(size);
    return p == NULL ? from_reserve(size) : p;
}

void *ph_calloc(size_t n, size_t size)
{
    void *p = ph_calloc_try(n, size);
    if (p == NULL) {
        size_t total;
        if (__builtin_mul_overflow(n, size, &total)) {
            ph_fatal("out of memory: %zu times %zu bytes", n, size);
        }
        p = memset(from_reserve(total), 0, total);
    }
    return p;
}

void *ph_realloc(void *p, size_t size)
{
    void *q = ph_realloc_try(p, size);
    if (q == NULL && p != NULL) {
        ph_fatal("out of memory: %zu bytes", size);
    }
    return q == NULL ? from_reserve(size) : q;
}

char *ph_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    return memcpy(ph_alloc(size), s, size);
}

void ph_free(void *p)
{
    if (ph_reserve_has(p)) {
        ph_reserve_give(p);
    } else {
        free(p);
    }
}

bool ph_mem_is_watched(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "vgpreload_memcheck") != NULL;
#endif
}

/* What is not of a file. 0: not known. */
static size_t resident_bytes(void)
{
    unsigned long all, resident = 0, of_files = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%lu %lu %lu", &all, &resident, &of_files) != 3)
        resident = of_files;
    if (f)
        fclose(f);
    return (size_t)(resident - of_files) * (size_t)sysconf(_SC_PAGESIZE);
}

bool ph_mem_keeps_much(void)
{
    struct mallinfo2 m = mallinfo2();
    return resident_bytes() > m.uordblks + m.hblkhd + PH_MEM_SPARE;
}

void ph_mem_give_back(void)
{
    malloc_trim(0);
}
