/* SPDX-License-Identifier: Apache-2.0 */
/* Owns matching. Called by the statements of a run. The recursion is as deep as terms are, up to PH_PRINT_DEPTH. */
#include "script/pattern.h"

#include <ei.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "script/memory.h"
#include "term/term.h"

/* ---- variables ---- */

static bool var_at(const struct ph_cur *c, struct ph_text *name)
{
    if (c->end - c->p < 4 || c->p[0] != PH_TERM_VAR || c->p[2] != 0)
        return false;
    *name = (struct ph_text){(const char *)c->p + 3, (size_t)c->p[1] - 1};
    return true;
}

/* Whether this is <<Prefix, Name/binary>>; then *size is all of it. */
static bool rest_at(const struct ph_cur *c, struct ph_slice *prefix, struct ph_text *name, size_t *size)
{
    static const uint8_t head[] = {ERL_SMALL_TUPLE_EXT, 3, PH_TERM_VAR, 3, 0, '<', '<'};
    struct ph_cur in = *c;
    struct ph_slice var;
    if ((size_t)(in.end - in.p) < sizeof head || memcmp(in.p, head, sizeof head) != 0)
        return false;
    in.p += sizeof head;
    if (ph_etf_binary(&in, prefix) < 0 || ph_etf_raw(&in, &var) < 0)
        return false;
    *size = (size_t)(in.p - c->p);
    struct ph_cur at = {var.p, var.p + var.len};
    return var_at(&at, name);
}

size_t ph_pattern_head(struct ph_cur c)
{
    struct ph_slice whole;
    switch (*c.p) {
    case ERL_SMALL_TUPLE_EXT:
        return 2;
    case ERL_LARGE_TUPLE_EXT:
    case ERL_LIST_EXT:
    case ERL_MAP_EXT:
        return 5;
    default:
        return ph_etf_raw(&c, &whole) == 0 ? whole.len : (size_t)(c.end - c.p);
    }
}

void ph_pattern_each_var(struct ph_slice pattern, void (*f)(void *arg, struct ph_text name), void *arg)
{
    struct ph_cur c = {pattern.p, pattern.p + pattern.len};
    struct ph_text name;
    for (; c.p < c.end; c.p += ph_pattern_head(c))
        if (var_at(&c, &name))
            f(arg, name);
}

/* With the rest appended, if the variable is a binary. */
static bool fill_rest(struct ph_slice prefix, struct ph_slice value, struct ph_wbuf *w)
{
    struct ph_cur c = {value.p, value.p + value.len};
    struct ph_slice rest;
    if (value.len == 0 || ph_etf_binary(&c, &rest) < 0)
        return false;
    struct ph_wbuf all;
    ph_wbuf_init(&all, NULL);
    ph_w_raw(&all, prefix.p, prefix.len);
    ph_w_raw(&all, rest.p, rest.len);
    ph_script_need(!all.failed);
    ph_w_binary(w, all.buf, all.len);
    ph_wbuf_free(&all);
    return true;
}

void ph_pattern_fill(struct ph_slice pattern, const struct ph_vars *vars, struct ph_wbuf *w)
{
    struct ph_cur c = {pattern.p, pattern.p + pattern.len};
    size_t begin = w->len;
    while (c.p < c.end && w->len - begin <= PH_TERM_LIMITS.max_bytes) {
        struct ph_text name;
        size_t n = ph_pattern_head(c);
        struct ph_slice value = {0}, prefix;
        size_t size;
        if (rest_at(&c, &prefix, &name, &size) && fill_rest(prefix, ph_vars_get(vars, name), w)) {
            c.p += size;
            continue;
        }
        if (var_at(&c, &name))
            value = ph_vars_get(vars, name);
        if (value.len > 0)
            ph_w_raw(w, value.p, value.len);
        else
            ph_w_raw(w, c.p, n);
        c.p += n;
    }
    ph_script_need(!w->failed);
}

/* Within one buffer, towards its beginning. */
static void move_text(char **to, const char *from, size_t n)
{
    memmove(*to, from, n);
    *to += n;
}

/* {'\000<<',<<"text">>,'\000Name'}, of which the part up to the binary has been passed, becomes <<"text",Name/binary>>. */
static const char *print_rest(const char *from, char **to)
{
    static const char type[] = "/binary>>"; /* no longer than what has been passed */
    const char *end = strstr(from, ",'\\000"), *name = end ? end + 6 : NULL, *close = name ? strchr(name, '\'') : NULL;
    if (!close)
        return from;
    bool empty = strncmp(from, "<<>>", 4) == 0;
    move_text(to, from, (size_t)(end - from) - 2);
    move_text(to, ",", !empty);
    move_text(to, name, (size_t)(close - name));
    move_text(to, type, sizeof type - 1);
    return close + 2;
}

