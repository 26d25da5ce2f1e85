/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what happens without memory. Called by all of script/. */
#include "script/memory.h"

#include <stdlib.h>
#include <string.h>

#include "cli.h"

void ph_script_need(bool there_was_memory)
{
    if (there_was_memory)
        return;
    ph_complain("there is no memory for this script");
    exit(PH_EXIT_FAILED);
}

void *ph_script_alloc(size_t size)
{
    void *p = calloc(1, size);
    ph_script_need(p != NULL);
    return p;
}

void *ph_script_grow(void *array, size_t n, size_t size)
{
    if (n & (n - 1))
        return array;
    void *p = reallocarray(array, n ? n * 2 : 1, size);
    ph_script_need(p != NULL);
    return p;
}

char *ph_script_copy(struct ph_text t)
{
    char *p = strndup(t.p, t.len);
    ph_script_need(p != NULL);
    return p;
}

FILE *ph_script_stream(char **text, size_t *len)
{
    FILE *f = open_memstream(text, len);
    ph_script_need(f != NULL);
    return f;
}
