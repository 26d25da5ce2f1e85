/* SPDX-License-Identifier: Apache-2.0 */
/* What comes over TCP before the host says hello: two connections to a listener with a cookie, one to a listener without. The input is a sequence of steps: a byte that
 * says which connection (bits 0, 1) and what (bits 2 to 4), then, for what takes bytes, one byte of length and the bytes.
 *
 *   0 a frame with this term   1 these bytes as they are   2 the client goes away, and the next comes   3 a hello with a nonce, whose options go on with these bytes
 *   4 the proof                5 the proof, but for a bit  6 the proof for the other connection         7 the client reads what is there
 *
 * Who has not shown the proof hears a challenge, a goodbye, and nothing else; who has is shown the host's. Failures are counted for the address, but told at once. */
#include <netinet/in.h>
#include <string.h>

#include "auth.h"
#include "conn/backoff.h"
#include "host.h"

#define CLIENTS 3
#define COOKIE "0123456789abcdef"

static struct newcomer {
    struct fuzz_client client;
    size_t at;   /* frames until there were looked at */
    bool challenged, proven;
    uint8_t nonce[PH_NONCE], host_nonce[PH_NONCE]; /* of its last hello, and of the challenge */
    uint8_t hosts_proof[PH_PROOF]; /* if it is proven */
} newcomers[CLIENTS];

static struct ph_access *with_cookie, *without;

/* In place of the daemon's function (see the Makefile): it is the daemon's that counts, but nobody waits. */
unsigned __real_ph_backoff_failed(const struct sockaddr *addr, uint64_t now_ns);
unsigned __wrap_ph_backoff_failed(const struct sockaddr *addr, uint64_t now_ns);
unsigned __wrap_ph_backoff_failed(const struct sockaddr *addr, uint64_t now_ns)
{
    FUZZ_ASSERT(__real_ph_backoff_failed(addr, now_ns) >= PH_BACKOFF_FIRST_MS);
    return 1;
}

static bool must_prove(const struct newcomer *n)
{
    return n != &newcomers[2];
}

static void come(struct newcomer *n)
{
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(4711)};
    const char *why;
    struct ph_access *access = must_prove(n) ? with_cookie : without;
    struct ph_newcomer *newcomer = ph_newcomer_new(access, (const struct sockaddr *)&addr, &why);
    FUZZ_ASSERT(newcomer);
    n->at = 0;
    n->challenged = n->proven = false;
    fuzz_connect(&n->client, access, newcomer);
}

/* {hello, 1, #{auth => Nonce, ...}}; a map of one pair, or of two if there is more. */
static void say_hello(struct newcomer *n, const uint8_t *more, size_t len)
{
    static const uint8_t begin[] = "\x68\x03\x77\x05" "hello" "\x61\x01\x74\0\0\0", key[] = "\x77\x04" "auth" "\x6d\0\0\0\x20";
    uint8_t frame[sizeof begin + sizeof key + PH_NONCE + 256], *p = frame;
    memset(n->nonce, len ? more[0] : 7, PH_NONCE);
    p = (uint8_t *)mempcpy(p, begin, sizeof begin - 1);
    *p++ = len ? 2 : 1;
    p = (uint8_t *)mempcpy(p, key, sizeof key - 1);
    p = (uint8_t *)mempcpy(p, n->nonce, PH_NONCE);
    p = (uint8_t *)mempcpy(p, more, len);
    fuzz_send_frame(&n->client, frame, (size_t)(p - frame));
}

static void prove(struct newcomer *n, const uint8_t *host_nonce, uint8_t wrong)
{
    uint8_t frame[13 + PH_PROOF] = "\x68\x02\x77\x04" "auth" "\x6d\0\0\0\x20";
    ph_auth_proof(COOKIE, PH_AUTH_CLIENT, n->nonce, host_nonce, frame + 13);
    frame[13 + wrong % PH_PROOF] ^= (uint8_t)(wrong ? 1 << wrong % 8 : 0);
    fuzz_send_frame(&n->client, frame, sizeof frame);
}

static void check_hello(const struct newcomer *n, struct ph_cur term)
{
    FUZZ_ASSERT(n->proven);
    FUZZ_ASSERT(memmem(term.p, (size_t)(term.end - term.p), n->hosts_proof, PH_PROOF));
}

static void look_at(struct newcomer *n)
{
    struct ph_cur term;
    struct ph_slice nonce;
    uint32_t arity;
    while (fuzz_next_frame(&n->client, &n->at, &term)) {
        FUZZ_ASSERT(ph_etf_tuple(&term, &arity) == 0);
        if (!must_prove(n)) {
            FUZZ_ASSERT(ph_etf_is_atom(&term, "challenge"));
        } else if (ph_etf_is_atom(&term, "challenge") == 0) {
            FUZZ_ASSERT(!n->challenged && ph_etf_binary(&term, &nonce) == 0 && nonce.len == PH_NONCE);
            n->challenged = true;
            memcpy(n->host_nonce, nonce.p, PH_NONCE);
        } else if (ph_etf_is_atom(&term, "hello") == 0) {
            check_hello(n, term);
        } else {
            FUZZ_ASSERT(n->proven || ph_etf_is_atom(&term, "goodbye") == 0);
        }
    }
}

static void hear(struct newcomer *n)
{
    fuzz_hear_within(&n->client, 2);
    look_at(n);
}

static void go(struct newcomer *n)
{
    fuzz_end(&n->client);
    look_at(n);
}

static void step(const uint8_t **p, const uint8_t *end)
{
    uint8_t how = fuzz_byte(p, end), what = how >> 2 & 7;
    struct newcomer *n = &newcomers[(how & 3) % CLIENTS], *other = &newcomers[n == newcomers];
    size_t len = what == 0 || what == 1 || what == 3 ? fuzz_byte(p, end) : 0;
    if (len > (size_t)(end - *p))
        len = (size_t)(end - *p);
    if (what >= 4)
        hear(n);
    switch (what) {
    case 0: fuzz_send_frame(&n->client, *p, len); break;
    case 1: fuzz_send(&n->client, *p, len); break;
    case 2:
        go(n);
        come(n);
        break;
    case 3: say_hello(n, *p, len); break;
    case 4:
        if (n->challenged && !n->proven)
            ph_auth_proof(COOKIE, PH_AUTH_HOST, n->nonce, n->host_nonce, n->hosts_proof);
        n->proven = n->challenged;
        prove(n, n->host_nonce, 0);
        break;
    case 5: prove(n, n->host_nonce, (uint8_t)(how >> 5) + 1); break;
    case 6: prove(n, other->host_nonce, 0); break;
    default: break;
    }
    *p += len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *p = data, *end = data + size;
    fuzz_host_start();
    if (!with_cookie) {
        with_cookie = ph_access_new();
        without = ph_access_new();
        with_cookie->cookie = strdup(COOKIE);
        FUZZ_ASSERT(with_cookie->cookie);
    }
    for (int i = 0; i < CLIENTS; i++)
        come(&newcomers[i]);
    for (int steps = 0; p < end && steps < 64; steps++)
        step(&p, end);
    for (int i = 0; i < CLIENTS; i++)
        go(&newcomers[i]);
    fuzz_await_nothing_left();
    return 0;
}
