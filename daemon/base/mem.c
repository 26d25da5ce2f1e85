/* SPDX-License-Identifier: Apache-2.0 */
/* The host's allocator: malloc with a rule for when it fails (mem.h). Owns nothing, keeps no state, called from any thread. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* malloc(0) may answer NULL, which here means out of memory. */
static size_t at_least_one(size_t size)
{
    return size == 0 ? 1 : size;
}

void *ph_alloc_try(size_t size)
{
    return malloc(at_least_one(size));
}

void *ph_realloc_try(void *p, size_t size)
{
    return realloc(p, at_least_one(size));
}

void *ph_alloc(size_t size)
{
    void *p = ph_alloc_try(size);
    if (p == NULL) {
        ph_fatal("out of memory: %zu bytes", size);
    }
    return p;
}

void *ph_calloc(size_t n, size_t size)
{
    void *p = calloc(at_least_one(n), at_least_one(size));
    if (p == NULL) {
        ph_fatal("out of memory: %zu times %zu bytes", n, size);
    }
    return p;
}

void *ph_realloc(void *p, size_t size)
{
    void *q = ph_realloc_try(p, size);
    if (q == NULL) {
        ph_fatal("out of memory: %zu bytes", size);
    }
    return q;
}

char *ph_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    return memcpy(ph_alloc(size), s, size);
}

void ph_free(void *p)
{
    free(p);
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
