/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests have in common: one test case per suite, each test in a process of its own, none may leak a descriptor. */
#ifndef PH_RUNNER_H
#define PH_RUNNER_H

#include <check.h>
#include <dirent.h>
#include <stdlib.h>

/* Running out of memory is tested; under a sanitizer malloc must answer NULL for it, too. */
#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}
#endif
#ifdef __SANITIZE_THREAD__
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}
#endif

static int runner_fds;

static inline int runner_count_fds(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n;
}

static inline void runner_before(void)
{
    runner_fds = runner_count_fds();
}

static inline void runner_after(void)
{
    ck_assert_msg(runner_count_fds() == runner_fds, "descriptors leaked");
}

/* The test case to add the tests to. */
static inline TCase *runner_case(Suite *suite, const char *name)
{
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, runner_before, runner_after);
    tcase_set_timeout(tc, 30);
    suite_add_tcase(suite, tc);
    return tc;
}

static inline int runner_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
