/* SPDX-License-Identifier: Apache-2.0 */
/* A table of the addresses that failed last. When it is full, the one whose last failure is the longest ago makes room: who floods it from many addresses
 * wins no more than the first delay for each. */
#include "conn/backoff.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

struct culprit {
    uint8_t key[9];   /* 4 and the address, or 6 and a prefix; zeros: free */
    unsigned delay_ms;
    uint64_t last_ns;
};

static struct culprit culprits[PH_BACKOFF_ADDRESSES];
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards the table; a leaf */

static void make_key(const struct sockaddr *addr, uint8_t key[9])
{
    memset(key, 0, 9);
    if (addr->sa_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(a);
        key[0] = mapped ? 4 : 6;
        memcpy(key + 1, a->s6_addr + (mapped ? 12 : 0), mapped ? 4 : 8);
    } else {
        key[0] = 4;
        memcpy(key + 1, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
    }
}

/* The address's place, else a free one, else the oldest. */
static struct culprit *find_locked(const uint8_t key[9])
{
    struct culprit *oldest = culprits;
    for (struct culprit *c = culprits; c < culprits + PH_BACKOFF_ADDRESSES; c++) {
        if (memcmp(c->key, key, sizeof c->key) == 0)
            return c;
        if (c->last_ns < oldest->last_ns)
            oldest = c;
    }
    memcpy(oldest->key, key, sizeof oldest->key);
    oldest->delay_ms = 0;
    return oldest;
}

unsigned ph_backoff_failed(const struct sockaddr *addr, uint64_t now_ns)
{
    uint8_t key[9];
    make_key(addr, key);
    pthread_mutex_lock(&mu);
    struct culprit *c = find_locked(key);
    bool again = c->delay_ms && now_ns - c->last_ns < PH_BACKOFF_FORGET_NS;
    unsigned delay = again ? c->delay_ms * 2 : PH_BACKOFF_FIRST_MS;
    c->delay_ms = delay < PH_BACKOFF_MOST_MS ? delay : PH_BACKOFF_MOST_MS;
    c->last_ns = now_ns;
    delay = c->delay_ms;
    pthread_mutex_unlock(&mu);
    return delay;
}
