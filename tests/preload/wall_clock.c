/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into porthostd, it moves its wall clock; other programs are left alone. By the environment:
 *
 *   WALL_CLOCK=FILE   by as many seconds as the first 8 bytes of the file say, a number of this machine, which may change at any time
 *   WALL_STEPS_MS=N   else every N milliseconds to another time, by chance up to 12 hours before or after the right one
 *
 * A wait of the daemon's that goes by the wall clock, and so would be cut short or drawn out when somebody sets it, ends the program. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t none, *moved_s = &none;
static int64_t steps_ms; /* 0: none; does not change after the start */
static bool on;

__attribute__((constructor)) static void begin(void)
{
    on = strcmp(program_invocation_short_name, "porthostd") == 0;
    const char *file = on ? getenv("WALL_CLOCK") : NULL, *steps = on && !file ? getenv("WALL_STEPS_MS") : NULL;
    steps_ms = steps ? atoll(steps) : 0;
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *moved_s, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (p != MAP_FAILED)
        moved_s = p;
}

static int64_t moved(void)
{
    struct timespec ts;
    if (!steps_ms)
        return atomic_load(moved_s);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
    uint64_t step = ((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000) / (uint64_t)steps_ms;
    return (int64_t)((step * 0x9e3779b97f4a7c15u >> 32) % (24 * 3600)) - 12 * 3600;
}

static _Noreturn void by_wall_clock(const char *function)
{
    static const char text[] = ": a wait that goes by the wall clock\n";
    if (write(STDERR_FILENO, function, strlen(function)) > 0 && write(STDERR_FILENO, text, sizeof text - 1) > 0)
        abort();
    _exit(1);
}

static int is_wall(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI || clock == CLOCK_REALTIME_ALARM;
}

/* --- reading --- */

int clock_gettime(clockid_t clock, struct timespec *ts)
{
    int result = (int)syscall(SYS_clock_gettime, clock, ts);
    if (result == 0 && is_wall(clock))
        ts->tv_sec += moved();
    return result;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &ts);
    *tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *to)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (to)
        *to = ts.tv_sec;
    return ts.tv_sec;
}

/* --- waiting --- */

#define WAIT(name, parameters, ...)                    \
    int name parameters                                \
    {                                                  \
        static int(*real) parameters;                  \
        if (on)                                        \
            by_wall_clock(#name);                      \
        if (!real)                                     \
            *(void **)&real = dlsym(RTLD_NEXT, #name); \
        return real(__VA_ARGS__);                      \
    }

WAIT(pthread_cond_timedwait, (pthread_cond_t *restrict cond, pthread_mutex_t *restrict mu, const struct timespec *restrict until), cond, mu, until)
WAIT(pthread_mutex_timedlock, (pthread_mutex_t *restrict mu, const struct timespec *restrict until), mu, until)
WAIT(sem_timedwait, (sem_t *restrict sem, const struct timespec *restrict until), sem, until)
WAIT(timer_create, (clockid_t clock, struct sigevent *restrict event, timer_t *restrict timer), clock, event, timer)

int timerfd_create(clockid_t clock, int flags)
{
    if (on && is_wall(clock))
        by_wall_clock("timerfd_create");
    return (int)syscall(SYS_timerfd_create, clock, flags);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *request, struct timespec *left)
{
    if (on && is_wall(clock) && (flags & TIMER_ABSTIME))
        by_wall_clock("clock_nanosleep");
    return syscall(SYS_clock_nanosleep, clock, flags, request, left) ? errno : 0;
}
