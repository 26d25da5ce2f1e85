/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that a configuration is made of. The owner of the struct owns what is in it. */
#ifndef PH_LIST_H
#define PH_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ph_strings {
    char **v; /* each malloc'd */
    size_t n;
};

struct ph_ids { /* users or groups */
    uint32_t *v;
    size_t n;
};

void ph_strings_add(struct ph_strings *s, const char *text, size_t len); /* a copy */
bool ph_strings_have(const struct ph_strings *s, const char *text, size_t len);
void ph_strings_clear(struct ph_strings *s);
void ph_ids_add(struct ph_ids *ids, uint32_t id);
bool ph_ids_have(const struct ph_ids *ids, uint32_t id);
void ph_ids_clear(struct ph_ids *ids);

#endif
