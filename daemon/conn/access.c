/* SPDX-License-Identifier: Apache-2.0 */
/* Who may connect over a listener, and what for. Any thread: what is here does not change. */
#include "conn/access.h"

#include <string.h>
#include <unistd.h>

#include "auth.h"
#include "base/address.h"
#include "base/mem.h"
#include "conn/socket_file.h"

#define MAX_GROUPS 1024 /* supplementary groups of a client that are looked at */

struct ph_access *ph_access_new(void)
{
    struct ph_access *a = ph_calloc(1, sizeof *a);
    atomic_init(&a->refs, 1);
    return a;
}

struct ph_access *ph_access_ref(struct ph_access *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void ph_access_unref(struct ph_access *a)
{
    if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    ph_free(a->unix_path);
    ph_free(a->tcp);
    ph_free(a->cookie_file);
    if (a->cookie)
        explicit_bzero(a->cookie, strlen(a->cookie));
    ph_free(a->cookie);
    ph_ids_clear(&a->uids);
    ph_ids_clear(&a->gids);
    ph_strings_clear(&a->open);
    ph_free(a);
}

bool ph_access_read_cookie(struct ph_access *a, char *why, size_t cap)
{
    if (!a->cookie_file)
        return true;
    a->cookie = ph_cookie_read(a->cookie_file, why, cap);
    return a->cookie != NULL;
}

static bool same_numbers(const char *a, const char *b)
{
    struct addrinfo *x = ph_address_numbers(a), *y = ph_address_numbers(b);
    bool same = x && y && ph_address_same(x->ai_addr, y->ai_addr);
    if (x)
        freeaddrinfo(x);
    if (y)
        freeaddrinfo(y);
    return same;
}

bool ph_access_same_place(const struct ph_access *a, const struct ph_access *b)
{
    if (a->unix_path && b->unix_path)
        return ph_socket_same_path(a->unix_path, b->unix_path);
    return a->tcp && b->tcp && (strcmp(a->tcp, b->tcp) == 0 || same_numbers(a->tcp, b->tcp));
}

bool ph_access_may_listen(const struct ph_access *a, const struct sockaddr *addr)
{
    return a->cookie || ph_address_is_loopback(addr);
}

static bool in_group(const struct ph_access *a, int fd)
{
    gid_t groups[MAX_GROUPS];
    socklen_t len = sizeof groups;
    if (a->gids.n == 0 || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
        return false;
    for (size_t i = 0; i < len / sizeof *groups; i++)
        if (ph_ids_have(&a->gids, groups[i]))
            return true;
    return false;
}

bool ph_access_admits(const struct ph_access *a, int fd)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
        return false;
    return cred.uid == geteuid() || cred.uid == 0 || ph_ids_have(&a->uids, cred.uid) || ph_ids_have(&a->gids, cred.gid) || in_group(a, fd);
}

bool ph_access_may_open(const struct ph_access *a, const char *name, size_t len)
{
    return ph_strings_have(&a->open, "*", 1) || ph_strings_have(&a->open, name, len);
}