/* A variable is printed as the atom '\000Name'; no other text that is printed has these characters in a row. */
char *ph_pattern_text(struct ph_slice pattern)
{
    static const char mark[] = "'\\000", rest[] = "{'\\000<<',";
    char *text = NULL, *from, *to;
    size_t len = 0;
    FILE *f = ph_script_stream(&text, &len);
    if (ph_term_print(f, pattern) < 0)
        fputs("(a term that is nested too deep to be shown)", f);
    fclose(f);
    ph_script_need(text != NULL);
    for (from = to = text; *from;) {
        if (strncmp(from, rest, sizeof rest - 1) == 0)
            from = (char *)print_rest(from + sizeof rest - 1, &to);
        if (!*from)
            break;
        if (strncmp(from, mark, sizeof mark - 1) != 0) {
            *to++ = *from++;
            continue;
        }
        for (from += sizeof mark - 1; *from != '\''; )
            *to++ = *from++;
        from++;
    }
    *to = 0;
    return text;
}

/* ---- matching ---- */

struct matcher {
    struct ph_vars *vars;
    struct ph_mismatch *m;
    size_t where; /* length of m->where */
    unsigned depth;
};

static bool match(struct matcher *t, struct ph_cur *p, struct ph_cur *v);

/* Goes a step into the term; the result is for leave. */
__attribute__((format(printf, 2, 3))) static size_t enter(struct matcher *t, const char *format, ...)
{
    size_t before = t->where;
    va_list ap;
    if (!t->m)
        return before;
    size_t room = sizeof t->m->where - before;
    va_start(ap, format);
    int n = vsnprintf(t->m->where + before, room, format, ap);
    va_end(ap);
    t->where = before + ((size_t)n < room ? (size_t)n : room - 1);
    return before;
}

static void leave(struct matcher *t, size_t before)
{
    t->where = before;
    if (t->m)
        t->m->where[before] = 0;
}

static char *copy_text(const char *text)
{
    return ph_script_copy((struct ph_text){text, strlen(text)});
}

static struct ph_slice whole_of(struct ph_cur c)
{
    struct ph_slice s = {c.p, 0};
    ph_etf_raw(&c, &s);
    return s;
}

static char *filled_text(const struct matcher *t, struct ph_slice pattern)
{
    struct ph_wbuf w;
    ph_wbuf_init(&w, NULL);
    ph_pattern_fill(pattern, t->vars, &w);
    char *text = ph_pattern_text((struct ph_slice){w.buf, w.len});
    ph_wbuf_free(&w);
    return text;
}

/* The innermost mismatch is the one that is kept. */
static bool differ(struct matcher *t, struct ph_slice p, struct ph_slice v)
{
    if (t->m && !t->m->expected) {
        t->m->expected = p.len ? filled_text(t, p) : copy_text("the end of the list");
        t->m->came = v.len ? ph_pattern_text(v) : copy_text("the end of the list");
    }
    return false;
}

static bool match_var(struct matcher *t, struct ph_text name, struct ph_slice v)
{
    struct ph_slice value = ph_vars_get(t->vars, name);
    if (ph_text_is(name, "_"))
        return true;
    if (value.len == 0) {
        ph_vars_set(t->vars, name, v);
        return true;
    }
    struct ph_cur p = {value.p, value.p + value.len}, c = {v.p, v.p + v.len};
    return match(t, &p, &c);
}

static bool match_rest_of_binary(struct matcher *t, struct ph_slice prefix, struct ph_text name, struct ph_slice p, struct ph_slice v)
{
    struct ph_cur c = {v.p, v.p + v.len};
    struct ph_slice all;
    struct ph_wbuf w;
    if (ph_etf_binary(&c, &all) < 0 || all.len < prefix.len || memcmp(all.p, prefix.p, prefix.len) != 0)
        return differ(t, p, v);
    ph_wbuf_init(&w, NULL);
    ph_w_binary(&w, all.p + prefix.len, all.len - prefix.len);
    ph_script_need(!w.failed);
    bool ok = match_var(t, name, (struct ph_slice){w.buf, w.len});
    ph_wbuf_free(&w);
    return ok;
}

static bool match_tuple(struct matcher *t, struct ph_cur p, struct ph_cur v)
{
    uint32_t arity, found;
    struct ph_slice whole_p = whole_of(p), whole_v = whole_of(v);
    if (ph_etf_tuple(&p, &arity) < 0 || ph_etf_tuple(&v, &found) < 0 || arity != found)
        return differ(t, whole_p, whole_v);
    for (uint32_t i = 0; i < arity; i++) {
        size_t before = enter(t, "%selement %u of the tuple", t->where ? ", " : "", i + 1);
        if (!match(t, &p, &v))
            return false;
        leave(t, before);
    }
    return true;
}

