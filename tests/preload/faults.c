/* SPDX-License-Identifier: Apache-2.0 */
/* A library for LD_PRELOAD that makes the system calls of porthostd fail, or do less than they were asked for; in other programs it does nothing. Calls of drivers are left
 * alone: they are not what is tried. Chosen by the environment:
 *
 *   FAULTS=KIND[,KIND...]   which:
 *       short    reads of less than is there, writes of less than was asked for: half of them within the first bytes, where a frame's head is
 *       eintr    EINTR from what may wait, and from the close of a file, which is closed all the same
 *       eagain   EAGAIN where the descriptor does not block
 *       reset    ECONNRESET and the like on sockets, EPIPE on sockets and pipes
 *       fds      EMFILE and ENFILE where a descriptor comes to be
 *       memory   ENOMEM or ENOBUFS from the kernel, no memory from malloc, neither for us nor for the libraries
 *       threads  EAGAIN from pthread_create
 *       disk     ENOSPC, EDQUOT or EIO where a file is made, written, given room, linked, renamed, removed or has its rights set, and where a socket gets a file;
 *                EIO where a file is read, looked at or closed
 *   FAULTS_CALLS=NAME[,NAME...]  only these functions
 *   FAULTS_RATE=N           one call of N (default 10), by chance
 *   FAULTS_SEED=N           that begins with N (default 1): the same calls in the same order have the same faults
 *   FAULTS_WHILE=FILE       only as long as there is such a file
 *   FAULTS_COUNT=FILE       at the end a line is added to it: how many faults there were
 *   FAULTS_PROGRAM=NAME     in another program than porthostd
 *
 * Left alone is what does not fail on Linux unless it was called wrongly (epoll_ctl of what is there already, timerfd_settime, fcntl of flags, dup2 onto what is open,
 * sigaction, prctl, listen, poll of few, EINTR from connect where that does not block, clock_gettime; a mutex or condition of glibc's needs nothing; the host has less than
 * ten of the 1,024 thread keys), and what is called within libc, where nothing can be put in between: reads of stdio streams (a FILE fails where it is opened), what
 * getaddrinfo and getpwnam do (they fail as a whole), mmap (what wants it, malloc, threads, dlopen, fails as a whole). recvmsg is called by nobody, sendmsg for datagrams
 * only, which are not parted. The wall clock is tests/preload/wall_clock.c's. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
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
    const char *wanted = getenv("FAULTS"), *program = getenv("FAULTS_PROGRAM"), *n;
    unsigned chosen = 0;
    if (!wanted || strcmp(program_invocation_short_name, program ? program : "porthostd") != 0)
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
    int before = errno; /* readdir says by it whether NULL is the end */
    bool yes = *r % rate == 0 && (!while_file || syscall(SYS_access, while_file, F_OK) == 0) && !is_from(caller, "_drv.so");
    errno = before;
    if (!yes)
        return false;
    *r /= rate;
    atomic_fetch_add(&faults, 1);
    return true;
}
#define STRIKES(kind) strikes_by(kind, __func__, __builtin_return_address(0), &r)

#define FAIL(error)      \
    do {                 \
        errno = (error); \
        return -1;       \
    } while (0)

static int disk_error(uint64_t r)
{
    static const int errors[] = {ENOSPC, EDQUOT, EIO};
    return errors[r % 3];
}

/* The error of one kind or of another, whichever are wanted. */
static int either(unsigned kind, int error, unsigned other_kind, int other, uint64_t r)
{
    return (kinds & kind) && (r % 2 || !(kinds & other_kind)) ? error : other;
}

static int looking_error(uint64_t r)
{
    return either(DISK, EIO, MEMORY, ENOMEM, r);
}

static int fd_error(uint64_t r)
{
    return either(FDS, r / 2 % 2 ? EMFILE : ENFILE, MEMORY, ENOMEM, r);
}

