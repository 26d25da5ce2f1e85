/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the tables behind words: atoms, origins (node and creation) and the pids that do not fit a word. Any thread, no lock
 * held but the tables' own while something new is entered. Nothing is ever freed: drivers keep words in statics.
 *
 *     nil    0x3b
 *     atom   | index                                   (60) | ATOM     |
 *     pid    | origin (16) | serial (16) | id          (28) | PID      |
 *     pid    | index in far_pids                       (60) | FAR_PID  |
 *     port   | handle                                  (60) | PORT     |
 *
 * No tag is 0 or 8, so that neither 0 nor a pointer by mistake is a word. */
#include "term/words.h"

#include <ei.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "term/intern.h"

#define TAG_BITS 4
#define TAG_PID 0x3u
#define TAG_PORT 0x7u
#define TAG_FAR_PID 0x9u
#define TAG_ATOM 0xdu
#define ID_BITS 28
#define SERIAL_BITS 16

#define MAX_ATOMS 1000000u
#define MAX_ORIGINS 65536u
#define MAX_FAR_PIDS 65536u
#define SYSTEM_LIMIT 0u /* its index */
#define MAX_CHARS 255u
#define MAX_UTF8 (4 * MAX_CHARS)

/* As it goes out: tag, length in 1 or 2 bytes, UTF-8 text; then a NUL. */
struct atom {
    uint16_t etf_len;
    uint16_t text_at;
    char etf[];
};

struct origin {
    uint32_t node; /* index of the atom */
    uint32_t creation;
};

struct far_pid {
    uint32_t origin, id, serial;
};

struct text {
    const char *utf8;
    size_t len;
};

static struct atom *atoms[MAX_ATOMS];
static struct origin origins[MAX_ORIGINS];
static struct far_pid far_pids[MAX_FAR_PIDS];

static bool atom_equal(uint32_t i, const void *key)
{
    const struct text *t = key;
    const struct atom *a = atoms[i];
    return (size_t)(a->etf_len - a->text_at) == t->len && memcmp(a->etf + a->text_at, t->utf8, t->len) == 0;
}

static bool atom_store(uint32_t i, const void *key)
{
    const struct text *t = key;
    size_t head = t->len > UINT8_MAX ? 3 : 2;
    size_t size = sizeof(struct atom) + head + t->len + 1;
    struct atom *a = i == SYSTEM_LIMIT ? ph_alloc(size) : ph_alloc_try(size);

    if (a == NULL)
        return false;
    a->text_at = (uint16_t)head;
    a->etf_len = (uint16_t)(head + t->len);
    a->etf[0] = head == 2 ? ERL_SMALL_ATOM_UTF8_EXT : ERL_ATOM_UTF8_EXT;
    if (head == 3)
        a->etf[1] = (char)(t->len >> 8);
    a->etf[head - 1] = (char)t->len;
    memcpy(a->etf + head, t->utf8, t->len);
    a->etf[a->etf_len] = '\0';
    atoms[i] = a;
    return true;
}

static bool origin_equal(uint32_t i, const void *key)
{
    return memcmp(&origins[i], key, sizeof origins[i]) == 0;
}

static bool origin_store(uint32_t i, const void *key)
{
    memcpy(&origins[i], key, sizeof origins[i]);
    return true;
}

static bool far_pid_equal(uint32_t i, const void *key)
{
    return memcmp(&far_pids[i], key, sizeof far_pids[i]) == 0;
}

static bool far_pid_store(uint32_t i, const void *key)
{
    memcpy(&far_pids[i], key, sizeof far_pids[i]);
    return true;
}

static struct ph_intern atom_table = PH_INTERN_INIT(MAX_ATOMS, atom_equal, atom_store);
static struct ph_intern origin_table = PH_INTERN_INIT(MAX_ORIGINS, origin_equal, origin_store);
static struct ph_intern far_pid_table = PH_INTERN_INIT(MAX_FAR_PIDS, far_pid_equal, far_pid_store);

static ErlDrvTermData make_word(uint64_t value, unsigned tag)
{
    return (ErlDrvTermData)(value << TAG_BITS | tag);
}

static unsigned tag_of(ErlDrvTermData w)
{
    return (unsigned)w & ((1u << TAG_BITS) - 1);
}

static uint64_t value_of(ErlDrvTermData w)
{
    return (uint64_t)w >> TAG_BITS;
}

static uint32_t near_origin(ErlDrvTermData pid)
{
    return (uint32_t)(value_of(pid) >> (ID_BITS + SERIAL_BITS));
}

enum ph_word_kind ph_word_kind(ErlDrvTermData w)
{
    if (w == PH_NIL)
        return PH_WORD_NIL;
    switch (tag_of(w)) {
    case TAG_ATOM: return ph_intern_known(&atom_table, value_of(w)) ? PH_WORD_ATOM : PH_WORD_BAD;
    case TAG_PID: return ph_intern_known(&origin_table, near_origin(w)) ? PH_WORD_PID : PH_WORD_BAD;
    case TAG_FAR_PID: return ph_intern_known(&far_pid_table, value_of(w)) ? PH_WORD_PID : PH_WORD_BAD;
    case TAG_PORT: return PH_WORD_PORT;
    default: return PH_WORD_BAD;
    }
}

