/* SPDX-License-Identifier: Apache-2.0 */
/* Linear probing with deletion by moving back, so that there are no tombstones and a map that served millions of keys stays small. Keys are hashed under a secret,
 * and the order of ph_map_each must not become known to who chooses them: neighbours would tell which keys lie together. */
#include "base/map.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define MIN_CAP 8u

static unsigned home_shift(const struct ph_map *m)
{
    return (unsigned)__builtin_clzll(m->cap) + 1; /* cap is a power of two, MIN_CAP at least */
}

static size_t home(const struct ph_map *m, uint64_t key)
{
    return (size_t)(ph_hash_word(key) >> home_shift(m));
}

static size_t find(const struct ph_map *m, uint64_t key)
{
    size_t i = home(m, key);
    while (m->entries[i].value && m->entries[i].key != key)
        i = (i + 1) & (m->cap - 1);
    return i;
}

/* False: no memory, the map is as it was. */
static bool resize(struct ph_map *m, size_t cap)
{
    struct ph_map old = *m;
    struct ph_map_entry *entries = ph_calloc_try(cap, sizeof *entries);
    if (!entries)
        return false;
    m->entries = entries;
    m->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.entries[i].value)
            m->entries[find(m, old.entries[i].key)] = old.entries[i];
    ph_free(old.entries);
    return true;
}

void *ph_map_get(const struct ph_map *m, uint64_t key)
{
    return m->cap ? m->entries[find(m, key)].value : NULL;
}

bool ph_map_put(struct ph_map *m, uint64_t key, void *value)
{
    /* Without memory for more, it is filled further than is good for its speed, but for one entry: searches end there. */
    if ((m->n + 1) * 8 > m->cap * 7 && !resize(m, m->cap ? m->cap * 2 : MIN_CAP) && m->n + 1 >= m->cap)
        return false;
    m->entries[find(m, key)] = (struct ph_map_entry){key, value};
    m->n++;
    return true;
}

void *ph_map_del(struct ph_map *m, uint64_t key)
{
    if (!m->cap)
        return NULL;
    size_t hole = find(m, key), mask = m->cap - 1;
    void *value = m->entries[hole].value;
    if (!value)
        return NULL;
    for (size_t i = (hole + 1) & mask; m->entries[i].value; i = (i + 1) & mask) {
        size_t h = home(m, m->entries[i].key);
        if (((i - h) & mask) >= ((i - hole) & mask)) {
            m->entries[hole] = m->entries[i];
            hole = i;
        }
    }
    m->entries[hole].value = NULL;
    if (--m->n == 0)
        ph_map_clear(m);
    else if (m->cap > MIN_CAP && m->n * 8 < m->cap)
        resize(m, m->cap / 2);
    return value;
}

void ph_map_each(const struct ph_map *m, void (*fn)(void *value, void *arg), void *arg)
{
    for (size_t i = 0; i < m->cap; i++)
        if (m->entries[i].value)
            fn(m->entries[i].value, arg);
}

void ph_map_clear(struct ph_map *m)
{
    ph_free(m->entries);
    memset(m, 0, sizeof *m);
}