/* The element at which the cells are, as a term; the cells go past it. */
static struct ph_slice take_cell(struct ph_cells *l, enum ph_cell kind, uint8_t byte, uint8_t small[2])
{
    struct ph_slice s = {small, 2};
    small[0] = ERL_SMALL_INTEGER_EXT;
    small[1] = byte;
    if (kind == PH_CELL_TERM)
        ph_etf_raw(&l->cur, &s);
    return s;
}

/* What is left of a list from a cell on, as a term. */
static void put_rest(struct ph_wbuf *w, struct ph_cells l, enum ph_cell kind, uint8_t byte)
{
    uint32_t n = 0;
    uint8_t small[2];
    struct ph_cells count = l;
    enum ph_cell k = kind;
    uint8_t b = byte;
    for (; k == PH_CELL_BYTE || k == PH_CELL_TERM; k = ph_cells_next(&count, &b), n++)
        take_cell(&count, k, b, small);
    if (n > 0)
        ph_w_list(w, n);
    for (; kind == PH_CELL_BYTE || kind == PH_CELL_TERM; kind = ph_cells_next(&l, &byte)) {
        struct ph_slice s = take_cell(&l, kind, byte, small);
        ph_w_raw(w, s.p, s.len);
    }
    if (kind == PH_CELL_TAIL) {
        struct ph_slice tail = whole_of(l.cur);
        ph_w_raw(w, tail.p, tail.len);
    } else {
        ph_w_nil(w);
    }
    ph_script_need(!w->failed);
}

/* The pattern's list ends, or has a tail; the term's may go on. */
static bool match_rest(struct matcher *t, const struct ph_cells *p, enum ph_cell pk, const struct ph_cells *v, enum ph_cell vk, uint8_t byte)
{
    struct ph_wbuf rest, tail;
    ph_wbuf_init(&rest, NULL);
    ph_wbuf_init(&tail, NULL);
    put_rest(&rest, *v, vk, byte);
    put_rest(&tail, *p, pk, 0);
    struct ph_cur pc = {tail.buf, tail.buf + tail.len}, vc = {rest.buf, rest.buf + rest.len};
    size_t before = enter(t, "%stail of the list", t->where ? ", " : "");
    bool ok;
    if (pk == PH_CELL_END)
        ok = vk == PH_CELL_END || differ(t, (struct ph_slice){0}, (struct ph_slice){rest.buf, rest.len});
    else
        ok = match(t, &pc, &vc);
    if (ok)
        leave(t, before);
    ph_wbuf_free(&rest);
    ph_wbuf_free(&tail);
    return ok;
}

static bool is_list(const struct ph_cur *c)
{
    return *c->p == ERL_LIST_EXT || *c->p == ERL_STRING_EXT || *c->p == ERL_NIL_EXT;
}

/* Lists that hold nothing but characters are compared and shown as a whole, as the strings that they are. False if they are not. */
static bool compare_strings(struct matcher *t, struct ph_cur p, struct ph_cur v, bool *ok)
{
    size_t plen, vlen;
    char *ptext = ph_term_string_text(p, &plen), *vtext = ptext ? ph_term_string_text(v, &vlen) : NULL;
    bool strings = ptext && vtext;
    if (strings)
        *ok = (plen == vlen && memcmp(ptext, vtext, plen) == 0) || differ(t, whole_of(p), whole_of(v));
    free(ptext);
    free(vtext);
    return strings;
}

static bool match_list(struct matcher *t, struct ph_cur p, struct ph_cur v)
{
    struct ph_cells pl, vl;
    uint8_t pb = 0, vb = 0, psmall[2], vsmall[2];
    struct ph_slice whole_p = whole_of(p), whole_v = whole_of(v);
    bool ok;
    if (is_list(&v) && compare_strings(t, p, v, &ok))
        return ok;
    if (!is_list(&v) || ph_cells_begin(&pl, p) < 0 || ph_cells_begin(&vl, v) < 0)
        return differ(t, whole_p, whole_v);
    for (unsigned i = 1;; i++) {
        enum ph_cell pk = ph_cells_next(&pl, &pb), vk = ph_cells_next(&vl, &vb);
        if (pk == PH_CELL_END || pk == PH_CELL_TAIL)
            return match_rest(t, &pl, pk, &vl, vk, vb);
        size_t before = enter(t, "%selement %u of the list", t->where ? ", " : "", i);
        struct ph_slice ps = take_cell(&pl, pk, pb, psmall);
        if (vk == PH_CELL_END || vk == PH_CELL_TAIL)
            return differ(t, ps, vk == PH_CELL_TAIL ? whole_of(vl.cur) : (struct ph_slice){0});
        struct ph_slice vs = take_cell(&vl, vk, vb, vsmall);
        struct ph_cur pc = {ps.p, ps.p + ps.len}, vc = {vs.p, vs.p + vs.len};
        if (!match(t, &pc, &vc))
            return false;
        leave(t, before);
    }
}

