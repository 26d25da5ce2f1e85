/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the signal that asks a thread for its stack. Which frames are the host's is told by image.c. */
#include "check/stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check/image.h"
#include "check/symbol.h"

#define RAW_DEPTH 40
#define STACK_SIGNAL (SIGRTMAX - 1) /* nobody's */

static void on_question(int sig);

void ph_stack_start(void)
{
    const struct sigaction sa = {.sa_handler = on_question, .sa_flags = SA_RESTART | SA_ONSTACK};
    void *frame;
    backtrace(&frame, 1);
    ph_images_start();
    sigaction(STACK_SIGNAL, &sa, NULL);
}

/* The first frame behind those of the host that are at it now. */
static int behind_host(void *const *raw, int n)
{
    int i = 0;
    while (i < n && !ph_image_is_host(raw[i])) /* a sanitizer's backtrace */
        i++;
    while (i < n && ph_image_is_host(raw[i]))
        i++;
    return i;
}

/* From there up to what the host called, which may be the linker or what begins a thread: they are not shown. */
static void keep(struct ph_stack *s, void *const *raw, int i, int n)
{
    s->n = 0;
    for (; i < n && s->n < PH_STACK_DEPTH && !ph_image_is_host(raw[i]); i++)
        s->at[s->n++] = raw[i];
    while (s->n > 0 && ph_image_is_linked(s->at[s->n - 1]))
        s->n--;
}

/* From what called the host up to what the host called. */
void ph_stack_take(struct ph_stack *s)
{
    void *raw[RAW_DEPTH];
    int n = backtrace(raw, RAW_DEPTH), i = behind_host(raw, n);
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

/* From the function of a library that the driver is in, or else the driver itself, up to what the host called. A driver that has called the host is behind it and
 * its libraries; behind the handler comes what the kernel returns to. */
static void take_interrupted(struct ph_stack *s)
{
    void *raw[RAW_DEPTH];
    int n = backtrace(raw, RAW_DEPTH), first = behind_host(raw, n) + 1, i = first;
    while (i < n && (ph_image_is_host(raw[i]) || ph_image_is_linked(raw[i])))
        i++;
    while (i < n && i > first && ph_image_is_linked(raw[i - 1]))
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

struct place {
    char name[256];  /* of the function, or empty */
    uint64_t offset; /* in it */
    char file[PATH_MAX];
    uint64_t in_file;
};

static void find_symbol(struct place *p)
{
    if (ph_symbol_find(p->file, p->in_file - 1, p->name, sizeof p->name, &p->offset))
        p->offset++;
}

/* False: it is in no object, and was in none. */
static bool find_place(const void *at, struct place *p)
{
    Dl_info info;
    bool loaded = look_up(at, &info);
    *p = (struct place){.in_file = 0};
    if (!loaded && !ph_image_gone(at, p->file, sizeof p->file, &p->in_file))
        return false;
    if (loaded) {
        snprintf(p->file, sizeof p->file, "%s", info.dli_fname);
        p->in_file = (uintptr_t)at - (uintptr_t)info.dli_fbase;
    }
    if (!loaded || !info.dli_sname) {
        find_symbol(p);
        return true;
    }
    snprintf(p->name, sizeof p->name, "%s", info.dli_sname);
    p->offset = (uintptr_t)at - (uintptr_t)info.dli_saddr;
    return true;
}

void ph_stack_describe(const void *at, char *buf, size_t size)
{
    struct place p;
    if (!find_place(at, &p))
        snprintf(buf, size, "%p", at);
    else if (p.name[0])
        snprintf(buf, size, "%s+0x%jx (%s+0x%jx)", p.name, (uintmax_t)p.offset, p.file, (uintmax_t)p.in_file);
    else
        snprintf(buf, size, "%s+0x%jx", p.file, (uintmax_t)p.in_file);
}

bool ph_stack_object(const struct ph_stack *s, char *buf, size_t size)
{
    Dl_info info;
    for (unsigned i = 0; i < s->n; i++) {
        if (ph_image_is_host(s->at[i]) || ph_image_is_linked(s->at[i]) || !look_up(s->at[i], &info))
            continue;
        const char *slash = strrchr(info.dli_fname, '/'), *name = slash ? slash + 1 : info.dli_fname;
        snprintf(buf, size, "%.*s", (int)strcspn(name, "."), name);
        return true;
    }
    return false;
}
