/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the configuration file: all errors are told, each with file, line, key and what was expected; then nothing of the file is used. May block (files,
 * users' names): not for reactors. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/trust.h"
#include "config/keys.h"

#define MAX_FILE (1u << 20) /* bytes */
#define MAX_DEPTH 8         /* levels down to a value that can be wrong */

/* A place in the file: the value and the objects and arrays around it. */
struct at {
    const struct at *up; /* NULL: the root */
    const char *key;     /* of an object's member, else NULL */
    size_t position;     /* among the members or elements */
};

struct reading {
    const char *file;
    char *text; /* NUL-terminated */
    unsigned errors;
};

static size_t path_of(const struct at *at, size_t *positions)
{
    size_t depth = at->up ? path_of(at->up, positions) : 0;
    if (at->up && depth < MAX_DEPTH)
        positions[depth++] = at->position;
    return depth;
}

static void write_keys(const struct at *at, char *buf, size_t size)
{
    if (!at->up)
        return;
    write_keys(at->up, buf, size);
    size_t n = strlen(buf);
    if (at->key)
        snprintf(buf + n, size - n, "%s%s", n ? "." : "", at->key);
    else
        snprintf(buf + n, size - n, "[%zu]", at->position);
}

static void complain(struct reading *r, const struct at *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void complain(struct reading *r, const struct at *at, const char *fmt, ...)
{
    char keys[256] = "", what[512];
    size_t positions[MAX_DEPTH], depth = path_of(at, positions);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    write_keys(at, keys, sizeof keys);
    ph_log(PH_LOG_ERROR, NULL, "%s:%u: %s%s%s", r->file, ph_json_line(r->text, positions, depth), keys, keys[0] ? ": " : "", what);
    r->errors++;
}

static void complain_of_value(struct reading *r, const struct at *at, const char *expected, const json_t *value)
{
    char *found = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    complain(r, at, "expected %s, found %.60s", expected, found ? found : "?");
    free(found);
}

static void complain_of_key(struct reading *r, const struct at *at, enum ph_section section)
{
    char known[400] = "";
    for (size_t i = 0; i < ph_key_count; i++)
        if (ph_keys[i].section == section) {
            size_t n = strlen(known);
            snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", ph_keys[i].name);
        }
    complain(r, at, "unknown key; expected one of %s", known);
}

/* The object has the key. */
static void complain_of_member(struct reading *r, const struct at *up, json_t *object, const char *key, const char *why)
{
    struct at at = {.up = up, .key = key};
    void *i = json_object_iter(object);
    for (; strcmp(json_object_iter_key(i), key) != 0; i = json_object_iter_next(object, i))
        at.position++;
    complain(r, &at, "%s", why);
}

/* --- sections --- */

static void *field(const struct ph_key *key, void *of)
{
    return (char *)of + key->offset;
}

static void section_defaults(enum ph_section section, void *of)
{
    for (size_t i = 0; i < ph_key_count; i++) {
        const struct ph_key *key = &ph_keys[i];
        if (key->section != section)
            continue;
        json_t *value = json_loads(key->preset, JSON_DECODE_ANY, NULL);
        if (key->type == PH_TYPE_SECTION)
            section_defaults(key->inner, of);
        else if (!value || !ph_value_set(key, field(key, of), value))
            ph_fatal("default of %s%s", ph_section_prefix(section), key->name);
        json_decref(value);
    }
}

static void section_clear(enum ph_section section, void *of)
{
    for (size_t i = 0; i < ph_key_count; i++)
        if (ph_keys[i].section == section)
            ph_value_clear(&ph_keys[i], field(&ph_keys[i], of));
}

static void read_section(struct reading *r, const struct at *at, enum ph_section section, void *of, json_t *object);

/* --- listeners --- */

static struct ph_access *new_listener(void)
{
    struct ph_access *a = ph_access_new();
    section_defaults(PH_IN_LISTENER, a);
    return a;
}

static void append_listener(struct ph_config *c, struct ph_access *a)
{
    c->listeners = ph_realloc(c->listeners, (c->listener_count + 1) * sizeof(struct ph_access *));
    c->listeners[c->listener_count++] = a;
}

struct ph_access *ph_config_add_listener(struct ph_config *c)
{
    append_listener(c, new_listener());
    return c->listeners[c->listener_count - 1];
}

void ph_config_drop_listeners(struct ph_config *c)
{
    for (size_t i = 0; i < c->listener_count; i++)
        ph_access_unref(c->listeners[i]);
    ph_free(c->listeners);
    c->listeners = NULL;
    c->listener_count = 0;
}

/* The last of the listeners; object: what it was read from. */
static void check_listener(struct reading *r, const struct at *at, const struct ph_config *c, json_t *object)
{
    static const char *const of_unix[] = {"mode", "owner", "group", "uids", "gids"};
    struct ph_access *a = c->listeners[c->listener_count - 1];
    size_t other = ph_config_same_place(c, c->listener_count - 1);
    char text[512];
    const char *why;
    if (!a->unix_path == !a->tcp)
        complain(r, at, "expected one of the keys \"unix\" and \"tcp\"");
    for (size_t i = 0; a->tcp && i < sizeof of_unix / sizeof *of_unix; i++)
        if (json_object_get(object, of_unix[i]))
            complain(r, at, "expected no key \"%s\": it is for unix sockets", of_unix[i]);
    if (other < c->listener_count - 1)
        complain(r, at, "expected another address than that of listeners[%zu]", other);
    if (a->cookie_file && !a->tcp)
        complain(r, at, "expected no key \"cookie_file\": it is for tcp");
    else if (!ph_access_read_cookie(a, text, sizeof text))
        complain(r, at, "cookie_file: %s", text);
    else if (a->tcp && (why = ph_config_wrong_tcp(a)))
        complain_of_member(r, at, object, "tcp", why);
}

static void read_listeners(struct reading *r, const struct at *up, struct ph_config *c, json_t *array)
{
    size_t i;
    json_t *element;
    json_array_foreach(array, i, element) {
        struct at at = {.up = up, .position = i};
        struct ph_access *a = new_listener();
        unsigned before = r->errors;
        read_section(r, &at, PH_IN_LISTENER, a, element);
        append_listener(c, a);
        if (r->errors == before)
            check_listener(r, &at, c, element);
    }
}

/* --- drivers --- */

static void read_drivers(struct reading *r, const struct at *up, struct ph_config *c, json_t *object)
{
    const char *name;
    json_t *value;
    size_t i = 0;
    c->drivers = ph_calloc(json_object_size(object), sizeof *c->drivers);
    json_object_foreach(object, name, value) {
        struct at at = {.up = up, .key = name, .position = i++};
        struct ph_driver_settings *d = &c->drivers[c->driver_count++];
        section_defaults(PH_IN_DRIVER, d);
        d->name = ph_strdup(name);
        if (!name[0] || strchr(name, '/'))
            complain(r, &at, "expected the name of a driver as key");
        read_section(r, &at, PH_IN_DRIVER, d, value);
    }
}

static void clear_drivers(struct ph_config *c)
{
    for (size_t i = 0; i < c->driver_count; i++) {
        section_clear(PH_IN_DRIVER, &c->drivers[i]);
        ph_free(c->drivers[i].name);
    }
    ph_free(c->drivers);
}

/* --- all --- */

static void read_value(struct reading *r, const struct at *at, const struct ph_key *key, void *of, json_t *value)
{
    char expected[256];
    if (key->type == PH_TYPE_SECTION) {
        read_section(r, at, key->inner, of, value);
    } else if (!ph_value_set(key, field(key, of), value)) {
        ph_key_describe(key, expected, sizeof expected);
        complain_of_value(r, at, expected, value);
    } else if (key->type == PH_TYPE_LISTENERS) {
        read_listeners(r, at, of, value);
    } else if (key->type == PH_TYPE_DRIVERS) {
        read_drivers(r, at, of, value);
    }
}

static void read_section(struct reading *r, const struct at *up, enum ph_section section, void *of, json_t *object)
{
    const char *name;
    json_t *value;
    size_t i = 0;
    if (!json_is_object(object)) {
        complain_of_value(r, up, "an object", object);
        return;
    }
    json_object_foreach(object, name, value) {
        struct at at = {.up = up, .key = name, .position = i++};
        const struct ph_key *key = ph_key_find(section, name);
        if (key)
            read_value(r, &at, key, of, value);
        else
            complain_of_key(r, &at, section);
    }
}

static void read_root(struct reading *r, struct ph_config *c, json_t *root)
{
    struct at at = {0};
    const char *why;
    read_section(r, &at, PH_IN_ROOT, c, root);
    if (!r->errors && c->metrics && (why = ph_config_wrong_metrics(c)))
        complain_of_member(r, &at, root, "metrics", why);
    if (!r->errors && c->limits[PH_LIMIT_UNSENT_PAUSE_BYTES] >= c->limits[PH_LIMIT_UNSENT_BYTES])
        complain(r, &at, "limits: expected unsent_pause_bytes to be less than unsent_bytes");
}

/* Why the file is not read, or NULL. What is no file, as a pipe, comes from whoever has started the daemon. */
static const char *distrust(const char *file, FILE *f)
{
    struct stat st;
    if (fstat(fileno(f), &st))
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return NULL;
    return !ph_trusts(&st) ? "the file " PH_DISTRUST : !ph_trusts_directory_of(file) ? "its directory " PH_DISTRUST : NULL;
}

/* All of it, NUL-terminated; or NULL, and why. */
static char *read_text(FILE *f, size_t *len, const char **why)
{
    char *text = ph_alloc(MAX_FILE + 1);
    *len = fread(text, 1, MAX_FILE + 1, f);
    *why = ferror(f) ? strerror(errno) : *len > MAX_FILE ? "the file is larger than 1 MiB" : NULL;
    if (!*why) {
        text[*len] = '\0';
        return text;
    }
    ph_free(text);
    return NULL;
}

static char *read_file(const char *file, size_t *len)
{
    FILE *f = fopen(file, "re");
    const char *why = f ? distrust(file, f) : strerror(errno);
    char *text = why ? NULL : read_text(f, len, &why);
    if (why)
        ph_log(PH_LOG_ERROR, NULL, "%s: %s", file, why);
    if (f)
        fclose(f);
    return text;
}

void ph_config_defaults(struct ph_config *c)
{
    *c = (struct ph_config){0};
    section_defaults(PH_IN_ROOT, c);
}

int ph_config_read(struct ph_config *c, const char *file)
{
    size_t len = 0;
    json_error_t error;
    struct reading r = {.file = file, .text = read_file(file, &len)};
    ph_config_defaults(c);
    json_t *root = r.text ? json_loadb(r.text, len, JSON_REJECT_DUPLICATES, &error) : NULL;
    if (root)
        read_root(&r, c, root);
    else if (r.text)
        ph_log(PH_LOG_ERROR, NULL, "%s:%d: expected JSON: %s", file, error.line, error.text);
    bool bad = !root || r.errors;
    json_decref(root);
    ph_free(r.text);
    if (bad)
        ph_config_clear(c);
    return bad ? -1 : 0;
}

void ph_config_clear(struct ph_config *c)
{
    ph_config_drop_listeners(c);
    clear_drivers(c);
    section_clear(PH_IN_ROOT, c);
    *c = (struct ph_config){0};
}
