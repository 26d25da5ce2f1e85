/* SPDX-License-Identifier: Apache-2.0 */
/* porthostctl links this file too. */
#include "base/trust.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OF_OTHERS (S_IWGRP | S_IWOTH)

static bool own(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

bool ph_trusts(const struct stat *st)
{
    return own(st) && (st->st_mode & OF_OTHERS) == 0;
}

bool ph_trusts_path(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && ph_trusts(&st);
}

bool ph_trusts_directory_of(const char *file)
{
    struct stat st;
    char *resolved = realpath(file, NULL);
    if (!resolved)
        return false;
    char *slash = strrchr(resolved, '/');
    slash[slash == resolved] = '\0';
    bool trusted = stat(resolved, &st) == 0 && (ph_trusts(&st) || (own(&st) && (st.st_mode & S_ISVTX)));
    free(resolved);
    return trusted;
}
