/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/crashes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/trust.h"
#include "whole.h"

#define MAX_FILES 100u /* of all crashes; the oldest of more are removed */
#define ALLOWED_PREFIX "allowed-"
#define ROOM_BYTES 32768 /* for what is written about a crash */

struct crash {
    TAILQ_ENTRY(crash) link;
    long long at; /* seconds since 1970 */
    char *file;   /* its name in the directory */
    char *driver; /* NULL until prune: it bars none, as it has been allowed or none is named */
};
TAILQ_HEAD(crashes, crash);

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards these three; a leaf, but for the log */
static struct crashes crashes = TAILQ_HEAD_INITIALIZER(crashes);
static uint64_t most, window;
static atomic_int dir_fd = -1, prepared_fd = -1;

int ph_crashes_dir(void)
{
    return atomic_load(&dir_fd);
}

int ph_crashes_prepared(void)
{
    return atomic_load(&prepared_fd);
}

/* --- reading --- */

static void free_crash(struct crash *c)
{
    ph_free(c->file);
    ph_free(c->driver);
    ph_free(c);
}

static void free_all(struct crashes *list)
{
    for (struct crash *c; (c = TAILQ_FIRST(list));) {
        TAILQ_REMOVE(list, c, link);
        free_crash(c);
    }
}

/* How much there is, or -1. */
static ssize_t read_head(int dir, const char *file, char head[PH_CRASH_HEAD])
{
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : ph_read_whole(fd, head, PH_CRASH_HEAD);
    if (n < 0 && errno != ENOENT) /* removed by somebody */
        ph_log(PH_LOG_WARNING, NULL, "state directory: %s cannot be read, and bars no driver: %s", file, strerror(errno));
    if (fd >= 0)
        close(fd);
    return n;
}

/* The driver that the file names: new, or NULL. */
static char *driver_of(int dir, const char *file)
{
    char head[PH_CRASH_HEAD + 1];
    ssize_t n = read_head(dir, file, head);
    head[n < 0 ? 0 : n] = '\0';
    char *name = strstr(head, PH_CRASH_DRIVER_LINE), *end = NULL;
    if (name) {
        name += strlen(PH_CRASH_DRIVER_LINE);
        end = strchr(name, '\n');
    }
    if (!end || end == name)
        return NULL;
    *end = '\0';
    return ph_strdup(name);
}

/* Newest first. */
static void insert(struct crashes *list, struct crash *c)
{
    struct crash *i;
    TAILQ_FOREACH(i, list, link)
        if (i->at < c->at)
            break;
    if (i)
        TAILQ_INSERT_BEFORE(i, c, link);
    else
        TAILQ_INSERT_TAIL(list, c, link);
}

static void read_file(struct crashes *list, int dir, const char *file)
{
    size_t prefix = strlen(PH_CRASH_FILE_PREFIX);
    bool allowed = strncmp(file, ALLOWED_PREFIX, strlen(ALLOWED_PREFIX)) == 0;
    const char *name = file + (allowed ? strlen(ALLOWED_PREFIX) : 0);
    char *end;
    if (strncmp(name, PH_CRASH_FILE_PREFIX, prefix) != 0)
        return;
    long long at = strtoll(name + prefix, &end, 10);
    if (end == name + prefix || *end != '-')
        return;
    struct crash *c = ph_alloc(sizeof *c);
    *c = (struct crash){.at = at, .file = ph_strdup(file), .driver = allowed ? NULL : driver_of(dir, file)};
    insert(list, c);
}

/* -1 and errno: not all of it was read. */
static int read_dir(struct crashes *list, int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir) {
        if (copy >= 0)
            close(copy);
        return -1;
    }
    struct dirent *e;
    while (errno = 0, (e = readdir(dir)))
        read_file(list, fd, e->d_name);
    int err = errno;
    closedir(dir);
    errno = err;
    return err ? -1 : 0;
}

/* Files beyond the newest; and what is left of the list are those that bar a driver. */
static void prune(struct crashes *list, int fd)
{
    struct crash *c, *next;
    unsigned n = 0;
    for (c = TAILQ_FIRST(list); c; c = next) {
        next = TAILQ_NEXT(c, link);
        bool kept = ++n <= MAX_FILES;
        if (kept && c->driver)
            continue;
        TAILQ_REMOVE(list, c, link);
        if (!kept)
            unlinkat(fd, c->file, 0);
        free_crash(c);
    }
}

