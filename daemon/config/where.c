/* SPDX-License-Identifier: Apache-2.0 */
/* The line of a value. jansson does not keep positions. But it keeps the order of members and refuses duplicates, so the n-th member in memory is the n-th in the text,
 * whatever its key looks like there (escapes), and in a text that jansson has accepted, strings and brackets are all one must know to count. Any thread. */
#include <string.h>

#include "config/keys.h"

struct scan {
    const char *p;
    unsigned line;
};

static void skip_space(struct scan *s)
{
    for (; *s->p && strchr(" \t\r\n", *s->p); s->p++)
        s->line += *s->p == '\n';
}

static void skip_string(struct scan *s)
{
    for (s->p++; *s->p && *s->p != '"'; s->p++)
        if (*s->p == '\\' && s->p[1])
            s->p++;
    if (*s->p)
        s->p++;
}

/* Up to the comma or bracket that ends the value. */
static void skip_value(struct scan *s)
{
    unsigned depth = 0;
    for (; *s->p; s->p++) {
        while (*s->p == '"')
            skip_string(s);
        if (!*s->p || (depth == 0 && strchr(",]}", *s->p)))
            return;
        s->line += *s->p == '\n';
        if (*s->p == '{' || *s->p == '[')
            depth++;
        else if (*s->p == '}' || *s->p == ']')
            depth--;
    }
}

static void skip_key(struct scan *s)
{
    skip_string(s);
    skip_space(s);
    s->p += *s->p == ':';
    skip_space(s);
}

/* From the bracket to the n-th value inside. */
static void enter(struct scan *s, size_t n)
{
    bool object = *s->p == '{';
    s->p += *s->p != '\0';
    skip_space(s);
    for (;;) {
        if (object && *s->p == '"')
            skip_key(s);
        if (n-- == 0 || !*s->p)
            return;
        skip_value(s);
        s->p += *s->p == ',';
        skip_space(s);
    }
}

unsigned ph_json_line(const char *text, const size_t *path, size_t depth)
{
    struct scan s = {text, 1};
    skip_space(&s);
    for (size_t i = 0; i < depth; i++)
        enter(&s, path[i]);
    return s.line;
}
