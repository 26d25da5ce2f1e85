/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static struct sip seeded; /* how each hash begins; never changed once main runs */

/* Before main: there is no table yet, and nobody can forget it. */
__attribute__((constructor)) static void choose_secret(void)
{
    uint64_t key[2];
    ssize_t n;
    do
        n = getrandom(key, sizeof key, 0);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof key)
        ph_fatal("getrandom fails: errno %d", errno);
    seeded = (struct sip){key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d), key[0] ^ UINT64_C(0x6c7967656e657261),
                          key[1] ^ UINT64_C(0x7465646279746573)};
    explicit_bzero(key, sizeof key);
}

static inline uint64_t rotated(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static inline void mix(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotated(s->v1, 13) ^ s->v0;
    s->v3 = rotated(s->v3, 16) ^ s->v2;
    s->v0 = rotated(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotated(s->v1, 17) ^ s->v2;
    s->v3 = rotated(s->v3, 21) ^ s->v0;
    s->v2 = rotated(s->v2, 32);
}

static inline void take(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s);
    s->v0 ^= word;
}

static inline uint64_t finish(struct sip *s)
{
    s->v2 ^= 0xff;
    mix(s);
    mix(s);
    mix(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* All are of the same length: so it need not be hashed. */
uint64_t ph_hash_word(uint64_t word)
{
    struct sip s = seeded;
    take(&s, word);
    return finish(&s);
}

uint64_t ph_hash_bytes(const void *p, size_t len)
{
    struct sip s = seeded;
    const uint8_t *at = p;
    uint64_t word;
    size_t left = len;
    for (; left >= sizeof word; left -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        take(&s, word);
    }
    word = 0;
    if (left)
        memcpy(&word, at, left);
    take(&s, word | (uint64_t)len << 56);
    return finish(&s);
}
