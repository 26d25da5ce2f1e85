/* SPDX-License-Identifier: Apache-2.0 */
/* The driver path: which directories the daemon loads drivers from on behalf of clients it need not trust. Set at start, then read-only. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "driver/driver.h"

static char **dirs; /* as given; resolved when used, since a link may be moved to a new release */
static size_t dir_count;

void ph_driver_path_add(const char *dir)
{
    dirs = ph_realloc(dirs, (dir_count + 1) * sizeof *dirs);
    dirs[dir_count++] = ph_strdup(dir);
}

char *ph_driver_path_find(const char *name)
{
    char file[PATH_MAX];
    if (strchr(name, '/'))
        return NULL;
    for (size_t i = 0; i < dir_count; i++) {
        int n = snprintf(file, sizeof file, "%s/%s.so", dirs[i], name);
        if (n > 0 && (size_t)n < sizeof file && access(file, F_OK) == 0)
            return ph_strdup(file);
    }
    return NULL;
}

static bool trusted(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 && (st.st_uid == 0 || st.st_uid == geteuid());
}

static bool is_driver_dir(const char *dir)
{
    char resolved[PATH_MAX];
    for (size_t i = 0; i < dir_count; i++)
        if (realpath(dirs[i], resolved) && strcmp(resolved, dir) == 0)
            return true;
    return false;
}

char *ph_driver_path_resolve(const char *file, const char **why)
{
    char *resolved = realpath(file, NULL), *slash;
    *why = NULL;
    if (!resolved)
        return NULL;
    if (!trusted(resolved))
        *why = "the file belongs to another user or others may write it";
    slash = strrchr(resolved, '/');
    *slash = '\0';
    if (!*why && !is_driver_dir(slash == resolved ? "/" : resolved))
        *why = "not in a directory of the driver path";
    if (!*why && !trusted(slash == resolved ? "/" : resolved))
        *why = "the directory belongs to another user or others may write it";
    *slash = '/';
    if (*why) {
        free(resolved);
        return NULL;
    }
    return resolved;
}
