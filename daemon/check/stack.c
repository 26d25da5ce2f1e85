/* SPDX-License-Identifier: Apache-2.0 */
/* Owns where libc lies, found once. Which frames are the host's is told from where the linker put its code. */
#include "check/stack.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "check/symbol.h"

#define RAW_DEPTH 40

extern const char __executable_start[], etext[]; /* the linker's */

static bool is_host(const void *at)
{
    return (uintptr_t)at >= (uintptr_t)__executable_start && (uintptr_t)at < (uintptr_t)etext;
}

static uintptr_t libc_begin, libc_end; /* its code; set by ph_stack_start */

static int find_libc(struct dl_phdr_info *info, size_t size, void *arg)
{
    uintptr_t in = (uintptr_t)arg;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, end = begin + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type != PT_LOAD || in < begin || in >= end)
            continue;
        libc_begin = begin;
        libc_end = end;
        return 1;
    }
    return 0;
}

void ph_stack_start(void)
{
    void *frame;
    backtrace(&frame, 1);
    dl_iterate_phdr(find_libc, dlsym(RTLD_DEFAULT, "pthread_create"));
}

static bool is_libc(const void *at)
{
    return (uintptr_t)at >= libc_begin && (uintptr_t)at < libc_end;
}

/* From what called the host up to what the host called. */
void ph_stack_take(struct ph_stack *s)
{
    void *raw[RAW_DEPTH];
    int n = backtrace(raw, RAW_DEPTH), i = 0;
    while (i < n && !is_host(raw[i])) /* a sanitizer's backtrace */
        i++;
    while (i < n && is_host(raw[i]))
        i++;
    s->n = 0;
    while (n > i && is_libc(raw[n - 1])) /* how a thread begins */
        n--;
    if (i == n)
        return;
    for (; i < n && s->n < PH_STACK_DEPTH && !is_host(raw[i]); i++)
        s->at[s->n++] = raw[i];
}

/* An address stands for the call before it. */
static bool look_up(const void *at, Dl_info *info)
{
    return dladdr((const char *)at - 1, info) != 0 && info->dli_fname;
}

void ph_stack_describe(const void *at, char *buf, size_t size)
{
    Dl_info info;
    char name[256];
    uint64_t offset = 0;
    if (!look_up(at, &info)) {
        snprintf(buf, size, "%p", at);
        return;
    }
    uint64_t in_file = (uintptr_t)at - (uintptr_t)info.dli_fbase;
    bool found = info.dli_sname != NULL;
    if (found) {
        snprintf(name, sizeof name, "%s", info.dli_sname);
        offset = (uintptr_t)at - (uintptr_t)info.dli_saddr;
    } else {
        found = ph_symbol_find(info.dli_fname, in_file - 1, name, sizeof name, &offset);
        offset++;
    }
    if (found)
        snprintf(buf, size, "%s+0x%jx (%s+0x%jx)", name, (uintmax_t)offset, info.dli_fname, (uintmax_t)in_file);
    else
        snprintf(buf, size, "%s+0x%jx", info.dli_fname, (uintmax_t)in_file);
}

bool ph_stack_object(const struct ph_stack *s, char *buf, size_t size)
{
    Dl_info info;
    for (unsigned i = 0; i < s->n; i++) {
        if (is_host(s->at[i]) || !look_up(s->at[i], &info))
            continue;
        const char *slash = strrchr(info.dli_fname, '/'), *name = slash ? slash + 1 : info.dli_fname;
        snprintf(buf, size, "%.*s", (int)strcspn(name, "."), name);
        return true;
    }
    return false;
}
