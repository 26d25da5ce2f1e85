/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a program, it moves that program's wall clock: by as many seconds as the first 8 bytes of the file $WALL_CLOCK say, a number of this machine, which may
 * change at any time. A wait that goes by the wall clock, and so would be cut short or drawn out when somebody sets it, ends the program. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
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

__attribute__((constructor)) static void find_file(void)
{
    const char *file = getenv("WALL_CLOCK");
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *moved_s, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (p != MAP_FAILED)
        moved_s = p;
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
        ts->tv_sec += atomic_load(moved_s);
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

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mu, const struct timespec *restrict until)
{
    (void)cond;
    (void)mu;
    (void)until;
    by_wall_clock("pthread_cond_timedwait");
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mu, const struct timespec *restrict until)
{
    (void)mu;
    (void)until;
    by_wall_clock("pthread_mutex_timedlock");
}

int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict until)
{
    (void)sem;
    (void)until;
    by_wall_clock("sem_timedwait");
}

int timerfd_create(clockid_t clock, int flags)
{
    if (is_wall(clock))
        by_wall_clock("timerfd_create");
    return (int)syscall(SYS_timerfd_create, clock, flags);
}

int timer_create(clockid_t clock, struct sigevent *restrict event, timer_t *restrict timer)
{
    (void)clock;
    (void)event;
    (void)timer;
    by_wall_clock("timer_create");
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *request, struct timespec *left)
{
    if (is_wall(clock) && (flags & TIMER_ABSTIME))
        by_wall_clock("clock_nanosleep");
    return syscall(SYS_clock_nanosleep, clock, flags, request, left) ? errno : 0;
}
