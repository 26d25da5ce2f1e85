/* SPDX-License-Identifier: Apache-2.0 */
/* From a JSON value to a field, by the type of its key. Users and groups are looked up here, which may ask a server: not on a reactor. */
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "base/address.h"
#include "base/mem.h"
#include "config/keys.h"

static bool set_number(const struct ph_key *key, void *to, const json_t *v)
{
    json_int_t n = json_integer_value(v);
    if (!json_is_integer(v) || n < 0 || (uint64_t)n < key->least || (uint64_t)n > key->most)
        return false;
    *(uint64_t *)to = (uint64_t)n;
    return true;
}

static bool set_threads(const struct ph_key *key, void *to, const json_t *v)
{
    if (!json_is_string(v) || strcmp(json_string_value(v), "auto") != 0)
        return set_number(key, to, v);
    *(int64_t *)to = PH_AUTO;
    return true;
}

static bool set_choice(const struct ph_key *key, void *to, const json_t *v)
{
    unsigned i = 0;
    if (!json_is_string(v))
        return false;
    for (const char *p = key->choices;; p++, i++) {
        size_t n = strcspn(p, "|");
        if (strlen(json_string_value(v)) == n && memcmp(json_string_value(v), p, n) == 0) {
            *(unsigned *)to = i;
            return true;
        }
        p += n;
        if (!*p)
            return false;
    }
}

static bool is_path(const struct ph_key *key, const json_t *v)
{
    return json_is_string(v) && json_string_value(v)[0] == '/' && json_string_length(v) <= key->most;
}

static bool is_address(const struct ph_key *key, const json_t *v)
{
    return json_is_string(v) && !ph_address_wrong(json_string_value(v), key->type == PH_TYPE_NUMBERED ? PH_ADDRESS_SERVE : PH_ADDRESS_LISTEN);
}

static bool set_text(void *to, const json_t *v, bool good)
{
    char **text = to;
    if (!good && !json_is_null(v))
        return false;
    ph_free(*text);
    *text = good ? ph_strdup(json_string_value(v)) : NULL;
    return true;
}

static bool is_driver_name(const json_t *v)
{
    return json_is_string(v) && json_string_length(v) > 0 && !strchr(json_string_value(v), '/');
}

static bool set_strings(const struct ph_key *key, struct ph_strings *to, const json_t *v)
{
    struct ph_strings list = {0};
    size_t i;
    json_t *element;
    if (!json_is_array(v))
        return false;
    json_array_foreach(v, i, element) {
        if (key->type == PH_TYPE_PATHS ? !is_path(key, element) : !is_driver_name(element)) {
            ph_strings_clear(&list);
            return false;
        }
        ph_strings_add(&list, json_string_value(element), json_string_length(element));
    }
    ph_strings_clear(to);
    *to = list;
    return true;
}

static bool set_mode(uint64_t *to, const json_t *v)
{
    const char *s = json_is_string(v) ? json_string_value(v) : "";
    size_t n = strlen(s);
    uint64_t mode = 0;
    if (n < 3 || n > 4 || strspn(s, "01234567") != n)
        return false;
    for (; *s; s++)
        mode = mode * 8 + (uint64_t)(*s - '0');
    if (mode > 0777)
        return false;
    *to = mode;
    return true;
}

static bool id_of(const json_t *v, bool group, uint32_t *id)
{
    if (json_is_integer(v)) {
        json_int_t n = json_integer_value(v);
        *id = (uint32_t)n;
        return n >= 0 && n < PH_NOBODY;
    }
    if (!json_is_string(v))
        return false;
    const struct passwd *user = group ? NULL : getpwnam(json_string_value(v));
    const struct group *g = group ? getgrnam(json_string_value(v)) : NULL;
    *id = user ? user->pw_uid : g ? g->gr_gid : PH_NOBODY;
    return user || g;
}

static bool set_id(const struct ph_key *key, uint32_t *to, const json_t *v)
{
    uint32_t id = PH_NOBODY;
    if (!json_is_null(v) && !id_of(v, key->type == PH_TYPE_GROUP, &id))
        return false;
    *to = id;
    return true;
}

static bool set_ids(const struct ph_key *key, struct ph_ids *to, const json_t *v)
{
    struct ph_ids list = {0};
    uint32_t id;
    size_t i;
    json_t *element;
    if (!json_is_array(v))
        return false;
    json_array_foreach(v, i, element) {
        if (!id_of(element, key->type == PH_TYPE_GROUPS, &id)) {
            ph_ids_clear(&list);
            return false;
        }
        ph_ids_add(&list, id);
    }
    ph_ids_clear(to);
    *to = list;
    return true;
}

bool ph_value_set(const struct ph_key *key, void *to, const json_t *v)
{
    switch (key->type) {
    case PH_TYPE_BOOL:
        if (json_is_boolean(v))
            *(bool *)to = json_is_true(v);
        return json_is_boolean(v);
    case PH_TYPE_NUMBER:
        return set_number(key, to, v);
    case PH_TYPE_THREADS:
        return set_threads(key, to, v);
    case PH_TYPE_CHOICE:
        return set_choice(key, to, v);
    case PH_TYPE_PATH:
        return set_text(to, v, is_path(key, v));
    case PH_TYPE_ADDRESS:
    case PH_TYPE_NUMBERED:
        return set_text(to, v, is_address(key, v));
    case PH_TYPE_PATHS:
    case PH_TYPE_NAMES:
        return set_strings(key, to, v);
    case PH_TYPE_MODE:
        return set_mode(to, v);
    case PH_TYPE_USER:
    case PH_TYPE_GROUP:
        return set_id(key, to, v);
    case PH_TYPE_USERS:
    case PH_TYPE_GROUPS:
        return set_ids(key, to, v);
    default: /* objects and their arrays are the file's business */
        return key->type == PH_TYPE_LISTENERS ? json_is_array(v) : json_is_object(v);
    }
}

void ph_value_clear(const struct ph_key *key, void *to)
{
    switch (key->type) {
    case PH_TYPE_PATH:
    case PH_TYPE_ADDRESS:
    case PH_TYPE_NUMBERED:
        ph_free(*(char **)to);
        *(char **)to = NULL;
        break;
    case PH_TYPE_PATHS:
    case PH_TYPE_NAMES:
        ph_strings_clear(to);
        break;
    case PH_TYPE_USERS:
    case PH_TYPE_GROUPS:
        ph_ids_clear(to);
        break;
    default:
        break;
    }
}

bool ph_value_equal(const struct ph_key *key, const void *a, const void *b)
{
    return memcmp(a, b, ph_value_size(key)) == 0;
}

size_t ph_value_size(const struct ph_key *key)
{
    bool is_number = key->type == PH_TYPE_NUMBER || key->type == PH_TYPE_THREADS;
    return is_number ? sizeof(uint64_t) : key->type == PH_TYPE_BOOL ? sizeof(bool) : 0;
}