/* --- the limit --- */

/* A crash in the future, after the clock was set back, counts. */
static unsigned recent_locked(const char *driver)
{
    long long now = time(NULL);
    unsigned n = 0;
    const struct crash *c;
    TAILQ_FOREACH(c, &crashes, link)
        n += strcmp(c->driver, driver) == 0 && window > 0 && (c->at > now || (uint64_t)(now - c->at) <= window);
    return n;
}

bool ph_crashes_bar(const char *driver)
{
    pthread_mutex_lock(&mu);
    bool barred = window > 0 && recent_locked(driver) > most;
    pthread_mutex_unlock(&mu);
    return barred;
}

static bool told_before(const struct crash *c)
{
    const struct crash *i;
    TAILQ_FOREACH(i, &crashes, link) {
        if (i == c)
            return false;
        if (strcmp(i->driver, c->driver) == 0)
            return true;
    }
    return false;
}

static void tell_barred_locked(void)
{
    const struct crash *c;
    TAILQ_FOREACH(c, &crashes, link) {
        unsigned n = recent_locked(c->driver);
        if (n > most && !told_before(c))
            ph_log(PH_LOG_WARNING, &(struct ph_where){.driver = c->driver}, "it has crashed the host %u times: it is not loaded until porthostctl allow %s", n,
                   c->driver);
    }
}

/* It is gone when it is closed. Some file systems have no such files, or cannot set room aside: then a crash has to find a place itself. */
static int prepare(int dir)
{
    int fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    bool failed = fd < 0 ? errno != EISDIR : fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, ROOM_BYTES) != 0;
    if (failed && errno != EOPNOTSUPP)
        ph_log(PH_LOG_WARNING, NULL, "state directory: no room for what is to be said about a crash: %s", strerror(errno));
    return fd;
}

static void replace(atomic_int *fd, int by)
{
    int old = atomic_exchange(fd, by);
    if (old >= 0)
        close(old);
}

/* Who could write there could bar drivers, or allow them. */
static const char *read_state(struct crashes *list, int fd)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) || faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS))
        return strerror(errno);
    if (!ph_trusts(&st))
        return PH_DISTRUST;
    return read_dir(list, fd) ? strerror(errno) : NULL;
}

int ph_crashes_set(const char *dir, uint64_t limit, uint64_t window_s)
{
    struct crashes list = TAILQ_HEAD_INITIALIZER(list);
    int fd = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    const char *why = dir ? read_state(&list, fd) : NULL;
    if (why) {
        ph_log(PH_LOG_ERROR, NULL, "state directory %s: %s", dir, why);
        free_all(&list);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    prune(&list, fd);
    pthread_mutex_lock(&mu);
    free_all(&crashes);
    TAILQ_CONCAT(&crashes, &list, link);
    most = limit;
    window = window_s;
    tell_barred_locked();
    pthread_mutex_unlock(&mu);
    replace(&prepared_fd, fd < 0 ? -1 : prepare(fd));
    replace(&dir_fd, fd);
    return 0;
}

/* 0 or errno. */
static int rename_file(const char *file)
{
    char name[256];
    int n = snprintf(name, sizeof name, ALLOWED_PREFIX "%s", file), fd = ph_crashes_dir();
    int err = n >= (int)sizeof name ? ENAMETOOLONG : renameat(fd, file, fd, name) ? errno : 0;
    if (err == ENOENT) /* removed by somebody, who meant the same */
        return 0;
    if (err)
        ph_log(PH_LOG_ERROR, NULL, "state directory: %s cannot be renamed: %s", file, strerror(err));
    return err;
}

int ph_crashes_allow(const char *driver, unsigned *n)
{
    struct crash *c, *next;
    int err = 0;
    *n = 0;
    pthread_mutex_lock(&mu);
    for (c = TAILQ_FIRST(&crashes); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (strcmp(c->driver, driver) != 0)
            continue;
        int failed = rename_file(c->file);
        err = err ? err : failed;
        if (failed)
            continue;
        TAILQ_REMOVE(&crashes, c, link);
        free_crash(c);
        ++*n;
    }
    pthread_mutex_unlock(&mu);
    return err;
}
