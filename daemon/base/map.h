/* SPDX-License-Identifier: Apache-2.0 */
/* A map from 64-bit integers to pointers: open addressing, no memory while empty. The keys may be chosen by who means harm (base/hash). Not thread-safe: its owner's lock
 * guards it. */
#ifndef PH_MAP_H
#define PH_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ph_map {
    struct ph_map_entry {
        uint64_t key;
        void *value; /* NULL: free */
    } *entries;
    size_t n, cap; /* cap: 0 or a power of two */
};

void *ph_map_get(const struct ph_map *m, uint64_t key);             /* NULL: not there */
bool ph_map_put(struct ph_map *m, uint64_t key, void *value);       /* value not NULL; key not there yet. False: no memory, the map stays as it was */
void *ph_map_del(struct ph_map *m, uint64_t key);                   /* the value, or NULL; gives memory back when mostly empty */
void ph_map_each(const struct ph_map *m, void (*fn)(void *value, void *arg), void *arg); /* fn must not change the map */
void ph_map_clear(struct ph_map *m);                                /* frees the memory, not the values */

#endif
