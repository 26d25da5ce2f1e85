/* SPDX-License-Identifier: Apache-2.0 */
/* Owns where libc lies, found once, and the signal that asks a thread for its stack. Which frames are the host's is told from where the linker put its code. */
#include "check/stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check/symbol.h"

#define RAW_DEPTH 40
#define STACK_SIGNAL (SIGRTMAX - 1) /* nobody's */

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

static void on_question(int sig);

void ph_stack_start(void)
{
    const struct sigaction sa = {.sa_handler = on_question, .sa_flags = SA_RESTART | SA_ONSTACK};
    void *frame;
    backtrace(&frame, 1);
    dl_iterate_phdr(find_libc, dlsym(RTLD_DEFAULT, "pthread_create"));
    sigaction(STACK_SIGNAL, &sa, NULL);
}

static bool is_libc(const void *at)
{
    return (uintptr_t)at >= libc_begin && (uintptr_t)at < libc_end;
}

/* The first frame behind those of the host that are at it now. */
static int behind_host(void *const *raw, int n)
{
    int i = 0;
    while (i < n && !is_host(raw[i])) /* a sanitizer's backtrace */
        i++;
    while (i < n && is_host(raw[i]))
        i++;
    return i;
}

/* From there up to what the host called. */
static void keep(struct ph_stack *s, void *const *raw, int i, int n)
{
    s->n = 0;
    for (; i < n && s->n < PH_STACK_DEPTH && !is_host(raw[i]); i++)
        s->at[s->n++] = raw[i];
}

/* From what called the host up to what the host called. */
void ph_stack_take(struct ph_stack *s)
{
    void *raw[RAW_DEPTH];
    int n = backtrace(raw, RAW_DEPTH), i = behind_host(raw, n);
    while (n > i && is_libc(raw[n - 1])) /* how a thread begins */
        n--;
    keep(s, raw, i, n);
}

/* --- of another thread, by a signal --- */

#define ANSWER_MS 1000u /* one that has blocked the signal does not answer */
#define NOBODY 0
#define ANSWERING (-1)
#define ANSWERED (-2)

static struct {
    atomic_int whose; /* the thread that is asked, or one of those above */
    struct ph_stack stack; /* the answering thread's, then the asker's */
} question;

/* From the function of libc that the driver is in, or else the driver itself, up to what the host called; behind the handler comes what the kernel returns to. */
static void take_interrupted(struct ph_stack *s)
{
    void *raw[RAW_DEPTH];
    int n = backtrace(raw, RAW_DEPTH), first = behind_host(raw, n) + 1, i = first;
    while (i < n && (is_host(raw[i]) || is_libc(raw[i])))
        i++;
    while (i < n && i > first && is_libc(raw[i - 1]))
        i--;
    keep(s, raw, i, n);
}

static void on_question(int sig)
{
    int me = gettid(), saved_errno = errno;
    (void)sig;
    if (atomic_compare_exchange_strong(&question.whose, &me, ANSWERING)) {
        take_interrupted(&question.stack);
        atomic_store(&question.whose, ANSWERED);
    }
    errno = saved_errno;
}

bool ph_stack_take_of(pid_t thread, struct ph_stack *s)
{
    static const struct timespec moment = {.tv_nsec = 1000000};
    atomic_store(&question.whose, thread);
    tgkill(getpid(), thread, STACK_SIGNAL);
    for (unsigned ms = 0; atomic_load(&question.whose) != ANSWERED; ms++) {
        int asked = thread;
        if (ms >= ANSWER_MS && atomic_compare_exchange_strong(&question.whose, &asked, NOBODY))
            return false;
        nanosleep(&moment, NULL);
    }
    *s = question.stack;
    atomic_store(&question.whose, NOBODY);
    return true;
}

void ph_stack_answer_here(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, STACK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* --- in words --- */

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