/* Finds the value of an equal key. */
static bool map_get(struct ph_cur map, struct ph_slice key, struct ph_cur *value)
{
    uint32_t pairs;
    struct ph_slice s;
    struct ph_vars none = {0};
    ph_etf_map(&map, &pairs);
    for (uint32_t i = 0; i < pairs; i++) {
        if (ph_etf_raw(&map, &s) < 0)
            return false;
        *value = map;
        if (ph_pattern_match(key, s, &none, NULL))
            return true;
        if (ph_etf_raw(&map, &s) < 0)
            return false;
    }
    return false;
}

static bool match_map(struct matcher *t, struct ph_cur p, struct ph_cur v)
{
    uint32_t pairs;
    struct ph_slice key, whole_p = whole_of(p), whole_v = whole_of(v);
    if (*v.p != ERL_MAP_EXT || ph_etf_map(&p, &pairs) < 0)
        return differ(t, whole_p, whole_v);
    for (uint32_t i = 0; i < pairs; i++) {
        struct ph_cur value;
        if (ph_etf_raw(&p, &key) < 0 || !map_get(v, key, &value))
            return differ(t, whole_p, whole_v);
        char *text = t->m ? ph_pattern_text(key) : NULL;
        size_t before = enter(t, "%svalue of %s in the map", t->where ? ", " : "", text ? text : "");
        free(text);
        if (!match(t, &p, &value))
            return false;
        leave(t, before);
    }
    return true;
}

/* Not inlined, as what else needs room on the stack: it would be there at each depth. */
__attribute__((noinline)) static bool match_leaf(struct matcher *t, struct ph_slice p, struct ph_slice v)
{
    char a[1024], b[1024];
    size_t alen, blen;
    int64_t x, y;
    struct ph_cur pc = {p.p, p.p + p.len}, vc = {v.p, v.p + v.len};
    if (ph_etf_atom(&pc, a, sizeof a, &alen) == 0 && ph_etf_atom(&vc, b, sizeof b, &blen) == 0)
        return (alen == blen && memcmp(a, b, alen) == 0) || differ(t, p, v);
    pc.p = p.p;
    vc.p = v.p;
    if (ph_etf_int64(&pc, &x) == 0 && ph_etf_int64(&vc, &y) == 0)
        return x == y || differ(t, p, v);
    return (p.len == v.len && memcmp(p.p, v.p, p.len) == 0) || differ(t, p, v);
}

static bool match_at(struct matcher *t, struct ph_slice p, struct ph_slice v)
{
    struct ph_cur pc = {p.p, p.p + p.len}, vc = {v.p, v.p + v.len};
    struct ph_text name;
    struct ph_slice prefix;
    size_t size;
    ph_term_pass_empty_heads(&pc);
    ph_term_pass_empty_heads(&vc);
    if (var_at(&pc, &name))
        return match_var(t, name, v);
    if (rest_at(&pc, &prefix, &name, &size))
        return match_rest_of_binary(t, prefix, name, p, v);
    switch (*pc.p) {
    case ERL_SMALL_TUPLE_EXT:
    case ERL_LARGE_TUPLE_EXT:
        return match_tuple(t, pc, vc);
    case ERL_NIL_EXT:
    case ERL_STRING_EXT:
    case ERL_LIST_EXT:
        return match_list(t, pc, vc);
    case ERL_MAP_EXT:
        return match_map(t, pc, vc);
    default:
        return match_leaf(t, p, v);
    }
}

static bool match(struct matcher *t, struct ph_cur *p, struct ph_cur *v)
{
    struct ph_slice ps, vs;
    if (ph_etf_raw(p, &ps) < 0 || ph_etf_raw(v, &vs) < 0)
        return false;
    t->depth++;
    bool ok = t->depth <= PH_PRINT_DEPTH ? match_at(t, ps, vs) : differ(t, ps, vs);
    t->depth--;
    return ok;
}

bool ph_pattern_match(struct ph_slice pattern, struct ph_slice term, struct ph_vars *vars, struct ph_mismatch *m)
{
    struct matcher t = {.vars = vars, .m = m};
    struct ph_cur p = {pattern.p, pattern.p + pattern.len}, v = {term.p, term.p + term.len};
    size_t bound = vars->n;
    if (m)
        *m = (struct ph_mismatch){0};
    if (match(&t, &p, &v))
        return true;
    ph_vars_truncate(vars, bound);
    return false;
}

void ph_mismatch_free(struct ph_mismatch *m)
{
    free(m->expected);
    free(m->came);
}
