/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what a driver must not do: where the VM aborts, the host aborts and says which function was misused. */
#include <erl_driver.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

static ErlDrvMutex *no_mutex;
static ErlDrvCond *no_cond;
static ErlDrvRWLock *no_rwlock;
static ErlDrvSysInfo info;
static ErlDrvTSDKey key;

static void destroy_held_mutex(void)
{
    ErlDrvMutex *m = erl_drv_mutex_create("held");
    erl_drv_mutex_lock(m);
    erl_drv_mutex_destroy(m);
}

static void destroy_held_rwlock(void)
{
    ErlDrvRWLock *l = erl_drv_rwlock_create("held");
    erl_drv_rwlock_rlock(l);
    erl_drv_rwlock_destroy(l);
}

/* The function misused, what the message says of it, and the misuse. */
/* clang-format off */
#define MISUSES(X) \
    X(0, "erl_drv_mutex_lock", "Invalid argument", erl_drv_mutex_lock(no_mutex)) \
    X(1, "erl_drv_mutex_trylock", "Invalid argument", erl_drv_mutex_trylock(no_mutex)) \
    X(2, "erl_drv_mutex_unlock", "Invalid argument", erl_drv_mutex_unlock(no_mutex)) \
    X(3, "erl_drv_mutex_destroy", "Invalid argument", erl_drv_mutex_destroy(no_mutex)) \
    X(4, "erl_drv_cond_signal", "Invalid argument", erl_drv_cond_signal(no_cond)) \
    X(5, "erl_drv_cond_broadcast", "Invalid argument", erl_drv_cond_broadcast(no_cond)) \
    X(6, "erl_drv_cond_wait", "Invalid argument", erl_drv_cond_wait(no_cond, no_mutex)) \
    X(7, "erl_drv_cond_destroy", "Invalid argument", erl_drv_cond_destroy(no_cond)) \
    X(8, "erl_drv_rwlock_rlock", "Invalid argument", erl_drv_rwlock_rlock(no_rwlock)) \
    X(9, "erl_drv_rwlock_tryrlock", "Invalid argument", erl_drv_rwlock_tryrlock(no_rwlock)) \
    X(10, "erl_drv_rwlock_runlock", "Invalid argument", erl_drv_rwlock_runlock(no_rwlock)) \
    X(11, "erl_drv_rwlock_rwlock", "Invalid argument", erl_drv_rwlock_rwlock(no_rwlock)) \
    X(12, "erl_drv_rwlock_tryrwlock", "Invalid argument", erl_drv_rwlock_tryrwlock(no_rwlock)) \
    X(13, "erl_drv_rwlock_rwunlock", "Invalid argument", erl_drv_rwlock_rwunlock(no_rwlock)) \
    X(14, "erl_drv_rwlock_destroy", "Invalid argument", erl_drv_rwlock_destroy(no_rwlock)) \
    X(15, "erl_drv_mutex_destroy", "Device or resource busy", destroy_held_mutex()) \
    X(16, "erl_drv_rwlock_destroy", "Device or resource busy", destroy_held_rwlock()) \
    X(17, "erl_drv_thread_opts_destroy", "Invalid argument", erl_drv_thread_opts_destroy(NULL)) \
    X(18, "erl_drv_equal_tids", "Invalid argument", erl_drv_equal_tids(erl_drv_thread_self(), NULL)) \
    X(19, "erl_drv_thread_exit", "Permission denied", erl_drv_thread_exit(NULL)) \
    X(20, "erl_drv_tsd_key_create", "Invalid argument", erl_drv_tsd_key_create("k", NULL)) \
    X(21, "erl_drv_tsd_key_destroy", "Invalid argument", erl_drv_tsd_key_destroy(key)) \
    X(22, "erl_drv_tsd_get", "Invalid argument", erl_drv_tsd_get(key)) \
    X(23, "erl_drv_tsd_get", "Invalid argument", erl_drv_tsd_get(1000000)) \
    X(24, "erl_drv_tsd_set", "Invalid argument", erl_drv_tsd_set(-1, NULL)) \
    X(25, "erl_drv_tsd_set", "Invalid argument", erl_drv_tsd_set(0, NULL)) \
    X(26, "driver_system_info", ", 31)", driver_system_info(&info, 31)) \
    X(27, "driver_system_info", ", 56)", driver_system_info(NULL, 56))
/* clang-format on */

static const struct {
    const char *function, *says;
} misuses[] = {
#define X(number, function, says, call) [number] = {function, says},
    MISUSES(X)
#undef X
};

static void misuse(int number)
{
    switch (number) {
#define X(which, function, says, call) \
    case which: \
        (void)call; \
        break;
        MISUSES(X)
#undef X
    default:
        abort();
    }
}

START_TEST(misuse_aborts_with_a_message_that_names_the_function)
{
    static char text[20000]; /* a sanitizer may have its say, too */
    size_t len = 0;
    ssize_t n;
    int fds[2], status;
    ck_assert(pipe(fds) == 0 && erl_drv_tsd_key_create("k", &key) == 0);
    erl_drv_tsd_key_destroy(key);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        misuse(_i);
        _exit(0);
    }
    close(fds[1]);
    while ((n = read(fds[0], text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    close(fds[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s: no abort", misuses[_i].function);
    ck_assert_msg(strstr(text, misuses[_i].function) != NULL && strstr(text, misuses[_i].says) != NULL, "%s: %s",
                  misuses[_i].function, text);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("misuse");
    TCase *tc = runner_case(s, "misuse");
    tcase_add_loop_test(tc, misuse_aborts_with_a_message_that_names_the_function, 0, (int)(sizeof misuses / sizeof misuses[0]));
    return s;
}

int main(void)
{
    return runner_main(suite());
}
