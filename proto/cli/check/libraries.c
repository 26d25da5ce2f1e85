/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the run of the dynamic linker that only lists. Called by symbols.c. */
#include "check/libraries.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACE "LD_TRACE_LOADED_OBJECTS"

/* The linker that this process was started by. */
static const char *linker(void)
{
    const ElfW(Phdr) *segments = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    size_t n = getauxval(AT_PHNUM);
    const char *base = NULL;
    for (size_t i = 0; i < n; i++)
        if (segments[i].p_type == PT_PHDR)
            base = (const char *)segments - segments[i].p_vaddr;
    for (size_t i = 0; base && i < n; i++)
        if (segments[i].p_type == PT_INTERP)
            return base + segments[i].p_vaddr;
    return NULL;
}

/* Both of its outputs, to be read. NULL if it does not start. */
static FILE *start(const char *file, pid_t *pid)
{
    const char *path = linker();
    char *argv[] = {(char *)path, (char *)file, NULL};
    posix_spawn_file_actions_t actions;
    int fds[2];
    if (!path || pipe2(fds, O_CLOEXEC) < 0)
        return NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
    setenv(TRACE, "1", 1); /* unlike --list it goes on when something is not found */
    int err = posix_spawn(pid, path, &actions, NULL, argv, environ);
    unsetenv(TRACE);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (!err)
        return fdopen(fds[0], "r");
    close(fds[0]);
    return NULL;
}

/* "NAME => PATH (ADDRESS)", "NAME => not found", "PATH (ADDRESS)"; behind no tab stands a complaint. */
static void take_line(char *line, void (*fn)(void *arg, const char *name, const char *path), void *arg)
{
    line[strcspn(line, "\n")] = 0;
    if (*line != '\t') {
        fn(arg, NULL, line);
        return;
    }
    char *name = line + 1, *arrow = strstr(name, " => "), *path = arrow ? arrow + 4 : name;
    char *address = strstr(path, " (0x");
    if (address)
        *address = 0;
    if (arrow)
        *arrow = 0;
    if (strchr(path, '/') || strcmp(path, "not found") == 0)
        fn(arg, name, strchr(path, '/') ? path : NULL);
}

bool ph_libraries_list(const char *file, void (*fn)(void *arg, const char *name, const char *path), void *arg)
{
    char *absolute = realpath(file, NULL), *line = NULL;
    size_t cap = 0;
    pid_t pid;
    int status;
    FILE *f = absolute ? start(absolute, &pid) : NULL;
    free(absolute);
    if (!f)
        return false;
    while (getline(&line, &cap, f) > 0)
        take_line(line, fn, arg);
    free(line);
    fclose(f);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return true;
}
