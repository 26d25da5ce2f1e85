/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the command lines of valgrind, gdb, the sanitizer build and the checking mode. Called by farm.c and command.c. */
#include "script/tool.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script/memory.h"

#define VALGRIND_STATUS 99

static const struct {
    const char *name, *program;
    int patience;
} tools[] = {
    [PH_NO_TOOL] = {"", NULL, 1},
    [PH_VALGRIND] = {"valgrind", "valgrind", 20},
    [PH_GDB] = {"gdb", "gdb", 10},
    [PH_ASAN] = {"asan", NULL, 5},
    [PH_CHECK_DRIVERS] = {"check-drivers", NULL, 2},
};

const char *ph_tool_name(enum ph_tool tool)
{
    return tools[tool].name;
}

int ph_tool_patience(enum ph_tool tool)
{
    return tools[tool].patience;
}

static bool in_path(const char *program)
{
    const char *dirs = getenv("PATH");
    char *path = ph_script_copy((struct ph_text){dirs ? dirs : "", dirs ? strlen(dirs) : 0});
    char *rest = path, full[PATH_MAX];
    bool found = false;
    for (char *dir; !found && (dir = strsep(&rest, ":"));)
        found = snprintf(full, sizeof full, "%s/%s", *dir ? dir : ".", program) < (int)sizeof full && access(full, X_OK) == 0;
    free(path);
    return found;
}

/* The file of that name, relative to the directory of this executable. NULL if there is none. */
static char *beside(const char *name)
{
    char exe[PATH_MAX], *path = NULL;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n < 0 ? 0 : n] = 0;
    char *slash = strrchr(exe, '/');
    if (!slash)
        return NULL;
    ph_script_need(asprintf(&path, "%.*s/%s", (int)(slash - exe), exe, name) >= 0);
    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return NULL;
}

/* In single quotes for the shell. */
static char *quote(const char *text)
{
    char *out = ph_script_alloc(strlen(text) * 4 + 3), *to = out;
    *to++ = '\'';
    for (; *text; text++) {
        if (*text == '\'') {
            memcpy(to, "'\\''", 4);
            to += 4;
        } else {
            *to++ = *text;
        }
    }
    *to = '\'';
    return out;
}

bool ph_tool_ready(enum ph_tool tool, const struct ph_cli *cli, char **daemon)
{
    *daemon = NULL;
    if (tool == PH_NO_TOOL)
        return true;
    if (tools[tool].program && !in_path(tools[tool].program)) {
        ph_complain("--%s: there is no program %s", tools[tool].name, tools[tool].program);
        return false;
    }
    if (cli->address)
        return true;
    char *path = beside(tool == PH_ASAN ? "../build-address/porthostd" : "porthostd");
    if (!path && tool != PH_ASAN) {
        *daemon = ph_script_copy((struct ph_text){"porthostd", 9});
        return true;
    }
    if (!path) {
        ph_complain("--asan: there is no ../build-address/porthostd beside porthostctl (make SANITIZER=address); --daemon may name one");
        return false;
    }
    *daemon = quote(path);
    free(path);
    return true;
}

/* valgrind itself reports to the log; the daemon's own stderr is not mixed up with it. */
static char *valgrind_command(const char *daemon, int log_fd)
{
    char *command = NULL;
    ph_script_need(asprintf(&command,
                            "valgrind --quiet --error-exitcode=%d --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite "
                            "--keep-debuginfo=yes --num-callers=30 --fair-sched=try --log-fd=%d %s",
                            VALGRIND_STATUS, log_fd, daemon) >= 0);
    return command;
}

/* gdb keeps stdin and stdout for itself, so the daemon serves descriptors 3 and 4, and `--stdio`, which it is given, is shifted away. The first stop shows
 * who has crashed; then the daemon's own handler tells which callback it was, and the second stop ends it. */
static char *gdb_command(const char *daemon, int log_fd)
{
    char *script = NULL, *command = NULL;
    ph_script_need(asprintf(&script,
                            "shift; exec gdb -batch -nx -return-child-result -ex 'set pagination off' -ex 'set debuginfod enabled off' "
                            "-ex 'handle SIGPIPE SIGTERM nostop noprint pass' -ex run -ex backtrace -ex 'thread apply all backtrace' -ex continue -ex 'echo \\n' "
                            "--args %s --nouse-stdio \"$@\" 3<&0 4>&1 </dev/null >&%d",
                            daemon, log_fd) >= 0);
    char *quoted = quote(script);
    ph_script_need(asprintf(&command, "sh -c %s sh", quoted) >= 0);
    free(quoted);
    free(script);
    return command;
}

static char *check_command(const char *daemon, unsigned check_ms)
{
    char *command = NULL, ms[16] = "";
    if (check_ms)
        snprintf(ms, sizeof ms, "=%u", check_ms);
    ph_script_need(asprintf(&command, "%s --check-drivers%s", daemon, ms) >= 0);
    return command;
}

char *ph_tool_command(enum ph_tool tool, const char *daemon, unsigned check_ms, int log_fd)
{
    switch (tool) {
    case PH_VALGRIND:
        return valgrind_command(daemon, log_fd);
    case PH_GDB:
        return gdb_command(daemon, log_fd);
    case PH_ASAN:
        return ph_script_copy((struct ph_text){daemon, strlen(daemon)});
    case PH_CHECK_DRIVERS:
        return check_command(daemon, check_ms);
    default:
        return NULL;
    }
}
