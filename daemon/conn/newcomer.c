/* SPDX-License-Identifier: Apache-2.0 */
/* Belongs to its connection and is freed when that is no newcomer any more, or ends. */
#include "conn/newcomer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "conn/backoff.h"
#include "sched/sched.h"

struct ph_newcomer {
    const char *cookie; /* the access's, or NULL */
    struct sockaddr_storage addr;
    char address[INET6_ADDRSTRLEN + 8]; /* with brackets and port */
    bool challenged;
    uint8_t client_nonce[PH_NONCE], host_nonce[PH_NONCE];
    uint8_t *hello; /* a copy, or NULL */
    size_t hello_len;
};

static atomic_uint newcomers;

static void write_address(struct ph_newcomer *n)
{
    char text[INET6_ADDRSTRLEN] = "?";
    if (n->addr.ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&n->addr;
        inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof text);
        snprintf(n->address, sizeof n->address, "[%s]:%u", text, ntohs(a->sin6_port));
    } else {
        const struct sockaddr_in *a = (const struct sockaddr_in *)&n->addr;
        inet_ntop(AF_INET, &a->sin_addr, text, sizeof text);
        snprintf(n->address, sizeof n->address, "%s:%u", text, ntohs(a->sin_port));
    }
}

struct ph_newcomer *ph_newcomer_new(const struct ph_access *access, const struct sockaddr *addr, const char **why)
{
    if (atomic_fetch_add(&newcomers, 1) >= ph_limit(PH_LIMIT_HELLO_CONNECTIONS)) {
        atomic_fetch_sub(&newcomers, 1);
        ph_limit_met(PH_LIMIT_HELLO_CONNECTIONS);
        *why = "too many connections that have not said hello";
        return NULL;
    }
    struct ph_newcomer *n = ph_calloc(1, sizeof *n);
    n->cookie = access->cookie;
    memcpy(&n->addr, addr, addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    write_address(n);
    return n;
}

void ph_newcomer_free(struct ph_newcomer *n)
{
    if (!n)
        return;
    ph_free(n->hello);
    ph_free(n);
    atomic_fetch_sub(&newcomers, 1);
}

const char *ph_newcomer_address(const struct ph_newcomer *n)
{
    return n->address;
}

bool ph_newcomer_must_prove(const struct ph_newcomer *n)
{
    return n->cookie != NULL;
}

bool ph_newcomer_is_challenged(const struct ph_newcomer *n)
{
    return n->challenged;
}

const uint8_t *ph_newcomer_challenge(struct ph_newcomer *n, const uint8_t *client_nonce, struct ph_slice hello)
{
    if (ph_auth_nonce(n->host_nonce))
        return NULL;
    memcpy(n->client_nonce, client_nonce, PH_NONCE);
    if (!(n->hello = ph_alloc_try(hello.len)))
        return NULL;
    n->hello_len = hello.len;
    memcpy(n->hello, hello.p, hello.len);
    n->challenged = true;
    return n->host_nonce;
}

bool ph_newcomer_proves(const struct ph_newcomer *n, const uint8_t *shown, uint8_t ours[PH_PROOF], struct ph_slice *hello)
{
    if (!ph_auth_is_proof(n->cookie, PH_AUTH_CLIENT, n->client_nonce, n->host_nonce, shown))
        return false;
    ph_auth_proof(n->cookie, PH_AUTH_HOST, n->client_nonce, n->host_nonce, ours);
    *hello = (struct ph_slice){n->hello, n->hello_len};
    return true;
}

unsigned ph_newcomer_failed(const struct ph_newcomer *n)
{
    return n->cookie ? ph_backoff_failed((const struct sockaddr *)&n->addr, ph_now_ns()) : 0;
}
