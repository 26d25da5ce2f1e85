/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is known of the descriptors that ports have selected, each direction by a port of its own: which file it was then, so that one that was closed
 * meanwhile, or stands for another file now, is noticed. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/map.h"
#include "port/misuse.h"
#include "port/select.h"

enum { IN, OUT };
static const int bit[2] = {ERL_DRV_READ, ERL_DRV_WRITE};

struct chosen {
    int fd;
    struct {
        uint64_t port; /* handle, 0: not selected */
        dev_t dev;     /* these two: when it was */
        ino_t ino;
    } dir[2];
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards the map; a leaf */
static struct ph_map map;                              /* by descriptor + 1 */

static struct chosen *find_locked(int fd)
{
    return ph_map_get(&map, (uint64_t)fd + 1);
}

static void remove_locked(struct chosen *c)
{
    ph_map_del(&map, (uint64_t)c->fd + 1);
    ph_free(c);
}

/* One of the port's directions is selected, and another file now, or none. */
static bool is_changed(const struct chosen *c, uint64_t port)
{
    struct stat st = {0};
    bool is_open = fstat(c->fd, &st) == 0, changed = false;
    for (int i = 0; i < 2; i++)
        changed = changed || (c->dir[i].port == port && (!is_open || st.st_dev != c->dir[i].dev || st.st_ino != c->dir[i].ino));
    return changed;
}

static bool has(const struct chosen *c, uint64_t port)
{
    return c->dir[IN].port == port || c->dir[OUT].port == port;
}

/* These directions of the port's, or of all ports', are selected no more. */
static void clear_locked(struct chosen *c, int mode, uint64_t port, bool all)
{
    for (int i = 0; i < 2; i++)
        if (mode & bit[i] && (all || c->dir[i].port == port))
            c->dir[i].port = 0;
    if (!c->dir[IN].port && !c->dir[OUT].port)
        remove_locked(c);
}

static void remember(const struct ph_port *p, int fd, int mode)
{
    struct stat st;
    if (fstat(fd, &st) || !(mode & (ERL_DRV_READ | ERL_DRV_WRITE)))
        return;
    pthread_mutex_lock(&mu);
    struct chosen *c = find_locked(fd);
    if (!c) {
        c = ph_calloc(1, sizeof *c);
        c->fd = fd;
        ph_map_put(&map, (uint64_t)fd + 1, c);
    }
    for (int i = 0; i < 2; i++) {
        if (!(mode & bit[i]))
            continue;
        c->dir[i].port = p->handle;
        c->dir[i].dev = st.st_dev;
        c->dir[i].ino = st.st_ino;
    }
    pthread_mutex_unlock(&mu);
}

/* Whether the port had it, and it is another file now, or none. Who ends the use ends it for all, as in select.c. */
static bool drop(const struct ph_port *p, int fd, int mode)
{
    pthread_mutex_lock(&mu);
    struct chosen *c = find_locked(fd);
    bool changed = c && is_changed(c, p->handle), use = (mode & ERL_DRV_USE) != 0;
    if (c)
        clear_locked(c, use ? ERL_DRV_READ | ERL_DRV_WRITE : mode, p->handle, use && (mode & ERL_DRV_USE_NO_CALLBACK) != ERL_DRV_USE_NO_CALLBACK);
    pthread_mutex_unlock(&mu);
    return changed;
}

static bool may_deselect(struct ph_port *p, int fd, int mode)
{
    if (drop(p, fd, mode))
        ph_violation(PH_VIOLATION_FD_CLOSED, "driver_select: descriptor %d was closed while it was selected", fd);
    else if (fcntl(fd, F_GETFD) < 0)
        ph_violation(PH_VIOLATION_BAD_FD, "driver_select: descriptor %d is not open", fd);
    return true;
}

bool ph_fd_may_select(struct ph_port *p, int fd, int mode, bool on)
{
    if (!on)
        return may_deselect(p, fd, mode);
    if (fcntl(fd, F_GETFD) < 0) {
        ph_violation(PH_VIOLATION_BAD_FD, "driver_select: descriptor %d is not open", fd);
        return false;
    }
    if (mode & ERL_DRV_USE && !p->driver->entry.stop_select)
        ph_violation(PH_VIOLATION_NO_STOP_SELECT, "driver_select: ERL_DRV_USE for descriptor %d by a driver without stop_select", fd);
    remember(p, fd, mode);
    return true;
}

void ph_fd_stolen(int fd)
{
    ph_violation(PH_VIOLATION_FD_STOLEN, "driver_select: descriptor %d is selected by another port", fd);
}

struct search {
    uint64_t port;
    bool any; /* not only changed ones */
    struct chosen *found;
};

static void visit(void *chosen, void *arg)
{
    struct search *s = arg;
    struct chosen *c = chosen;
    if (!s->found && has(c, s->port) && (s->any || is_changed(c, s->port)))
        s->found = c;
}

/* One that has changed (or, with any, any one), which is the port's no more; -1: none. */
static int take(uint64_t port, bool any)
{
    struct search s = {.port = port, .any = any};
    int fd = -1;
    pthread_mutex_lock(&mu);
    ph_map_each(&map, visit, &s);
    if (s.found) {
        fd = s.found->fd;
        clear_locked(s.found, ERL_DRV_READ | ERL_DRV_WRITE, port, false);
    }
    pthread_mutex_unlock(&mu);
    return fd;
}

void ph_fds_verify(struct ph_port *p)
{
    int fd;
    while (p->selects && (fd = take(p->handle, false)) >= 0) {
        ph_violation(PH_VIOLATION_FD_CLOSED, "descriptor %d was closed while it was selected", fd);
        ph_select_drop(p, fd);
    }
}

void ph_fds_forget(const struct ph_port *p)
{
    while (take(p->handle, true) >= 0)
        ;
}
