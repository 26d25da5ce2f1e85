/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define LOCK_TRIES 20 /* half a second: a daemon has the lock for some calls, but who else may read the directory can keep it */
#define LOCK_PAUSE_NS 25000000

/* The directory that the path lies in: ph_free. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = ph_strdup(slash ? path : ".");
    if (slash)
        dir[slash == path ? 1 : slash - path] = '\0';
    return dir;
}

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool ph_socket_same_path(const char *a, const char *b)
{
    struct stat x, y;
    if (strcmp(a, b) == 0)
        return true;
    if (strcmp(name_in(a), name_in(b)) != 0)
        return false;
    char *dir_a = directory_of(a), *dir_b = directory_of(b);
    bool same = stat(dir_a, &x) == 0 && stat(dir_b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    ph_free(dir_a);
    ph_free(dir_b);
    return same;
}

static int open_directory(const char *path)
{
    char *dir = directory_of(path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ph_free(dir);
    return fd;
}

int ph_socket_lock(const char *path)
{
    static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    int fd = open_directory(path); /* it need not be readable */
    int result = -1;
    for (int i = 0; fd >= 0 && i < LOCK_TRIES && (result = flock(fd, LOCK_EX | LOCK_NB)) && errno == EWOULDBLOCK; i++)
        nanosleep(&pause, NULL);
    if (fd < 0 || result == 0)
        return fd;
    if (errno == EWOULDBLOCK)
        ph_log(PH_LOG_WARNING, NULL, "unix socket %s: its directory is locked by another process; goes on without the lock", path);
    close(fd);
    return -1;
}

/* A socket that nobody listens on any more is removed; -1, with a line in the log, if somebody does or may, or if it is no socket. */
static int make_way(const struct sockaddr_un *addr)
{
    const char *path = addr->sun_path;
    struct stat st;
    if (lstat(path, &st))
        return 0;
    if (!S_ISSOCK(st.st_mode)) {
        ph_log(PH_LOG_ERROR, NULL, "unix socket %s: the file exists and is not a socket", path);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int err = fd < 0 || connect(fd, (const struct sockaddr *)addr, sizeof *addr) ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (err == ECONNREFUSED && (err = unlink(path) ? errno : 0) == 0)
        return 0;
    if (err == 0 || err == EAGAIN)
        ph_log(PH_LOG_ERROR, NULL, "unix socket %s: another daemon listens there", path);
    else
        ph_log(PH_LOG_ERROR, NULL, "unix socket %s: cannot take the place of the file that is there: %s", path, strerror(err));
    return -1;
}

static int bind_own(int fd, const struct sockaddr_un *addr)
{
    mode_t old = umask(0177); /* the user's own from the first moment */
    int result = bind(fd, (const struct sockaddr *)addr, sizeof *addr);
    umask(old);
    return result;
}

static int know(const char *path, struct ph_socket_file *file)
{
    struct stat st;
    if (lstat(path, &st)) {
        int err = errno;
        unlink(path); /* nobody will know whose it is */
        errno = err;
        return -1;
    }
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    return 0;
}

int ph_socket_bind(const char *path, struct ph_socket_file *file)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    memcpy(addr.sun_path, path, strlen(path) + 1);
    if (make_way(&addr))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind_own(fd, &addr) == 0 && know(path, file) == 0)
        return fd;
    ph_log(PH_LOG_ERROR, NULL, "unix socket %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

bool ph_socket_has_file(const char *path, const struct ph_socket_file *file)
{
    struct stat st;
    return lstat(path, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->ino;
}

int ph_socket_set_rights(const struct ph_access *a)
{
    uid_t owner = a->owner == PH_NOBODY ? geteuid() : a->owner;
    gid_t group = a->group == PH_NOBODY ? getegid() : a->group;
    if (lchown(a->unix_path, owner, group) == 0 && chmod(a->unix_path, (mode_t)a->mode) == 0)
        return 0;
    ph_log(PH_LOG_ERROR, NULL, "unix socket %s: cannot set owner, group and mode: %s", a->unix_path, strerror(errno));
    return -1;
}
