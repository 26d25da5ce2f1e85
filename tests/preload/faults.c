/* SPDX-License-Identifier: Apache-2.0 */
/* A library for LD_PRELOAD that makes the system calls of porthostd fail, or do less than they were asked for; in other programs it does nothing. Calls of drivers are left
 * alone: they are not what is tried. Chosen by the environment:
 *
 *   FAULTS=KIND[,KIND...]   which:
 *       short    reads and writes of less than was asked for         eintr   EINTR from what may wait
 *       eagain   EAGAIN where the descriptor does not block
 *       reset    ECONNRESET and EPIPE on sockets                     fds     EMFILE and ENFILE where a descriptor comes to be
 *       memory   ENOMEM from the kernel, no memory from malloc       threads EAGAIN from pthread_create
 *       disk     ENOSPC, EDQUOT or EIO where a file is made, written, given room, linked, renamed, removed or has its rights set, and where a socket gets a file
 *   FAULTS_CALLS=NAME[,NAME...]  only these functions
 *   FAULTS_RATE=N           one call of N (default 10), by chance
 *   FAULTS_SEED=N           that begins with N (default 1): the same calls in the same order have the same faults
 *   FAULTS_WHILE=FILE       only as long as there is such a file
 *   FAULTS_COUNT=FILE       at the end a line is added to it: how many faults there were
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { SHORT = 1, EINTR_ = 2, EAGAIN_ = 4, RESET = 8, FDS = 16, MEMORY = 32, THREADS = 64, DISK = 128 };

static unsigned kinds; /* 0: nothing is done. These do not change after init */
static uint64_t rate = 10, seed = 1;
static const char *while_file, *count_file, *only; /* NULL: none, all */
static atomic_uint_fast64_t calls, faults;
static _Thread_local bool inside; /* our own calls */

__attribute__((constructor)) static void init(void)
{
    static const char *const names[] = {"short", "eintr", "eagain", "reset", "fds", "memory", "threads", "disk"};
    const char *wanted = getenv("FAULTS"), *n;
    unsigned chosen = 0;
    if (!wanted || strcmp(program_invocation_short_name, "porthostd") != 0)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(wanted, names[i]))
            chosen |= 1u << i;
    if ((n = getenv("FAULTS_RATE")))
        rate = strtoull(n, NULL, 10);
    if ((n = getenv("FAULTS_SEED")))
        seed = strtoull(n, NULL, 10);
    while_file = getenv("FAULTS_WHILE");
    count_file = getenv("FAULTS_COUNT");
    only = getenv("FAULTS_CALLS");
    kinds = chosen;
}

__attribute__((destructor)) static void tell(void)
{
    int fd = kinds && count_file ? (int)syscall(SYS_openat, AT_FDCWD, count_file, O_WRONLY | O_APPEND | O_CREAT, 0600) : -1;
    kinds = 0;
    if (fd >= 0)
        dprintf(fd, "%llu faults in %llu calls\n", (unsigned long long)faults, (unsigned long long)calls);
}

static bool is_from(const void *caller, const char *file)
{
    Dl_info info;
    bool before = inside;
    inside = true;
    bool yes = dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, file);
    inside = before;
    return yes;
}

