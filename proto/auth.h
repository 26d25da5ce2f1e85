/* SPDX-License-Identifier: Apache-2.0 */
/* The cookie and what is proven with it, as in section 3 of PROTOCOL.md: for both ends of a connection. No state; any thread. */
#ifndef PH_AUTH_H
#define PH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PH_COOKIE_MIN 16u /* bytes */
#define PH_COOKIE_MAX 1024u
#define PH_NONCE 32u
#define PH_PROOF 32u

enum ph_auth_role { PH_AUTH_CLIENT, PH_AUTH_HOST };

/* Bytes that nobody can know before. 0, or -1 with errno. */
int ph_auth_nonce(uint8_t nonce[PH_NONCE]);
/* What that end shows to prove that it knows the cookie. */
void ph_auth_proof(const char *cookie, enum ph_auth_role role, const uint8_t *client_nonce, const uint8_t *host_nonce, uint8_t proof[PH_PROOF]);
/* Is `shown`, PH_PROOF bytes, that proof? The time it takes does not depend on where they differ. */
bool ph_auth_is_proof(const char *cookie, enum ph_auth_role role, const uint8_t *client_nonce, const uint8_t *host_nonce, const uint8_t *shown);

/* The cookie in a file, without the ends of lines behind it: new, NUL-terminated, to be freed with free() after memory is no longer needed. NULL, and in why
 * what is wrong: no such regular file, others than its owner may read or write it, it is neither this process's user's nor root's, it holds a NUL byte,
 * fewer than PH_COOKIE_MIN bytes or more than PH_COOKIE_MAX. May block. */
char *ph_cookie_read(const char *file, char *why, size_t cap);

#endif