static uint32_t intern_text(struct text t, atomic_uint *allowance)
{
    return ph_intern(&atom_table, (uint32_t)ph_hash_bytes(t.utf8, t.len), &t, allowance);
}

/* Whoever comes first enters system_limit, so that it has index SYSTEM_LIMIT and is there when the table is full. */
static uint32_t intern_atom(const char *utf8, size_t len, atomic_uint *allowance)
{
    if (!ph_intern_known(&atom_table, SYSTEM_LIMIT))
        intern_text((struct text){"system_limit", strlen("system_limit")}, NULL);
    return intern_text((struct text){utf8, len}, allowance);
}

static ErlDrvTermData atom_word(const char *utf8, size_t len)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    uint32_t i = intern_atom(utf8, len, NULL);

    if (i != PH_INTERN_FULL)
        return make_word(i, TAG_ATOM);
    if (ph_intern_known(&atom_table, MAX_ATOMS - 1) && !atomic_flag_test_and_set(&told))
        ph_log(PH_LOG_ERROR, NULL, "%u atoms: no more are made, new ones are system_limit", MAX_ATOMS);
    return make_word(SYSTEM_LIMIT, TAG_ATOM);
}

ErlDrvTermData ph_atom_latin1(const char *s, size_t len)
{
    char utf8[2 * MAX_CHARS];
    size_t n = 0;

    for (size_t i = 0; i < len && i < MAX_CHARS; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x80)
            utf8[n++] = (char)(0xc0 | c >> 6);
        utf8[n++] = c < 0x80 ? (char)c : (char)(0x80 | (c & 0x3f));
    }
    return atom_word(utf8, n);
}

/* Bytes of the first 255 characters. The byte limit is for what is not UTF-8 after all. */
static size_t utf8_kept(const char *s, size_t len)
{
    size_t chars = 0, i;
    for (i = 0; i < len && i < MAX_UTF8; i++)
        if (((unsigned char)s[i] & 0xc0) != 0x80 && chars++ == MAX_CHARS)
            break;
    return i;
}

ErlDrvTermData ph_atom_utf8(const char *s, size_t len)
{
    return atom_word(s, utf8_kept(s, len));
}

void ph_atom_text(ErlDrvTermData atom, const char **utf8, size_t *len)
{
    const struct atom *a = atoms[value_of(atom)];
    *utf8 = a->etf + a->text_at;
    *len = (size_t)(a->etf_len - a->text_at);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *p++ = (uint8_t)(v >> shift);
    return p;
}

/* Where the parts of an encoded pid are: tag, node atom, id (4), serial (4), creation (1 or 4). */
struct pid_parts {
    struct ph_slice node;
    uint32_t id, serial, creation;
};

/* The pid that this thread met last: pids that come in a row mostly have the same origin, and then neither the atom is
 * converted nor a table searched. Longer node atoms than this are rare, and are looked up every time. */
struct origin_cache {
    size_t len; /* of node; 0: nothing cached */
    uint32_t creation, origin;
    uint8_t node[128];
};

static _Thread_local struct origin_cache last_origin;

static int split_pid(struct ph_slice etf, struct pid_parts *parts)
{
    size_t width;

    if (etf.len == 0 || (etf.p[0] != ERL_PID_EXT && etf.p[0] != ERL_NEW_PID_EXT))
        return -1;
    width = etf.p[0] == ERL_PID_EXT ? 1 : 4;
    if (etf.len < 1 + 2 + 8 + width)
        return -1;
    const uint8_t *id = etf.p + etf.len - width - 8;
    parts->node = (struct ph_slice){etf.p + 1, (size_t)(id - etf.p - 1)};
    parts->id = get32(id);
    parts->serial = get32(id + 4);
    parts->creation = width == 1 ? id[8] : get32(id + 8);
    return 0;
}

static int intern_origin(const struct pid_parts *parts, atomic_uint *allowance, uint32_t *origin)
{
    struct ph_cur c = {parts->node.p, parts->node.p + parts->node.len};
    char utf8[MAX_UTF8 + 1];
    size_t len;

    if (ph_etf_atom(&c, utf8, sizeof utf8, &len) || c.p != c.end)
        return -1;
    struct origin key = {intern_atom(utf8, len, allowance), parts->creation};
    if (key.node == PH_INTERN_FULL)
        return -1;
    *origin = ph_intern(&origin_table, (uint32_t)ph_hash_bytes(&key, sizeof key), &key, allowance);
    return *origin == PH_INTERN_FULL ? -1 : 0;
}

