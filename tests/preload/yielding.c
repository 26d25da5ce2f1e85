/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into porthostd, it lets others run after each mutex that is given back: what should have been done before that, another thread does first. Other programs are left alone. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static bool on;
static int (*unlock)(pthread_mutex_t *mutex);

__attribute__((constructor)) static void begin(void)
{
    on = strcmp(program_invocation_short_name, "porthostd") == 0;
}

/* May be called before begin. */
int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    static const struct timespec moment = {.tv_nsec = 1000};
    if (!unlock)
        *(void **)(void *)&unlock = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    int err = unlock(mutex), saved = errno;
    if (on)
        nanosleep(&moment, NULL);
    errno = saved;
    return err;
}