/* NAME's next definition in `real`. */
#define REAL(result, name, ...)                    \
    static result (*real)(__VA_ARGS__);            \
    uint64_t r = 0;                                \
    if (!real)                                     \
        *(void **)&real = dlsym(RTLD_NEXT, #name); \
    (void)r

static bool is(int fd, mode_t type)
{
    struct stat st;
    return syscall(SYS_fstat, fd, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

static bool is_nonblocking(int fd)
{
    int flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK);
}

static int reset_error(uint64_t r)
{
    static const int errors[] = {ECONNRESET, ETIMEDOUT, EHOSTUNREACH};
    return errors[r % 3];
}

/* What reading and writing have in common: -1 and errno, or 0. */
#define COMMON(fd, may_be_full)                                                          \
    do {                                                                                 \
        if (STRIKES(EINTR_))                                                             \
            FAIL(EINTR);                                                                 \
        if ((may_be_full) && !is(fd, S_IFREG) && is_nonblocking(fd) && STRIKES(EAGAIN_)) \
            FAIL(EAGAIN);                                                                \
        if (is(fd, S_IFSOCK) && STRIKES(MEMORY))                                         \
            FAIL(r % 2 ? ENOMEM : ENOBUFS);                                              \
    } while (0)

#define READING(fd)                             \
    do {                                        \
        COMMON(fd, true);                       \
        if (is(fd, S_IFSOCK) && STRIKES(RESET)) \
            FAIL(reset_error(r));               \
        if (is(fd, S_IFREG) && STRIKES(DISK))   \
            FAIL(EIO);                          \
    } while (0)

#define WRITING(fd, may_be_full)                                          \
    do {                                                                  \
        COMMON(fd, may_be_full);                                          \
        if ((is(fd, S_IFSOCK) || is(fd, S_IFIFO)) && STRIKES(RESET))      \
            FAIL(is(fd, S_IFSOCK) && r % 2 ? reset_error(r / 2) : EPIPE); \
        if (is(fd, S_IFREG) && STRIKES(DISK))                             \
            FAIL(disk_error(r));                                          \
    } while (0)

/* How many bytes are there to be read; -1 of what has none that could be parted: an eventfd, a timerfd, a directory. */
static long there(int fd)
{
    int n = 0;
    return syscall(SYS_ioctl, fd, FIONREAD, &n) == 0 ? n : -1;
}

/* Fewer than n, which are more than 1. */
static size_t cut(size_t n, uint64_t r)
{
    return 1 + r / 2 % ((r % 2 && n > 8 ? 8 : n) - 1);
}

/* Only as much as will be shortened is counted. */
#define SHORTEN_READ(fd, n)                                                \
    do {                                                                   \
        long is_there = kinds & SHORT && (n) > 1 ? there(fd) : -1;         \
        if (is_there > 1 && STRIKES(SHORT))                                \
            (n) = cut((size_t)is_there < (n) ? (size_t)is_there : (n), r); \
    } while (0)

/* A pipe takes so much as a whole or not at all. */
static bool is_atomic(int fd, size_t n)
{
    return n <= PIPE_BUF && is(fd, S_IFIFO);
}

#define SHORTEN_WRITE(fd, n)                                              \
    do {                                                                  \
        if (kinds & SHORT && (n) > 1 && there(fd) >= 0 && !is_atomic(fd, n) && STRIKES(SHORT)) \
            (n) = cut(n, r);                                              \
    } while (0)

ssize_t read(int fd, void *buf, size_t n)
{
    REAL(ssize_t, read, int, void *, size_t);
    READING(fd);
    SHORTEN_READ(fd, n);
    return real(fd, buf, n);
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
    REAL(ssize_t, recv, int, void *, size_t, int);
    READING(fd);
    SHORTEN_READ(fd, n);
    return real(fd, buf, n, flags);
}

ssize_t write(int fd, const void *buf, size_t n)
{
    REAL(ssize_t, write, int, const void *, size_t);
    /* libevent tells its eventfd once, and the kernel does not interrupt what need not wait: a wake-up that is lost here would be ours. EAGAIN for a write to an eventfd says that
     * whoever reads it will be woken in any case. */
    if (n != 8 || !is_from(__builtin_return_address(0), "libevent"))
        WRITING(fd, n != 8);
    SHORTEN_WRITE(fd, n);
    return real(fd, buf, n);
}

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
    REAL(ssize_t, send, int, const void *, size_t, int);
    WRITING(fd, true);
    SHORTEN_WRITE(fd, n);
    return real(fd, buf, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
    WRITING(fd, true);
    return real(fd, msg, flags);
}

enum { PARTS = 16 };

static size_t sum_of(const struct iovec *iov, int n)
{
    size_t sum = 0;
    for (int i = 0; i < n && i < PARTS; i++)
        sum += iov[i].iov_len;
    return sum;
}

/* The first `size` bytes of them, at most sum_of; how many vectors these are in. */
static int shorten_vector(struct iovec *part, const struct iovec *iov, size_t size)
{
    int n = 0;
    for (; size > 0; n++) {
        part[n] = iov[n];
        if (part[n].iov_len > size)
            part[n].iov_len = size;
        size -= part[n].iov_len;
    }
    return n;
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
    struct iovec part[PARTS];
    REAL(ssize_t, readv, int, const struct iovec *, int);
    READING(fd);
    size_t all = sum_of(iov, n), some = all;
    SHORTEN_READ(fd, some);
    return some < all ? real(fd, part, shorten_vector(part, iov, some)) : real(fd, iov, n);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    struct iovec part[PARTS];
    REAL(ssize_t, writev, int, const struct iovec *, int);
    WRITING(fd, true);
    size_t all = sum_of(iov, n), some = all;
    SHORTEN_WRITE(fd, some);
    return some < all ? real(fd, part, shorten_vector(part, iov, some)) : real(fd, iov, n);
}

/* It is closed in any case. Other descriptors than files' have nothing to do that could fail. */
int close(int fd)
{
    REAL(int, close, int);
    bool file = kinds & (EINTR_ | DISK) && is(fd, S_IFREG);
    int result = real(fd);
    if (result == 0 && file && STRIKES(EINTR_ | DISK))
        FAIL(either(EINTR_, EINTR, DISK, EIO, r));
    return result;
}

/* A function that may only fail. */
#define CALL(kind, error, name, result, parameters, ...) \
    result name parameters                               \
    {                                                    \
        static result(*real) parameters;                 \
        uint64_t r = 0;                                  \
        if (!real)                                       \
            *(void **)&real = dlsym(RTLD_NEXT, #name);   \
        if (STRIKES(kind))                               \
            FAIL(error);                                 \
        return real(__VA_ARGS__);                        \
    }

/* --- waiting --- */

CALL(EINTR_, EINTR, getrandom, ssize_t, (void *buf, size_t n, unsigned flags), buf, n, flags) /* up to 256 bytes come at once or not at all */
CALL(EINTR_, EINTR, epoll_wait, int, (int epfd, struct epoll_event *events, int max, int timeout), epfd, events, max, timeout)
CALL(EINTR_, EINTR, poll, int, (struct pollfd *fds, nfds_t n, int timeout), fds, n, timeout)
CALL(EINTR_, EINTR, sem_wait, int, (sem_t *sem), sem)
CALL(EINTR_, EINTR, waitpid, pid_t, (pid_t pid, int *status, int options), pid, status, options)

/* --- descriptors --- */

CALL(FDS | MEMORY, fd_error(r), socket, int, (int domain, int type, int protocol), domain, type, protocol)
CALL(FDS | MEMORY, fd_error(r), eventfd, int, (unsigned value, int flags), value, flags)
CALL(FDS | MEMORY, fd_error(r), timerfd_create, int, (clockid_t clock, int flags), clock, flags)
CALL(FDS | MEMORY, fd_error(r), epoll_create1, int, (int flags), flags)
CALL(FDS | MEMORY, fd_error(r), pipe2, int, (int fds[2], int flags), fds, flags)

#define NO_FD()                    \
    do {                           \
        if (STRIKES(FDS | MEMORY)) \
            FAIL(fd_error(r));     \
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

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    REAL(int, epoll_ctl, int, int, int, struct epoll_event *);
    if (op == EPOLL_CTL_ADD && STRIKES(MEMORY))
        FAIL(r % 2 ? ENOMEM : ENOSPC);
    return real(epfd, op, fd, event);
}

int fcntl(int fd, int command, ...)
{
    REAL(int, fcntl, int, int, ...);
    va_list ap;
    va_start(ap, command);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
        NO_FD();
    return real(fd, command, arg);
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

/* What it says afterwards is of a file that there is not. */
void *dlopen(const char *file, int flags)
{
    REAL(void *, dlopen, const char *, int);
    return real(file && STRIKES(FDS) ? "/dev/null/too many open files" : file, flags);
}

/* --- names, rights, options --- */

CALL(DISK, disk_error(r), renameat, int, (int olddir, const char *old, int newdir, const char *new), olddir, old, newdir, new)
CALL(DISK, disk_error(r), linkat, int, (int olddir, const char *old, int newdir, const char *new, int flags), olddir, old, newdir, new, flags)
CALL(DISK, disk_error(r), unlinkat, int, (int dir, const char *name, int flags), dir, name, flags)
CALL(DISK, disk_error(r), unlink, int, (const char *name), name)
CALL(DISK, disk_error(r), chmod, int, (const char *name, mode_t mode), name, mode)
CALL(DISK, disk_error(r), lchown, int, (const char *name, uid_t owner, gid_t group), name, owner, group)
CALL(DISK, disk_error(r), fallocate, int, (int fd, int mode, off_t from, off_t len), fd, mode, from, len)
CALL(DISK | MEMORY, looking_error(r), stat, int, (const char *restrict name, struct stat *restrict st), name, st)
CALL(DISK | MEMORY, looking_error(r), lstat, int, (const char *restrict name, struct stat *restrict st), name, st)
CALL(DISK | MEMORY, looking_error(r), fstat, int, (int fd, struct stat *st), fd, st)
CALL(DISK | MEMORY, looking_error(r), access, int, (const char *name, int mode), name, mode)
CALL(DISK | MEMORY, looking_error(r), faccessat, int, (int dir, const char *name, int mode, int flags), dir, name, mode, flags)
CALL(MEMORY, ENOMEM, setsockopt, int, (int fd, int level, int name, const void *value, socklen_t len), fd, level, name, value, len)
CALL(MEMORY, ENOMEM, getsockopt, int, (int fd, int level, int name, void *restrict value, socklen_t *restrict len), fd, level, name, value, len)
CALL(MEMORY, ENOBUFS, getsockname, int, (int fd, struct sockaddr *restrict addr, socklen_t *restrict len), fd, addr, len)

/* A function that answers NULL. */
#define NULL_CALL(kind, error, type, name, parameters, ...) \
    type *name parameters                                   \
    {                                                       \
        static type *(*real)parameters;                     \
        uint64_t r = 0;                                     \
        if (!real)                                          \
            *(void **)&real = dlsym(RTLD_NEXT, #name);      \
        if (STRIKES(kind)) {                                \
            errno = (error);                                \
            return NULL;                                    \
        }                                                   \
        return real(__VA_ARGS__);                           \
    }

NULL_CALL(FDS, EMFILE, FILE, fopen, (const char *restrict name, const char *restrict mode), name, mode)
NULL_CALL(DISK | MEMORY, looking_error(r), char, realpath, (const char *restrict name, char *restrict to), name, to)
NULL_CALL(MEMORY, ENOMEM, DIR, fdopendir, (int fd), fd)
NULL_CALL(DISK, EIO, struct dirent, readdir, (DIR *dir), dir)
NULL_CALL(FDS | DISK, r % 2 ? EMFILE : EIO, struct passwd, getpwnam, (const char *name), name)
NULL_CALL(FDS | DISK, r % 2 ? EMFILE : EIO, struct group, getgrnam, (const char *name), name)

int getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints, struct addrinfo **restrict found)
{
    REAL(int, getaddrinfo, const char *restrict, const char *restrict, const struct addrinfo *restrict, struct addrinfo **restrict);
    if (STRIKES(MEMORY | FDS))
        return r % 2 ? EAI_MEMORY : EAI_AGAIN;
    return real(host, port, hints, found);
}

int getnameinfo(const struct sockaddr *restrict addr, socklen_t len, char *restrict host, socklen_t size, char *restrict port, socklen_t port_size, int flags)
{
    REAL(int, getnameinfo, const struct sockaddr *restrict, socklen_t, char *restrict, socklen_t, char *restrict, socklen_t, int);
    if (STRIKES(MEMORY))
        return EAI_MEMORY;
    return real(addr, len, host, size, port, port_size, flags);
}

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
