/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the names of streams, and which of them name the same. Called by rules.c and replay.c. */
#include "record/streams.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/pattern.h"

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct ph_stream *)a)->key, ((const struct ph_stream *)b)->key);
}

/* Terms that are equal have the same text, however they are encoded. */
static char *key_of(enum ph_stream_name kind, struct ph_slice name)
{
    char *text = name.len ? ph_pattern_text(name) : ph_strdup("");
    size_t n = strlen(text);
    char *key = ph_alloc(n + 2);
    key[0] = (char)kind;
    memcpy(key + 1, text, n + 1);
    free(text);
    return key;
}

struct ph_stream *ph_stream_root(struct ph_stream *s)
{
    while (s->same) {
        if (s->same->same)
            s->same = s->same->same;
        s = s->same;
    }
    return s;
}

static struct ph_stream *find(const struct ph_streams *s, char *key)
{
    struct ph_stream wanted = {.key = key};
    void *const *found = tfind(&wanted, &s->tree, by_key);
    return found ? *found : NULL;
}

struct ph_stream *ph_streams_find(const struct ph_streams *s, enum ph_stream_name kind, struct ph_slice name)
{
    char *key = key_of(kind, name);
    struct ph_stream *found = find(s, key);
    ph_free(key);
    return found ? ph_stream_root(found) : NULL;
}

static struct ph_stream *make(struct ph_streams *s, enum ph_stream_name kind, struct ph_slice name)
{
    char *key = key_of(kind, name);
    struct ph_stream *stream = find(s, key);
    if (stream) {
        ph_free(key);
        return stream;
    }
    stream = ph_calloc(1, sizeof *stream);
    *stream = (struct ph_stream){.key = key, .first = SIZE_MAX, .last = SIZE_MAX, .number = ++s->n};
    if (!tsearch(stream, &s->tree, by_key))
        abort();
    return stream;
}

struct ph_stream *ph_streams_make(struct ph_streams *s, enum ph_stream_name kind, struct ph_slice name)
{
    return ph_stream_root(make(s, kind, name));
}

unsigned ph_streams_number(struct ph_streams *s, enum ph_stream_name kind, struct ph_slice name)
{
    return make(s, kind, name)->number;
}

void ph_stream_join(struct ph_stream *s, struct ph_stream *into)
{
    s = ph_stream_root(s);
    into = ph_stream_root(into);
    if (s != into)
        s->same = into;
}

static void free_stream(void *p)
{
    ph_free(((struct ph_stream *)p)->key);
    ph_free(p);
}

void ph_streams_free(struct ph_streams *s)
{
    tdestroy(s->tree, free_stream);
    *s = (struct ph_streams){0};
}