/* splitmix64 */
static uint64_t chance(uint64_t n)
{
    uint64_t z = (seed * 0x9e3779b97f4a7c15u) + n * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool is_meant(const char *function)
{
    size_t len = strlen(function);
    for (const char *at = only; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
        if (strncmp(at, function, len) == 0 && (at[len] == '\0' || at[len] == ','))
            return true;
    return !only;
}

/* Is it this call's turn? *r: more chance, for the call to use. */
static bool strikes_by(unsigned kind, const char *function, const void *caller, uint64_t *r)
{
    if (!(kinds & kind) || inside || !is_meant(function))
        return false;
    *r = chance(atomic_fetch_add(&calls, 1));
    if (*r % rate != 0 || (while_file && syscall(SYS_access, while_file, F_OK) != 0) || is_from(caller, "_drv.so"))
        return false;
    *r /= rate;
    atomic_fetch_add(&faults, 1);
    return true;
}
#define STRIKES(kind) strikes_by(kind, __func__, __builtin_return_address(0), &r)

#define FAIL(error)          \
    do {                     \
        errno = (error);     \
        return -1;           \
    } while (0)

static int disk_error(uint64_t r)
{
    static const int errors[] = {ENOSPC, EDQUOT, EIO};
    return errors[r % 3];
}

/* NAME's next definition in `real`. */
#define REAL(result, name, ...)                        \
    static result (*real)(__VA_ARGS__);                \
    uint64_t r = 0;                                    \
    if (!real)                                         \
        *(void **)&real = dlsym(RTLD_NEXT, #name);     \
    (void)r

static bool is_socket(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool is_file(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_nonblocking(int fd)
{
    int flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK);
}

/* What reading and writing have in common: -1 and errno, or 0. */
#define COMMON(fd, broken, may_be_full)                              \
    do {                                                             \
        if (STRIKES(EINTR_))                                         \
            FAIL(EINTR);                                             \
        if ((may_be_full) && !is_file(fd) && is_nonblocking(fd) && STRIKES(EAGAIN_)) \
            FAIL(EAGAIN);                                            \
        if (is_socket(fd) && STRIKES(RESET))                         \
            FAIL(broken);                                            \
    } while (0)

/* An eventfd's and a timerfd's 8 bytes cannot be parted; and EAGAIN for a write to one says that whoever reads it will be woken in any case. */
#define SHORTEN(n)                       \
    do {                                 \
        if ((n) > 8 && STRIKES(SHORT))   \
            (n) = 1 + r % ((n) - 1);     \
    } while (0)

ssize_t read(int fd, void *buf, size_t n)
{
    REAL(ssize_t, read, int, void *, size_t);
    COMMON(fd, ECONNRESET, true);
    SHORTEN(n);
    return real(fd, buf, n);
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
    REAL(ssize_t, recv, int, void *, size_t, int);
    COMMON(fd, ECONNRESET, true);
    SHORTEN(n);
    return real(fd, buf, n, flags);
}

ssize_t write(int fd, const void *buf, size_t n)
{
    REAL(ssize_t, write, int, const void *, size_t);
    /* libevent tells its eventfd once, and the kernel does not interrupt what need not wait: a wake-up that is lost here would be ours. */
    if (n != 8 || !is_from(__builtin_return_address(0), "libevent"))
        COMMON(fd, EPIPE, n != 8);
    if (is_file(fd) && STRIKES(DISK))
        FAIL(disk_error(r));
    SHORTEN(n);
    return real(fd, buf, n);
}

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
    REAL(ssize_t, send, int, const void *, size_t, int);
    COMMON(fd, EPIPE, true);
    SHORTEN(n);
    return real(fd, buf, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
    COMMON(fd, EPIPE, true);
    return real(fd, msg, flags);
}

/* The first vectors only, and of the last of them a part. */
static int shorten_vector(struct iovec *part, const struct iovec *iov, int n, uint64_t chosen)
{
    int k = 1 + (int)(chosen % (uint64_t)n);
    k = k < 16 ? k : 16;
    memcpy(part, iov, (size_t)k * sizeof *part);
    if (part[k - 1].iov_len > 1)
        part[k - 1].iov_len = 1 + chosen / 16 % (part[k - 1].iov_len - 1);
    return k;
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
    struct iovec part[16];
    REAL(ssize_t, readv, int, const struct iovec *, int);
    COMMON(fd, ECONNRESET, true);
    if (n > 0 && STRIKES(SHORT))
        return real(fd, part, shorten_vector(part, iov, n, r));
    return real(fd, iov, n);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    struct iovec part[16];
    REAL(ssize_t, writev, int, const struct iovec *, int);
    COMMON(fd, EPIPE, true);
    if (n > 0 && STRIKES(SHORT))
        return real(fd, part, shorten_vector(part, iov, n, r));
    return real(fd, iov, n);
}

/* Up to 256 bytes come at once or not at all. */
ssize_t getrandom(void *buf, size_t n, unsigned flags)
{
    REAL(ssize_t, getrandom, void *, size_t, unsigned);
    if (STRIKES(EINTR_))
        FAIL(EINTR);
    return real(buf, n, flags);
}

/* --- waiting --- */

int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
    REAL(int, epoll_wait, int, struct epoll_event *, int, int);
    if (STRIKES(EINTR_))
        FAIL(EINTR);
    return real(epfd, events, max, timeout);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
    REAL(int, poll, struct pollfd *, nfds_t, int);
    if (STRIKES(EINTR_))
        FAIL(EINTR);
    return real(fds, n, timeout);
}

int sem_wait(void *sem);
int sem_wait(void *sem)
{
    REAL(int, sem_wait, void *);
    if (STRIKES(EINTR_))
        FAIL(EINTR);
    return real(sem);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    REAL(int, connect, int, const struct sockaddr *, socklen_t);
    if (STRIKES(EINTR_))
        FAIL(EINTR);
    return real(fd, addr, len);
}

/* --- descriptors --- */

#define NO_FD()                              \
    do {                                     \
        if (STRIKES(FDS))                    \
            FAIL(r % 2 ? EMFILE : ENFILE);   \
        if (STRIKES(MEMORY))                 \
            FAIL(ENOMEM);                    \
    } while (0)

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    REAL(int, accept4, int, struct sockaddr *, socklen_t *, int);
    if (STRIKES(EINTR_))
        FAIL(EINTR);
    if (STRIKES(EAGAIN_))
        FAIL(EAGAIN);
    if (STRIKES(RESET))
        FAIL(ECONNABORTED);
    NO_FD();
    return real(fd, addr, len, flags);
}

int socket(int domain, int type, int protocol)
{
    REAL(int, socket, int, int, int);
    NO_FD();
    return real(domain, type, protocol);
}

int eventfd(unsigned value, int flags)
{
    REAL(int, eventfd, unsigned, int);
    NO_FD();
    return real(value, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
    REAL(int, timerfd_create, clockid_t, int);
    NO_FD();
    return real(clock, flags);
}

int epoll_create1(int flags)
{
    REAL(int, epoll_create1, int);
    NO_FD();
    return real(flags);
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    REAL(int, epoll_ctl, int, int, int, struct epoll_event *);
    if (op == EPOLL_CTL_ADD && STRIKES(MEMORY))
        FAIL(r % 2 ? ENOMEM : ENOSPC);
    return real(epfd, op, fd, event);
}

static bool makes_file(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

int open(const char *name, int flags, ...)
{
    REAL(int, open, const char *, int, ...);
    va_list ap;
    va_start(ap, flags);
    mode_t mode = makes_file(flags) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if (makes_file(flags) && STRIKES(DISK))
        FAIL(disk_error(r));
    NO_FD();
    return real(name, flags, mode);
}

int openat(int dir, const char *name, int flags, ...)
{
    REAL(int, openat, int, const char *, int, ...);
    va_list ap;
    va_start(ap, flags);
    mode_t mode = makes_file(flags) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if (makes_file(flags) && STRIKES(DISK))
        FAIL(disk_error(r));
    NO_FD();
    return real(dir, name, flags, mode);
}

FILE *fopen(const char *name, const char *mode)
{
    REAL(FILE *, fopen, const char *, const char *);
    if (STRIKES(FDS)) {
        errno = EMFILE;
        return NULL;
    }
    return real(name, mode);
}

/* A function that may only fail. */
#define DISK_CALL(name, parameters, ...)      \
    int name parameters                       \
    {                                         \
        static int(*real) parameters;         \
        uint64_t r = 0;                       \
        if (!real)                            \
            *(void **)&real = dlsym(RTLD_NEXT, #name); \
        if (STRIKES(DISK))                    \
            FAIL(disk_error(r));              \
        return real(__VA_ARGS__);             \
    }

DISK_CALL(renameat, (int olddir, const char *old, int newdir, const char *new), olddir, old, newdir, new)
DISK_CALL(linkat, (int olddir, const char *old, int newdir, const char *new, int flags), olddir, old, newdir, new, flags)
DISK_CALL(unlinkat, (int dir, const char *name, int flags), dir, name, flags)
DISK_CALL(unlink, (const char *name), name)
DISK_CALL(chmod, (const char *name, mode_t mode), name, mode)
DISK_CALL(lchown, (const char *name, uid_t owner, gid_t group), name, owner, group)
DISK_CALL(fallocate, (int fd, int mode, off_t from, off_t len), fd, mode, from, len)

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    REAL(int, bind, int, const struct sockaddr *, socklen_t);
    if (addr->sa_family == AF_UNIX && STRIKES(DISK))
        FAIL(disk_error(r));
    return real(fd, addr, len);
}

/* --- threads --- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    REAL(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (STRIKES(THREADS | MEMORY))
        return EAGAIN;
    return real(thread, attr, run, arg);
}

/* --- memory --- */

#ifndef PH_SANITIZER /* a sanitizer has its own */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

#define NO_MEMORY()            \
    do {                       \
        uint64_t r = 0;        \
        if (STRIKES(MEMORY)) { \
            errno = ENOMEM;    \
            return NULL;       \
        }                      \
    } while (0)

void *malloc(size_t n)
{
    NO_MEMORY();
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    NO_MEMORY();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    NO_MEMORY();
    return __libc_realloc(p, n);
}
#endif
