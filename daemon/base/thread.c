/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the thread-local ph_self and the way threads of the host, and those of erl_drv_thread_create, come into being.
 * ph_thread_start may be called from any thread. Setting up ph_self is up to the function that runs in the thread. */
#include "base/thread.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define NAME_MAX_BYTES 15 /* what Linux keeps */

_Thread_local struct ph_thread ph_self;

static atomic_uint started; /* and not at their end yet */

/* Allocated by the starter, freed by the new thread, like the alternate stack. */
struct start {
    void *(*run)(void *);
    void *arg;
    void *alt_stack;
    char name[NAME_MAX_BYTES + 1];
};

void ph_thread_alt_stack(void *memory, stack_t *before)
{
    const stack_t stack = {.ss_sp = memory, .ss_size = PH_ALT_STACK};
    sigaltstack(&stack, before);
}

struct alt_stack {
    void *memory;
    stack_t before; /* a sanitizer's, perhaps */
};

static void drop_alt_stack(void *arg)
{
    struct alt_stack *alt = arg;
    sigaltstack(&alt->before, NULL);
    ph_free(alt->memory);
    atomic_fetch_sub(&started, 1);
}

static void *thread_main(void *p)
{
    struct start s = *(struct start *)p;
    struct alt_stack alt = {.memory = s.alt_stack};
    void *result;
    ph_free(p);
    pthread_setname_np(pthread_self(), s.name);
    ph_thread_alt_stack(alt.memory, &alt.before);
    pthread_cleanup_push(drop_alt_stack, &alt); /* also after pthread_exit */
    result = s.run(s.arg);
    pthread_cleanup_pop(1);
    return result;
}

/* Signals are the main thread's business. Those a fault raises stay open: a blocked one would kill the process without
 * the handler that writes the crash log. */
static void blocked_signals(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigfillset(set);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        sigdelset(set, faults[i]);
    }
}

/* A size is a suggestion: what is too small for the system is raised. */
static int set_stack(pthread_attr_t *attr, size_t stack)
{
    if (stack == 0) {
        return 0;
    }
    size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    return pthread_attr_setstacksize(attr, stack < least ? least : stack);
}

int ph_thread_start(pthread_t *tid, const char *name, size_t stack, void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err != 0) {
        return err;
    }
    sigset_t blocked;
    blocked_signals(&blocked);
    err = pthread_attr_setsigmask_np(&attr, &blocked);
    if (err == 0) {
        err = set_stack(&attr, stack);
    }
    if (err == 0) {
        struct start *s = ph_alloc(sizeof *s);
        *s = (struct start){.run = run, .arg = arg, .alt_stack = ph_alloc_try(PH_ALT_STACK)};
        memcpy(s->name, name, strnlen(name, NAME_MAX_BYTES));
        atomic_fetch_add(&started, 1);
        err = s->alt_stack == NULL ? ENOMEM : pthread_create(tid, &attr, thread_main, s);
        if (err != 0) {
            atomic_fetch_sub(&started, 1);
            ph_free(s->alt_stack);
            ph_free(s);
        }
    }
    pthread_attr_destroy(&attr);
    return err;
}

bool ph_thread_knows_all(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned n = 0;
    if (!tasks)
        return false;
    for (const struct dirent *e; (e = readdir(tasks));)
        n += e->d_name[0] != '.';
    closedir(tasks);
    return n == atomic_load(&started) + 1;
}
