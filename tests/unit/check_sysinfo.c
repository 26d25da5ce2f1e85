/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/api/sysinfo.c and misc.c. */
#include <erl_driver.h>
#include <errno.h>
#include <string.h>

#include "api/r12.h"
#include "runner.h"
#include "sched/sched.h"

START_TEST(the_host_shows_itself_as_the_installed_erlang)
{
    ErlDrvSysInfo info;
    driver_system_info(&info, sizeof info);
    ck_assert_int_eq(info.driver_major_version, ERL_DRV_EXTENDED_MAJOR_VERSION);
    ck_assert_int_eq(info.driver_minor_version, ERL_DRV_EXTENDED_MINOR_VERSION);
    ck_assert_str_eq(info.erts_version, PH_ERTS_VERSION);
    ck_assert_str_eq(info.otp_release, PH_OTP_RELEASE);
    ck_assert(info.thread_support == 1 && info.smp_support == 1 && info.dirty_scheduler_support == 1);
    ck_assert_int_eq(info.async_threads, (int)ph_async_threads());
    ck_assert_int_eq(info.scheduler_threads, (int)ph_scheduler_threads());
    ck_assert_int_eq(info.nif_major_version, 2);
}
END_TEST

/* A driver's size, and how many bytes it gets. */
static const size_t generations[][2] = {{32, 32}, {36, 32}, {39, 32}, {40, 40}, {44, 40}, {48, 48},
                                        {51, 48}, {52, 52}, {56, 52}, {64, 52}, {128, 52}};

START_TEST(an_older_driver_gets_the_whole_generations_its_struct_has_room_for)
{
    unsigned char bytes[128], untouched[128];
    memset(bytes, 0xAA, sizeof bytes);
    memset(untouched, 0xAA, sizeof untouched);
    size_t given = generations[_i][0], written = generations[_i][1];
    driver_system_info((ErlDrvSysInfo *)(void *)bytes, given);
    ck_assert_int_eq(memcmp(bytes + written, untouched, sizeof bytes - written), 0);
    ck_assert_int_ne(memcmp(bytes + written - 4, untouched, 4), 0);
}
END_TEST

START_TEST(errno_id_and_null_func_are_there)
{
    ck_assert_str_eq(erl_errno_id(ENOENT), "enoent");
    ck_assert_str_eq(erl_errno_id(0), "unknown");
    ck_assert_int_eq(null_func(), 0);
}
END_TEST

START_TEST(driver_event_of_r12_says_that_it_cannot)
{
    struct erl_drv_event_data data = {.events = 1};
    ck_assert_int_eq(driver_event(NULL, NULL, &data), -1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("sysinfo");
    TCase *tc = runner_case(s, "sysinfo");
    tcase_add_test(tc, the_host_shows_itself_as_the_installed_erlang);
    tcase_add_loop_test(tc, an_older_driver_gets_the_whole_generations_its_struct_has_room_for, 0,
                        (int)(sizeof generations / sizeof generations[0]));
    tcase_add_test(tc, errno_id_and_null_func_are_there);
    tcase_add_test(tc, driver_event_of_r12_says_that_it_cannot);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
