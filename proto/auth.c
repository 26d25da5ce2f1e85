/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA-256 and a comparison in constant time are nettle's; the role and both nonces are under the hash, so that nothing that was once said can be
 * said again, by either end. */
#include "auth.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "whole.h"

int ph_auth_nonce(uint8_t nonce[PH_NONCE])
{
    ssize_t n;
    do
        n = getrandom(nonce, PH_NONCE, 0);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)PH_NONCE ? 0 : -1;
}

void ph_auth_proof(const char *cookie, enum ph_auth_role role, const uint8_t *client_nonce, const uint8_t *host_nonce, uint8_t proof[PH_PROOF])
{
    static const char client[] = "porthost 1 client", host[] = "porthost 1 host"; /* with their NUL */
    struct hmac_sha256_ctx ctx;
    hmac_sha256_set_key(&ctx, strlen(cookie), (const uint8_t *)cookie);
    if (role == PH_AUTH_CLIENT)
        hmac_sha256_update(&ctx, sizeof client, (const uint8_t *)client);
    else
        hmac_sha256_update(&ctx, sizeof host, (const uint8_t *)host);
    hmac_sha256_update(&ctx, PH_NONCE, client_nonce);
    hmac_sha256_update(&ctx, PH_NONCE, host_nonce);
    hmac_sha256_digest(&ctx, PH_PROOF, proof);
    explicit_bzero(&ctx, sizeof ctx);
}

bool ph_auth_is_proof(const char *cookie, enum ph_auth_role role, const uint8_t *client_nonce, const uint8_t *host_nonce, const uint8_t *shown)
{
    uint8_t proof[PH_PROOF];
    ph_auth_proof(cookie, role, client_nonce, host_nonce, proof);
    bool same = memeql_sec(proof, shown, PH_PROOF);
    explicit_bzero(proof, sizeof proof);
    return same;
}

/* What is wrong with the file that was opened, or NULL. */
static const char *unfit(int fd)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "not a regular file";
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return "the file belongs to another user";
    if (st.st_mode & 077)
        return "others than its owner have access to the file; its mode must be 0600 or less";
    return NULL;
}

/* What is wrong with the cookie of n bytes, or NULL. */
static const char *unfit_text(const char *text, ssize_t n)
{
    if (n < 0)
        return strerror(errno);
    if (n < (ssize_t)PH_COOKIE_MIN || n > (ssize_t)PH_COOKIE_MAX)
        return "the cookie must have 16 to 1024 bytes";
    return memchr(text, '\0', (size_t)n) ? "the cookie holds a NUL byte" : NULL;
}

char *ph_cookie_read(const char *file, char *why, size_t cap)
{
    char text[PH_COOKIE_MAX + 3], *cookie = NULL; /* room for one byte too many, and the end of a line */
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *wrong = unfit(fd);
    if (!wrong) {
        ssize_t n = ph_read_whole(fd, text, sizeof text);
        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
            n--;
        wrong = unfit_text(text, n);
        cookie = wrong ? NULL : strndup(text, (size_t)n);
        explicit_bzero(text, sizeof text);
    }
    if (!cookie)
        snprintf(why, cap, "%s: %s", file, wrong ? wrong : strerror(errno));
    if (fd >= 0)
        close(fd);
    return cookie;
}
