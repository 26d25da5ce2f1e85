/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/api/environ.c and dl.c: the environment and the dynamic libraries of drivers. */
#include <dlfcn.h>
#include <erl_driver.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

static int until_no_memory = -1; /* how many more nodes of the tree there is memory for; -1: as many as are wanted */

/* In place of libc's, whose allocations cannot be made to fail from here. */
void *tsearch(const void *key, void **root, __compar_fn_t compare)
{
    static void *(*real)(const void *, void **, __compar_fn_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "tsearch");
    if (until_no_memory == 0) {
        errno = ENOMEM;
        return NULL;
    }
    until_no_memory -= until_no_memory > 0;
    return real(key, root, compare);
}

static char value[64];
static size_t size;

static int get(const char *key, size_t room)
{
    memset(value, '#', sizeof value);
    size = room;
    return erl_drv_getenv(key, value, &size);
}

START_TEST(a_value_needs_room_for_its_nul)
{
    ck_assert_int_eq(erl_drv_putenv("PH_TEST", "hello"), 0);
    for (size_t room = 0; room <= 5; room++) {
        ck_assert_int_gt(get("PH_TEST", room), 0);
        ck_assert_uint_eq(size, 6);
        ck_assert_int_eq(value[0], '#');
    }
    ck_assert_int_eq(get("PH_TEST", 6), 0);
    ck_assert_uint_eq(size, 5);
    ck_assert_str_eq(value, "hello");
    ck_assert_int_eq(value[6], '#');
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
    ck_assert_int_lt(get("PH_TEST_NOT", 10), 0);
    ck_assert_uint_eq(size, 10);
    ck_assert_int_lt(get(NULL, 10), 0);
    ck_assert_int_lt(erl_drv_getenv("PATH", value, NULL), 0);
}
END_TEST

START_TEST(it_begins_with_the_environment_of_the_process_and_goes_its_own_way)
{
    setenv("PH_TEST_SEED", "a=b", 1);
    ck_assert(get("PH_TEST_SEED", 10) == 0 && strcmp(value, "a=b") == 0);
    ck_assert_int_eq(erl_drv_putenv("PH_TEST_SEED", "mine"), 0);
    ck_assert_str_eq(getenv("PH_TEST_SEED"), "a=b");
    setenv("PH_TEST_SEED", "libc", 1);
    ck_assert(get("PH_TEST_SEED", 10) == 0 && strcmp(value, "mine") == 0);
}
END_TEST

START_TEST(without_memory_the_environment_is_refused_and_is_there_later)
{
    setenv("PH_TEST_SEED", "seed", 1);
    setenv("PH_TEST_LAST", "last", 1);
    until_no_memory = 1;
    ck_assert_int_lt(get("PH_TEST_SEED", 10), 0);
    ck_assert_uint_eq(size, 10);
    ck_assert_int_eq(erl_drv_putenv("PH_TEST_NEW", "new"), ENOMEM);
    until_no_memory = -1;
    ck_assert(get("PH_TEST_SEED", 10) == 0 && strcmp(value, "seed") == 0);
    ck_assert(get("PH_TEST_LAST", 10) == 0 && strcmp(value, "last") == 0);
    ck_assert_int_lt(get("PH_TEST_NEW", 10), 0);
    until_no_memory = 0;
    ck_assert_int_eq(erl_drv_putenv("PH_TEST_NEW", "new"), ENOMEM);
    ck_assert_int_eq(erl_drv_putenv("PH_TEST_SEED", "again"), 0);
    until_no_memory = -1;
    ck_assert_int_eq(erl_drv_putenv("PH_TEST_NEW", "new"), 0);
}
END_TEST

START_TEST(any_key_and_an_empty_value_will_do)
{
    ck_assert(erl_drv_putenv("PH=TEST", "x") == 0 && get("PH=TEST", 2) == 0);
    ck_assert_int_lt(get("PH", 10), 0);
    ck_assert(erl_drv_putenv("", "y") == 0 && get("", 2) == 0);
    ck_assert(erl_drv_putenv("PH=TEST", "") == 0 && get("PH=TEST", 1) == 0);
    ck_assert_uint_eq(size, 0);
    ck_assert_str_eq(value, "");
    ck_assert_int_eq(erl_drv_putenv("k", NULL), EINVAL);
    ck_assert_int_eq(erl_drv_putenv(NULL, "v"), EINVAL);
}
END_TEST

static void *put_many(void *p)
{
    char key[32], text[32];
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "PH_TEST_%d", i % 50);
        snprintf(text, sizeof text, "%s %d", (char *)p, i);
        size_t n = sizeof text;
        ck_assert_int_eq(erl_drv_putenv(key, text), 0);
        ck_assert_int_eq(erl_drv_getenv(key, text, &n), 0);
    }
    return NULL;
}

START_TEST(threads_may_use_it_at_once)
{
    pthread_t t;
    char one[] = "one", two[] = "two";
    pthread_create(&t, NULL, put_many, one);
    put_many(two);
    pthread_join(t, NULL);
    ck_assert(get("PH_TEST_49", 20) == 0 && strcmp(value + 4, "1999") == 0);
}
END_TEST

START_TEST(a_library_is_opened_by_its_name_without_suffix)
{
    char dir[] = "/tmp/check_environ.XXXXXX", link[64], name[64];
    Dl_info libc;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_ne(dladdr((void *)gnu_get_libc_version, &libc), 0);
    snprintf(link, sizeof link, "%s/lib.so", dir);
    snprintf(name, sizeof name, "%s/lib", dir);
    ck_assert_int_eq(symlink(libc.dli_fname, link), 0);
    void *handle = driver_dl_open(name);
    ck_assert_ptr_null(driver_dl_open(link));
    ck_assert_ptr_nonnull(strstr(driver_dl_error(), "lib.so.so"));
    unlink(link);
    rmdir(dir);
    ck_assert_ptr_nonnull(handle);
    char there[] = "gnu_get_libc_version", not_there[] = "ph_no_such_function";
    ck_assert_ptr_nonnull(driver_dl_sym(handle, there));
    ck_assert_ptr_null(driver_dl_sym(handle, not_there));
    ck_assert_ptr_nonnull(strstr(driver_dl_error(), not_there));
    ck_assert_int_eq(driver_dl_close(handle), 0);
}
END_TEST

START_TEST(without_an_error_there_is_a_text_still)
{
    ck_assert_ptr_null(driver_dl_open(NULL));
    ck_assert_ptr_nonnull(driver_dl_error());
    ck_assert_uint_gt(strlen(driver_dl_error()), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("environ");
    TCase *tc = runner_case(s, "environ");
    tcase_add_test(tc, a_value_needs_room_for_its_nul);
    tcase_add_test(tc, what_is_not_there_is_not_found);
    tcase_add_test(tc, it_begins_with_the_environment_of_the_process_and_goes_its_own_way);
    tcase_add_test(tc, without_memory_the_environment_is_refused_and_is_there_later);
    tcase_add_test(tc, any_key_and_an_empty_value_will_do);
    tcase_add_test(tc, threads_may_use_it_at_once);
    tc = runner_case(s, "dl");
    tcase_add_test(tc, a_library_is_opened_by_its_name_without_suffix);
    tcase_add_test(tc, without_an_error_there_is_a_text_still);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
