/* SPDX-License-Identifier: Apache-2.0 */
/* Owns where the libraries that the host is linked with lie, found once, and where what was loaded besides lay when a driver was unloaded last: its addresses stand
 * in reports that are made afterwards. */
#include "check/image.h"

#include <link.h>
#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"

extern const char __executable_start[], etext[]; /* the linker's */

struct object {
    uintptr_t base, begin, end;
    char *file; /* ours */
};

struct objects {
    struct object *v;
    size_t n;
};

static struct objects linked; /* written by ph_images_start only */
static pthread_mutex_t kept_mu = PTHREAD_MUTEX_INITIALIZER; /* guards kept; a leaf but for malloc */
static struct objects kept;

bool ph_image_is_host(const void *at)
{
    return (uintptr_t)at >= (uintptr_t)__executable_start && (uintptr_t)at < (uintptr_t)etext;
}

static const struct object *find(const struct objects *all, const void *at)
{
    for (size_t i = 0; i < all->n; i++)
        if ((uintptr_t)at >= all->v[i].begin && (uintptr_t)at < all->v[i].end)
            return &all->v[i];
    return NULL;
}

bool ph_image_is_linked(const void *at)
{
    return find(&linked, at) != NULL;
}

/* The program itself is none of them. */
static int add(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct objects *all = arg;
    struct object o = {.base = info->dlpi_addr, .begin = UINTPTR_MAX};
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, end = begin + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        o.begin = begin < o.begin ? begin : o.begin;
        o.end = end > o.end ? end : o.end;
    }
    if (ph_image_is_host((const void *)o.begin) || find(&linked, (const void *)o.begin))
        return 0;
    o.file = ph_strdup(info->dlpi_name);
    all->v = ph_realloc(all->v, (all->n + 1) * sizeof *all->v);
    all->v[all->n++] = o;
    return 0;
}

void ph_images_start(void)
{
    struct objects all = {0};
    dl_iterate_phdr(add, &all);
    linked = all;
}

void ph_images_keep(void)
{
    struct objects now = {0};
    dl_iterate_phdr(add, &now);
    pthread_mutex_lock(&kept_mu);
    struct objects before = kept;
    kept = now;
    pthread_mutex_unlock(&kept_mu);
    for (size_t i = 0; i < before.n; i++)
        ph_free(before.v[i].file);
    ph_free(before.v);
}

bool ph_image_gone(const void *at, char *buf, size_t size, uint64_t *in_file)
{
    pthread_mutex_lock(&kept_mu);
    const struct object *o = find(&kept, at);
    if (o) {
        snprintf(buf, size, "%s", o->file);
        *in_file = (uintptr_t)at - o->base;
    }
    pthread_mutex_unlock(&kept_mu);
    return o != NULL;
}