static int find_origin(const struct pid_parts *parts, atomic_uint *allowance, uint32_t *origin)
{
    struct origin_cache *last = &last_origin;

    if (last->len == parts->node.len && last->creation == parts->creation &&
        memcmp(last->node, parts->node.p, last->len) == 0) {
        *origin = last->origin;
        return 0;
    }
    if (intern_origin(parts, allowance, origin))
        return -1;
    if (parts->node.len <= sizeof last->node) {
        last->len = parts->node.len;
        last->creation = parts->creation;
        last->origin = *origin;
        memcpy(last->node, parts->node.p, last->len);
    }
    return 0;
}

static int far_pid_word(const struct far_pid *pid, atomic_uint *allowance, ErlDrvTermData *out)
{
    uint32_t i = ph_intern(&far_pid_table, (uint32_t)ph_hash_bytes(pid, sizeof *pid), pid, allowance);
    *out = make_word(i, TAG_FAR_PID);
    return i == PH_INTERN_FULL ? -1 : 0;
}

static bool fits(uint32_t id, uint32_t serial)
{
    return id >> ID_BITS == 0 && serial >> SERIAL_BITS == 0;
}

static ErlDrvTermData near_word(uint32_t origin, uint32_t id, uint32_t serial)
{
    return make_word(((uint64_t)origin << SERIAL_BITS | serial) << ID_BITS | id, TAG_PID);
}

int ph_pid_word(struct ph_slice etf, atomic_uint *allowance, ErlDrvTermData *out)
{
    struct pid_parts parts;
    uint32_t origin;

    if (split_pid(etf, &parts) || find_origin(&parts, allowance, &origin))
        return -1;
    if (!fits(parts.id, parts.serial)) {
        struct far_pid far = {origin, parts.id, parts.serial};
        return far_pid_word(&far, allowance, out);
    }
    *out = near_word(origin, parts.id, parts.serial);
    return 0;
}

int ph_pid_read(struct ph_cur *c, atomic_uint *allowance, ErlDrvTermData *out)
{
    const struct origin_cache *last = &last_origin;
    const uint8_t *numbers = c->p + 1 + last->len;
    struct ph_slice etf;

    /* The node that this thread met last needs no look at its text. */
    if (last->len && (size_t)(c->end - c->p) >= 1 + last->len + 12 && c->p[0] == ERL_NEW_PID_EXT && get32(numbers + 8) == last->creation &&
        fits(get32(numbers), get32(numbers + 4)) && memcmp(c->p + 1, last->node, last->len) == 0) {
        *out = near_word(last->origin, get32(numbers), get32(numbers + 4));
        c->p = numbers + 12;
        return 0;
    }
    struct ph_cur q = *c;
    if (ph_etf_pid(&q, &etf) || ph_pid_word(etf, allowance, out))
        return -1;
    *c = q;
    return 0;
}

uint32_t ph_pid_origin(ErlDrvTermData pid)
{
    if (tag_of(pid) == TAG_PID)
        return ph_intern_known(&origin_table, near_origin(pid)) ? near_origin(pid) : PH_ORIGIN_NONE;
    return ph_word_kind(pid) == PH_WORD_PID ? far_pids[value_of(pid)].origin : PH_ORIGIN_NONE;
}

ErlDrvTermData ph_port_word(uint64_t handle)
{
    return make_word(handle, TAG_PORT);
}

uint64_t ph_port_handle(ErlDrvTermData port)
{
    return value_of(port);
}

static struct far_pid pid_of_word(ErlDrvTermData w)
{
    uint64_t v = value_of(w);

    if (tag_of(w) == TAG_FAR_PID)
        return far_pids[v];
    return (struct far_pid){near_origin(w), v & ((1u << ID_BITS) - 1), v >> ID_BITS & ((1u << SERIAL_BITS) - 1)};
}

static void put_pid(struct ph_wbuf *w, struct far_pid pid)
{
    const struct origin *origin = &origins[pid.origin];
    const struct atom *node = atoms[origin->node];
    size_t len = 1u + node->etf_len + 12u;
    uint8_t *p = ph_w_reserve(w, len);

    if (p == NULL)
        return;
    *p++ = ERL_NEW_PID_EXT;
    memcpy(p, node->etf, node->etf_len);
    p = put32(p + node->etf_len, pid.id);
    p = put32(p, pid.serial);
    put32(p, origin->creation);
    w->len += len;
}

void ph_w_word(struct ph_wbuf *w, ErlDrvTermData word)
{
    switch (ph_word_kind(word)) {
    case PH_WORD_ATOM: ph_w_raw(w, atoms[value_of(word)]->etf, atoms[value_of(word)]->etf_len); break;
    case PH_WORD_PID: put_pid(w, pid_of_word(word)); break;
    case PH_WORD_NIL: ph_w_nil(w); break;
    default: ph_fatal("a word that is no atom, pid or nil is written: %#llx", (unsigned long long)word);
    }
}
