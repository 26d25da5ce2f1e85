/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what was sent of each binary: some ranges with their checksums. What follows on another range, or comes before it, lengthens it, so what is sent piece by piece in order is one. */
#include "check/sent.h"

#include <string.h>
#include <zlib.h>

#include "base/bin.h"
#include "base/mem.h"
#include "check/block.h"
#include "check/memory.h"

#define RANGES 16u /* of a binary; with more the oldest is forgotten */

struct range {
    const char *at;
    size_t len;
    unsigned long sum;
};

struct ph_sent {
    unsigned n;
    struct range range[RANGES];
};

/* --- ranges --- */

static unsigned long checksum(const char *at, size_t len)
{
    return crc32_z(0, (const Bytef *)at, len);
}

static bool is_in(const struct range *r, const char *at, size_t len)
{
    return at >= r->at && at + len <= r->at + r->len;
}

/* The checksum of what was there already stays: a change of it is still to be seen. */
static bool join(struct range *r, const char *at, size_t len, unsigned long sum)
{
    if (r->at + r->len == at)
        r->sum = crc32_combine(r->sum, sum, (z_off_t)len);
    else if (at + len == r->at)
        r->sum = crc32_combine(sum, r->sum, (z_off_t)r->len);
    else
        return false;
    r->at = r->at < at ? r->at : at;
    r->len += len;
    return true;
}

static void add(struct ph_sent *s, const char *at, size_t len)
{
    for (unsigned i = 0; i < s->n; i++)
        if (is_in(&s->range[i], at, len))
            return;
    unsigned long sum = checksum(at, len);
    for (unsigned i = 0; i < s->n; i++)
        if (join(&s->range[i], at, len, sum))
            return;
    if (s->n == RANGES)
        memmove(s->range, s->range + 1, --s->n * sizeof *s->range);
    s->range[s->n++] = (struct range){at, len, sum};
}

static bool is_same(const struct ph_sent *s)
{
    for (unsigned i = 0; i < s->n; i++)
        if (checksum(s->range[i].at, s->range[i].len) != s->range[i].sum)
            return false;
    return true;
}

/* --- binaries --- */

/* The host drops its references without the mutex. */
static bool is_shared(const struct ph_thing *t)
{
    return ph_bin_refc(t->at) > t->refs;
}

void ph_sent_settle_locked(struct ph_thing *t)
{
    if (t->sent && !is_shared(t))
        t->sent->n = 0;
}

/* The count is read again: the last of the host's references may have gone meanwhile, and then what the driver wrote is right. */
bool ph_sent_is_changed_locked(struct ph_thing *t)
{
    if (!t->sent || t->sent->n == 0 || t->gone)
        return false;
    bool is_changed = is_shared(t) && !is_same(t->sent);
    bool is_wrong = is_changed && is_shared(t);
    if (is_changed)
        t->sent->n = 0;
    return is_wrong;
}

void ph_binary_sent(const ErlDrvBinary *b, size_t offset, size_t len)
{
    if (len == 0)
        return;
    pthread_mutex_lock(&ph_things_mu);
    struct ph_thing *t = ph_thing_find_locked(PH_THING_BINARY, b);
    if (t && t->kind == PH_THING_BINARY && !t->gone && t->refs > 0) {
        if (!t->sent)
            t->sent = ph_calloc(1, sizeof *t->sent);
        add(t->sent, b->orig_bytes + offset, len);
        ph_block_remember(b);
    }
    pthread_mutex_unlock(&ph_things_mu);
}

void ph_vector_sent(const ErlIOVec *ev, size_t skip)
{
    for (int i = 0; ev->binv && i < ev->vsize; i++) {
        const SysIOVec *v = &ev->iov[i];
        size_t without = skip < v->iov_len ? skip : v->iov_len;
        skip -= without;
        if (ev->binv[i] && without < v->iov_len)
            ph_binary_sent(ev->binv[i], (size_t)(v->iov_base - ev->binv[i]->orig_bytes) + without, v->iov_len - without);
    }
}
