/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys as data. Constant: any thread. */
#include "config/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ANY
#define RANGE(low, high) .least = low, .most = high,
#define UP_TO(high) .most = high,
#define ONE_OF(list) .choices = list,
#define IN(name) .inner = PH_IN_##name,
#define RELOAD false
#define RESTART true

const struct ph_key ph_keys[] = {
#define X(in, key, kind, owner, field, detail, value, when) \
    {.section = PH_IN_##in, .name = #key, .type = PH_TYPE_##kind, .offset = offsetof(struct owner, field), detail .preset = value, .restart = when},
    PH_CONFIG_KEYS(X)
#undef X
};

const size_t ph_key_count = sizeof ph_keys / sizeof *ph_keys;

const struct ph_key *ph_key_find(enum ph_section section, const char *name)
{
    for (size_t i = 0; i < ph_key_count; i++)
        if (ph_keys[i].section == section && strcmp(ph_keys[i].name, name) == 0)
            return &ph_keys[i];
    return NULL;
}

const char *ph_section_prefix(enum ph_section section)
{
    static const char *const prefixes[] = {
        [PH_IN_ROOT] = "",       [PH_IN_LISTENER] = "listeners[].", [PH_IN_DRIVER] = "drivers.NAME.",
        [PH_IN_STACK] = "stack_kib.", [PH_IN_LIMITS] = "limits.",   [PH_IN_LOG] = "log.",
    };
    return prefixes[section];
}

static void describe_choices(const char *choices, char *buf, size_t size)
{
    const char *before = "";
    buf[0] = '\0';
    for (const char *p = choices;; p++) {
        size_t n = strcspn(p, "|"), at = strlen(buf);
        snprintf(buf + at, size - at, "%s\"%.*s\"", before, (int)n, p);
        p += n;
        if (!*p)
            return;
        before = strchr(p + 1, '|') ? ", " : " or ";
    }
}

void ph_key_describe(const struct ph_key *key, char *buf, size_t size)
{
    static const char *const texts[] = {
        [PH_TYPE_SECTION] = "an object",
        [PH_TYPE_LISTENERS] = "an array of objects",
        [PH_TYPE_DRIVERS] = "an object with an object for each driver",
        [PH_TYPE_BOOL] = "true or false",
        [PH_TYPE_PATHS] = "an array of absolute paths",
        [PH_TYPE_ADDRESS] = "a string \"HOST:PORT\", the port from 0 to 65535 or the name of a service",
        [PH_TYPE_NUMBERED] = "a string \"HOST:PORT\", the port from 0 to 65535",
        [PH_TYPE_NAMES] = "an array of names of drivers",
        [PH_TYPE_MODE] = "a string of three or four octal digits, at most \"0777\"",
        [PH_TYPE_USER] = "the name or number of a user",
        [PH_TYPE_GROUP] = "the name or number of a group",
        [PH_TYPE_USERS] = "an array of names or numbers of users",
        [PH_TYPE_GROUPS] = "an array of names or numbers of groups",
    };
    if (key->type == PH_TYPE_CHOICE)
        describe_choices(key->choices, buf, size);
    else if (key->type == PH_TYPE_PATH)
        snprintf(buf, size, "an absolute path of at most %" PRIu64 " bytes", key->most);
    else if (key->type == PH_TYPE_NUMBER || key->type == PH_TYPE_THREADS)
        snprintf(buf, size, "an integer from %" PRIu64 " to %" PRIu64 "%s", key->least, key->most, key->type == PH_TYPE_THREADS ? " or \"auto\"" : "");
    else
        snprintf(buf, size, "%s", texts[key->type]);
}
