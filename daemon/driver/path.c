/* SPDX-License-Identifier: Apache-2.0 */
/* The driver path: which directories the daemon loads drivers from on behalf of clients it need not trust. Any thread that may wait for files.
 * porthostctl links this file too: it knows nothing of a running daemon. */
#include "driver/path.h"

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/trust.h"
#include "driver/settings.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards dirs; held while files are looked at, so never taken on a reactor but at start */
static struct ph_strings dirs; /* as given; resolved when used, since a link may be moved to a new release */

void ph_driver_path_set(const struct ph_strings *path)
{
    pthread_mutex_lock(&mu);
    ph_strings_clear(&dirs);
    for (size_t i = 0; i < path->n; i++)
        ph_strings_add(&dirs, path->v[i], strlen(path->v[i]));
    pthread_mutex_unlock(&mu);
}

char *ph_driver_path_find(const char *name)
{
    char file[PATH_MAX], *found = ph_driver_settings_of(name).path;
    if (found || strchr(name, '/'))
        return found;
    pthread_mutex_lock(&mu);
    for (size_t i = 0; i < dirs.n && !found; i++) {
        int n = snprintf(file, sizeof file, "%s/%s.so", dirs.v[i], name);
        if (n > 0 && (size_t)n < sizeof file && access(file, F_OK) == 0)
            found = ph_strdup(file);
    }
    pthread_mutex_unlock(&mu);
    return found;
}

static bool is_driver_dir(const char *dir)
{
    char resolved[PATH_MAX];
    bool is = false;
    pthread_mutex_lock(&mu);
    for (size_t i = 0; i < dirs.n && !is; i++)
        is = realpath(dirs.v[i], resolved) && strcmp(resolved, dir) == 0;
    pthread_mutex_unlock(&mu);
    return is;
}

/* Is this the file that the configuration names for the driver? */
static bool is_driver_file(const char *name, const char *file)
{
    char *path = ph_driver_settings_of(name).path;
    bool is = path && strcmp(path, file) == 0;
    ph_free(path);
    return is;
}

char *ph_driver_path_resolve(const char *name, const char *file, const char **why)
{
    char *resolved = realpath(file, NULL), *slash;
    *why = NULL;
    if (!resolved)
        return NULL;
    if (!ph_trusts_path(resolved))
        *why = "the file " PH_DISTRUST;
    slash = strrchr(resolved, '/');
    *slash = '\0';
    if (!*why && !is_driver_file(name, file) && !is_driver_dir(slash == resolved ? "/" : resolved))
        *why = "not in a directory of the driver path";
    if (!*why && !ph_trusts_path(slash == resolved ? "/" : resolved))
        *why = "the directory " PH_DISTRUST;
    *slash = '/';
    if (*why) {
        free(resolved);
        return NULL;
    }
    return resolved;
}
