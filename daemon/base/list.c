/* SPDX-License-Identifier: Apache-2.0 */
/* Short arrays of texts and ids: no order, found by looking at each. For whoever owns the struct. */
#include "base/list.h"

#include <string.h>

#include "base/mem.h"

void ph_strings_add(struct ph_strings *s, const char *text, size_t len)
{
    char *copy = ph_alloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    s->v = ph_realloc(s->v, (s->n + 1) * sizeof *s->v);
    s->v[s->n++] = copy;
}

bool ph_strings_have(const struct ph_strings *s, const char *text, size_t len)
{
    for (size_t i = 0; i < s->n; i++)
        if (strlen(s->v[i]) == len && memcmp(s->v[i], text, len) == 0)
            return true;
    return false;
}

void ph_strings_clear(struct ph_strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        ph_free(s->v[i]);
    ph_free(s->v);
    *s = (struct ph_strings){0};
}

void ph_ids_add(struct ph_ids *ids, uint32_t id)
{
    ids->v = ph_realloc(ids->v, (ids->n + 1) * sizeof *ids->v);
    ids->v[ids->n++] = id;
}

bool ph_ids_have(const struct ph_ids *ids, uint32_t id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (ids->v[i] == id)
            return true;
    return false;
}

void ph_ids_clear(struct ph_ids *ids)
{
    ph_free(ids->v);
    *ids = (struct ph_ids){0};
}
