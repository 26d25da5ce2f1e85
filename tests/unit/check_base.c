/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of daemon/base: mem, log, errno_id, thread. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/errno_id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "runner.h"

static char captured[8192];

/* Runs a function in a process whose stderr is read into `captured`; its wait status. */
static int capture(void (*run)(void))
{
    int fds[2], status;
    size_t len = 0;
    ssize_t n;
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    close(fds[1]);
    while ((n = read(fds[0], captured + len, sizeof captured - 1 - len)) > 0) {
        len += (size_t)n;
    }
    captured[len] = '\0';
    close(fds[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

START_TEST(memory_of_size_zero_is_memory)
{
    void *p = ph_alloc(0), *q = ph_alloc_try(0), *r = ph_calloc(0, 8);
    ck_assert(p != NULL && q != NULL && r != NULL);
    p = ph_realloc(p, 0);
    q = ph_realloc_try(q, 0);
    ck_assert(p != NULL && q != NULL);
    ph_free(p);
    ph_free(q);
    ph_free(r);
    ph_free(NULL);
}
END_TEST

START_TEST(calloc_clears_and_strdup_copies)
{
    const char text[] = "text";
    char *zero = ph_calloc(3, 5), *s = ph_strdup(text);
    for (int i = 0; i < 15; i++) {
        ck_assert_int_eq(zero[i], 0);
    }
    ck_assert_str_eq(s, text);
    ck_assert_ptr_ne(s, text);
    ph_free(zero);
    ph_free(s);
}
END_TEST

static volatile size_t too_much = PTRDIFF_MAX;

START_TEST(the_try_forms_answer_null_when_there_is_no_memory)
{
    char *p = ph_alloc(4);
    strcpy(p, "abc");
    ck_assert_ptr_null(ph_alloc_try(too_much));
    ck_assert_ptr_null(ph_realloc_try(p, too_much));
    ck_assert_str_eq(p, "abc");
    ph_free(p);
}
END_TEST

static void alloc_too_much(void)
{
    ph_free(ph_alloc(too_much));
}

static void calloc_too_much(void)
{
    ph_free(ph_calloc(too_much, 4));
}

START_TEST(the_others_end_the_process_with_the_size_when_there_is_no_memory)
{
    int status = capture(alloc_too_much);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(captured, "out of memory: 9223372036854775807 bytes\n"));
    status = capture(calloc_too_much);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

static void log_two_lines(void)
{
    errno = ENOENT;
    ph_log(PH_LOG_WARNING, &(struct ph_where){.connection = 2, .has_port = true, .port = 3, .driver = "echo_drv 4"}, "took %d ms", 12);
    ph_log(PH_LOG_NOTICE, NULL, "started");
    if (errno != ENOENT) {
        _exit(1);
    }
}

START_TEST(a_line_has_level_and_subject_and_errno_stays)
{
    ck_assert_int_eq(capture(log_two_lines), 0);
    ck_assert_str_eq(captured, "warning [conn 2 port 3 echo_drv] took 12 ms\nnotice started\n");
}
END_TEST

static void log_forgery(void)
{
    ph_log(PH_LOG_ERROR, &(struct ph_where){.connection = 1, .client = "a\nb"}, "name \"a\nerror forged\x1b[2J\x7f\xc3\xa5\"");
}

START_TEST(a_text_cannot_forge_a_line_or_drive_a_terminal)
{
    capture(log_forgery);
    ck_assert_str_eq(captured, "error [conn 1 a?b] name \"a?error forged?[2J?\xc3\xa5\"\n");
}
END_TEST

static void log_much(void)
{
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ph_log(PH_LOG_ERROR, &(struct ph_where){.driver = text}, "y");
    ph_log(PH_LOG_ERROR, &(struct ph_where){.driver = "w"}, "%s", text);
}

START_TEST(a_line_that_is_too_long_is_cut_and_ended)
{
    capture(log_much);
    char *nl = strchr(captured, '\n');
    ck_assert(nl != NULL && nl - captured < 2048);
    ck_assert_int_eq(strncmp(nl + 1, "error [w] xxx", 13), 0);
    ck_assert_int_eq(captured[strlen(captured) - 1], '\n');
}
END_TEST

static void log_json(void)
{
    char text[5000];
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ph_log_set_format(PH_LOG_JSON, PH_LOG_PREFIX_NEVER);
    ph_log(PH_LOG_WARNING, &(struct ph_where){.connection = 2, .client = "n\xc3\xa5\xff\xed\xa0\x80", .has_port = true, .driver = "echo_drv 4"}, "a\"b\\c\nd");
    ph_log(PH_LOG_ERROR, NULL, "%s", text);
    ph_log_in_handler(&(struct ph_where){.driver = "d"}, "t");
}

START_TEST(as_json_a_line_is_an_object_that_names_connection_port_and_driver)
{
    ck_assert_int_eq(capture(log_json), 0);
    char *line = strtok(captured, "\n"), *second = strtok(NULL, "\n"), *third = strtok(NULL, "\n");
    ck_assert_int_eq(strncmp(line, "{\"time\":1", 9), 0);
    ck_assert_str_eq(strchr(line, ','), ",\"level\":\"warning\",\"connection\":2,\"port\":0,\"client\":\"n\xc3\xa5????\",\"driver\":\"echo_drv\",\"text\":\"a\\\"b\\\\c?d\"}");
    size_t n = strlen(second);
    ck_assert(n < 2048 && strcmp(second + n - 4, "\\\"\"}") == 0 && second[n - 5] == '"');
    ck_assert_str_eq(strchr(third, ','), ",\"level\":\"critical\",\"driver\":\"d\",\"text\":\"t\"}");
}
END_TEST

static void log_with_prefix(void)
{
    ph_log_set_format(PH_LOG_TEXT, PH_LOG_PREFIX_ALWAYS);
    ph_log(PH_LOG_ERROR, NULL, "a");
    ph_log(PH_LOG_NOTICE, NULL, "b");
    setenv("JOURNAL_STREAM", "1:2", 1);
    ph_log_set_format(PH_LOG_TEXT, PH_LOG_PREFIX_AUTO);
    ph_log(PH_LOG_ERROR, NULL, "c");
    struct stat st;
    char stream[64];
    fstat(STDERR_FILENO, &st);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    ph_log_set_format(PH_LOG_TEXT, PH_LOG_PREFIX_AUTO);
    ph_log(PH_LOG_WARNING, NULL, "d");
    ph_log_set_format(PH_LOG_TEXT, PH_LOG_PREFIX_NEVER);
    ph_log(PH_LOG_ERROR, NULL, "e");
}

START_TEST(lines_have_the_priority_of_syslog_for_the_journal)
{
    ck_assert_int_eq(capture(log_with_prefix), 0);
    ck_assert_str_eq(captured, "<3>error a\n<5>notice b\nerror c\n<4>warning d\nerror e\n");
}
END_TEST

static void log_by_level(void)
{
    ph_log(PH_LOG_INFO, NULL, "not yet");
    ph_log_set_level(PH_LOG_INFO);
    ph_log(PH_LOG_INFO, NULL, "now");
    ph_log(PH_LOG_DEBUG, NULL, "never");
    ph_log_set_level(PH_LOG_ERROR);
    ph_log(PH_LOG_WARNING, NULL, "no more");
}

START_TEST(lines_below_the_level_are_not_written)
{
    capture(log_by_level);
    ck_assert_str_eq(captured, "info now\n");
    ck_assert(ph_log_wants(PH_LOG_NOTICE) && !ph_log_wants(PH_LOG_INFO));
}
END_TEST

START_TEST(level_names_are_those_of_the_lines)
{
    enum ph_log_level level = PH_LOG_ERROR;
    ck_assert(ph_log_parse_level("debug", &level) == 0 && level == PH_LOG_DEBUG);
    ck_assert(ph_log_parse_level("error", &level) == 0 && level == PH_LOG_ERROR);
    ck_assert_int_eq(ph_log_parse_level("DEBUG", &level), -1);
    ck_assert_int_eq(ph_log_parse_level("", &level), -1);
    ck_assert_int_eq(level, PH_LOG_ERROR);
}
END_TEST

START_TEST(error_names_are_the_ones_the_vm_has)
{
    static const struct {
        int number;
        const char *name;
    } some[] = {
        {EPERM, "eperm"},     {ENOENT, "enoent"},       {EWOULDBLOCK, "eagain"},  {EOPNOTSUPP, "enotsup"},
        {EDQUOT, "edquot"},   {EDEADLOCK, "edeadlk"},   {E2BIG, "e2big"},         {ETIMEDOUT, "etimedout"},
        {0, "unknown"},       {-1, "unknown"},          {INT_MIN, "unknown"},     {INT_MAX, "unknown"},
        {41, "unknown"},      {ECANCELED, "unknown"},   {ERESTART, "unknown"},    {EDQUOT + 1, "unknown"},
    };
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        ck_assert_str_eq(ph_errno_id(some[i].number), some[i].name);
    }
}
END_TEST

START_TEST(error_names_are_glibcs_in_lower_case_and_all_of_them_distinct)
{
    int known = 0;
    for (int e = 1; e < 200; e++) {
        const char *id = ph_errno_id(e), *libc = strerrorname_np(e);
        if (strcmp(id, "unknown") == 0) {
            continue;
        }
        known++;
        ck_assert_ptr_nonnull(libc);
        ck_assert(strcasecmp(id, libc) == 0 || e == ENOTSUP);
    }
    ck_assert_int_eq(known, 117);
}
END_TEST

struct seen {
    char name[16];
    size_t stack;
    sigset_t blocked;
    struct ph_thread self;
};

static void *look_around(void *p)
{
    struct seen *s = p;
    pthread_attr_t attr;
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstacksize(&attr, &s->stack);
    pthread_attr_destroy(&attr);
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    pthread_sigmask(SIG_BLOCK, NULL, &s->blocked);
    s->self = ph_self;
    return p;
}

static struct seen start_and_look(const char *name, size_t stack)
{
    pthread_t tid;
    void *result;
    static struct seen seen;
    ck_assert_int_eq(ph_thread_start(&tid, name, stack, look_around, &seen), 0);
    ck_assert_int_eq(pthread_join(tid, &result), 0);
    ck_assert_ptr_eq(result, &seen);
    return seen;
}

START_TEST(a_thread_has_its_name_cut_to_what_the_system_keeps)
{
    ck_assert_str_eq(start_and_look("reactor 12", 0).name, "reactor 12");
    ck_assert_str_eq(start_and_look("a name of more than 15 bytes", 0).name, "a name of more ");
}
END_TEST

START_TEST(a_thread_blocks_all_signals_but_those_of_faults)
{
    struct seen s = start_and_look("t", 0);
    ck_assert(sigismember(&s.blocked, SIGTERM) == 1 && sigismember(&s.blocked, SIGHUP) == 1);
    ck_assert(sigismember(&s.blocked, SIGPIPE) == 1 && sigismember(&s.blocked, SIGCHLD) == 1);
    ck_assert(sigismember(&s.blocked, SIGSEGV) == 0 && sigismember(&s.blocked, SIGABRT) == 0);
    sigset_t mine;
    pthread_sigmask(SIG_BLOCK, NULL, &mine);
    ck_assert_int_eq(sigismember(&mine, SIGTERM), 0);
}
END_TEST

START_TEST(a_thread_gets_at_least_the_stack_asked_for)
{
    ck_assert_uint_ge(start_and_look("t", 20u << 20).stack, 20u << 20);
    ck_assert_uint_gt(start_and_look("t", 1).stack, 1);
}
END_TEST

START_TEST(a_thread_is_foreign_until_it_says_otherwise)
{
    ph_self.kind = PH_THREAD_WORKER;
    ck_assert(ph_thread_is_host());
    struct seen s = start_and_look("t", 0);
    ck_assert_int_eq(s.self.kind, PH_THREAD_FOREIGN);
    ck_assert(s.self.port == NULL && s.self.lock == NULL && s.self.reactor == NULL);
    ph_self.kind = PH_THREAD_DRIVER;
    ck_assert(!ph_thread_is_host());
}
END_TEST

START_TEST(a_thread_that_cannot_be_made_gives_an_errno)
{
    pthread_t tid;
    ck_assert_int_ne(ph_thread_start(&tid, "t", (size_t)1 << 60, look_around, NULL), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("base");
    TCase *tc = runner_case(s, "mem");
    tcase_add_test(tc, memory_of_size_zero_is_memory);
    tcase_add_test(tc, calloc_clears_and_strdup_copies);
    tcase_add_test(tc, the_try_forms_answer_null_when_there_is_no_memory);
    tcase_add_test(tc, the_others_end_the_process_with_the_size_when_there_is_no_memory);
    tc = runner_case(s, "log");
    tcase_add_test(tc, a_line_has_level_and_subject_and_errno_stays);
    tcase_add_test(tc, a_text_cannot_forge_a_line_or_drive_a_terminal);
    tcase_add_test(tc, a_line_that_is_too_long_is_cut_and_ended);
    tcase_add_test(tc, as_json_a_line_is_an_object_that_names_connection_port_and_driver);
    tcase_add_test(tc, lines_have_the_priority_of_syslog_for_the_journal);
    tcase_add_test(tc, lines_below_the_level_are_not_written);
    tcase_add_test(tc, level_names_are_those_of_the_lines);
    tc = runner_case(s, "errno_id");
    tcase_add_test(tc, error_names_are_the_ones_the_vm_has);
    tcase_add_test(tc, error_names_are_glibcs_in_lower_case_and_all_of_them_distinct);
    tc = runner_case(s, "thread");
    tcase_add_test(tc, a_thread_has_its_name_cut_to_what_the_system_keeps);
    tcase_add_test(tc, a_thread_blocks_all_signals_but_those_of_faults);
    tcase_add_test(tc, a_thread_gets_at_least_the_stack_asked_for);
    tcase_add_test(tc, a_thread_is_foreign_until_it_says_otherwise);
    tcase_add_test(tc, a_thread_that_cannot_be_made_gives_an_errno);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
