/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the JSON form of terms, for programs. Called by whatever shows terms. The bytes are checked before they are walked. */
#include <ei.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "term/term.h"
#include "term/term_json.h"

static json_t *convert(struct ph_cur *c);

/* The Erlang text of the term at the cursor, which is passed; new. */
static char *erlang_text(struct ph_cur *c)
{
    char *text = NULL;
    size_t len = 0;
    struct ph_slice term;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return NULL;
    if (ph_etf_raw(c, &term) == 0)
        ph_term_print(f, term);
    fclose(f);
    return text;
}

static json_t *convert_other(struct ph_cur *c)
{
    char *text = erlang_text(c);
    json_t *j = json_pack("{s:s}", "term", text ? text : "");
    free(text);
    return j;
}

/* Not inlined: its text would be on the stack at each depth of the term. */
__attribute__((noinline)) static json_t *convert_atom(struct ph_cur *c)
{
    char text[1024];
    size_t len;
    bool truth;
    if (ph_etf_bool(c, &truth) == 0)
        return json_boolean(truth);
    ph_etf_atom(c, text, sizeof text, &len);
    return json_stringn(text, len);
}

static json_t *convert_binary(struct ph_cur *c)
{
    struct ph_cur other = *c;
    struct ph_slice b;
    bool ascii;
    ph_etf_binary(c, &b);
    return ph_utf8_printable(b, &ascii) ? json_stringn((const char *)b.p, b.len) : convert_other(&other);
}

static json_t *convert_float(struct ph_cur *c)
{
    char *text = erlang_text(c);
    json_t *j = json_real(text ? strtod(text, NULL) : 0);
    free(text);
    return j;
}

static json_t *convert_integer(struct ph_cur *c)
{
    int64_t v;
    return ph_etf_int64(c, &v) == 0 ? json_integer(v) : convert_other(c);
}

static json_t *convert_improper(struct ph_cur *c, json_t *unfinished, struct ph_cur from)
{
    json_decref(unfinished);
    json_t *j = convert_other(&from);
    *c = from;
    return j;
}

static json_t *convert_list(struct ph_cur *c)
{
    size_t len;
    struct ph_cells l;
    uint8_t byte = 0;
    enum ph_cell cell;
    char *text = ph_term_string_text(*c, &len);
    if (text) {
        json_t *j = json_stringn(text, len);
        free(text);
        ph_etf_skip(c, PH_PRINT_DEPTH);
        return j;
    }
    json_t *array = json_array();
    ph_cells_begin(&l, *c);
    while ((cell = ph_cells_next(&l, &byte)) < PH_CELL_END)
        json_array_append_new(array, cell == PH_CELL_BYTE ? json_integer(byte) : convert(&l.cur));
    if (cell == PH_CELL_TAIL)
        return convert_improper(c, array, *c);
    *c = l.cur;
    return array;
}

static json_t *convert_tuple(struct ph_cur *c)
{
    uint32_t arity = 0;
    json_t *array = json_array();
    ph_etf_tuple(c, &arity);
    for (uint32_t i = 0; i < arity; i++)
        json_array_append_new(array, convert(c));
    return json_pack("{s:o}", "tuple", array);
}

/* What an atom, a binary or a string is as a value. NULL, or no string: the term is no text. */
static json_t *text_of(struct ph_cur c)
{
    ph_term_pass_empty_heads(&c);
    switch (*c.p) {
    case ERL_ATOM_EXT:
    case ERL_SMALL_ATOM_EXT:
    case ERL_ATOM_UTF8_EXT:
    case ERL_SMALL_ATOM_UTF8_EXT:
        return convert_atom(&c);
    case ERL_BINARY_EXT:
        return convert_binary(&c);
    case ERL_STRING_EXT:
    case ERL_LIST_EXT: {
        size_t len;
        char *text = ph_term_string_text(c, &len);
        json_t *j = text ? json_stringn(text, len) : NULL;
        free(text);
        return j;
    }
    default:
        return NULL;
    }
}

/* The key at the cursor, which is passed, as a string: its text, if it is one and may be; else its Erlang text, which no other term has. */
static json_t *convert_key(struct ph_cur *c, bool may_be_text)
{
    json_t *key = may_be_text ? text_of(*c) : NULL;
    if (json_is_string(key)) {
        ph_etf_skip(c, PH_PRINT_DEPTH);
        return key;
    }
    json_decref(key);
    char *text = erlang_text(c);
    key = json_string(text ? text : "");
    free(text);
    return key;
}

static void set(json_t *object, json_t *key, json_t *value)
{
    json_object_setn_new(object, json_string_value(key), json_string_length(key), value);
    json_decref(key);
}

/* Whether no two keys of the map, whose pairs are at the cursor, are the same as text. */
static bool keys_differ(struct ph_cur c, uint32_t pairs)
{
    json_t *seen = json_object();
    for (uint32_t i = 0; i < pairs; i++) {
        set(seen, convert_key(&c, true), json_null());
        ph_etf_skip(&c, PH_PRINT_DEPTH);
    }
    bool differ = json_object_size(seen) == pairs;
    json_decref(seen);
    return differ;
}

static json_t *convert_map(struct ph_cur *c)
{
    uint32_t pairs = 0;
    json_t *object = json_object();
    ph_etf_map(c, &pairs);
    bool as_text = keys_differ(*c, pairs);
    for (uint32_t i = 0; i < pairs; i++) {
        json_t *key = convert_key(c, as_text);
        set(object, key, convert(c));
    }
    return object;
}

static json_t *convert(struct ph_cur *c)
{
    ph_term_pass_empty_heads(c);
    switch (c->p[0]) {
    case ERL_SMALL_INTEGER_EXT:
    case ERL_INTEGER_EXT:
    case ERL_SMALL_BIG_EXT:
    case ERL_LARGE_BIG_EXT:
        return convert_integer(c);
    case ERL_FLOAT_EXT:
    case NEW_FLOAT_EXT:
        return convert_float(c);
    case ERL_ATOM_EXT:
    case ERL_SMALL_ATOM_EXT:
    case ERL_ATOM_UTF8_EXT:
    case ERL_SMALL_ATOM_UTF8_EXT:
        return convert_atom(c);
    case ERL_BINARY_EXT:
        return convert_binary(c);
    case ERL_NIL_EXT:
    case ERL_STRING_EXT:
    case ERL_LIST_EXT:
        return convert_list(c);
    case ERL_SMALL_TUPLE_EXT:
    case ERL_LARGE_TUPLE_EXT:
        return convert_tuple(c);
    case ERL_MAP_EXT:
        return convert_map(c);
    default:
        return convert_other(c);
    }
}

json_t *ph_term_json(struct ph_slice term)
{
    struct ph_cur c = {term.p, term.p + term.len}, check = c;
    if (ph_etf_skip(&check, PH_PRINT_DEPTH) < 0 || check.p != check.end)
        return NULL;
    return convert(&c);
}

int ph_term_print_json(FILE *f, struct ph_slice term)
{
    json_t *j = ph_term_json(term);
    int rc = j ? json_dumpf(j, f, JSON_COMPACT | JSON_ENCODE_ANY) : -1;
    json_decref(j);
    return rc;
}
