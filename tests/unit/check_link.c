/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of how porthostctl connects (proto/cli/host/conn.h). A name that has several addresses is one of the tests' own: they answer for the resolver. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/conn.h"
#include "runner.h"

#define SILENT "127.0.0.2"
#define GOOD "127.0.0.3"
#define WAITING 8

static struct sockaddr_in addresses[2];
static struct addrinfo answer[2];
static int silent, good, waiting[WAITING];

int getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints, struct addrinfo **restrict found)
{
    (void)host;
    (void)port;
    (void)hints;
    *found = answer;
    return 0;
}

void freeaddrinfo(struct addrinfo *found)
{
    ck_assert_ptr_eq(found, answer);
}

static int listener(struct sockaddr_in *at, const char *host, in_port_t port, int backlog)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    ck_assert_int_eq(inet_pton(AF_INET, host, &at->sin_addr), 1);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
    ck_assert_int_eq(listen(fd, backlog), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

/* The kernel answers nobody any more who would connect there. */
static void fill(const struct sockaddr_in *at)
{
    for (int i = 0; i < WAITING; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(waiting[i], (const struct sockaddr *)at, sizeof *at);
    }
}

static void setup(void)
{
    silent = listener(&addresses[0], SILENT, 0, 0);
    good = listener(&addresses[1], GOOD, 0, 1);
    fill(&addresses[0]);
    for (int i = 0; i < 2; i++)
        answer[i] = (struct addrinfo){.ai_family = AF_INET,
                                      .ai_socktype = SOCK_STREAM,
                                      .ai_addr = (struct sockaddr *)&addresses[i],
                                      .ai_addrlen = sizeof addresses[i],
                                      .ai_next = i == 0 ? &answer[1] : NULL};
}

static void teardown(void)
{
    close(silent);
    close(good);
    for (int i = 0; i < WAITING; i++)
        close(waiting[i]);
}

static struct ph_link *connect_by(int64_t deadline, char *why, size_t cap)
{
    const struct ph_cli cli = {.transport = PH_TCP, .address = "two:4711"};
    return ph_link_open(&cli, deadline, why, cap);
}

START_TEST(an_address_that_does_not_answer_leaves_time_for_the_next)
{
    char why[128] = "";
    int64_t deadline = ph_now_ms() + 6000;
    struct ph_link *l = connect_by(deadline, why, sizeof why);
    ck_assert_msg(l != NULL, "%s", why);
    ck_assert_int_lt(ph_now_ms(), deadline); /* within this machine it would connect even when no time is left */
    ph_link_close(l, 0, NULL, 0);
}
END_TEST

START_TEST(the_deadline_is_that_of_all_addresses)
{
    char why[128] = "";
    int64_t deadline = ph_now_ms() + 300;
    addresses[1] = addresses[0];
    ck_assert_ptr_null(connect_by(deadline, why, sizeof why));
    ck_assert_str_eq(why, "cannot connect to two:4711: Connection timed out");
    ck_assert_int_ge(ph_now_ms(), deadline);
}
END_TEST

/* As it is written; nothing is connected. */
static bool ok(enum ph_transport transport, const char *address, const char *wrong)
{
    char why[256] = "";
    bool is = ph_link_address_ok(transport, address, why, sizeof why);
    ck_assert_msg(is || strstr(why, wrong), "%s: %s", address, why);
    return is;
}

START_TEST(addresses_are_written_as_HOST_and_PORT)
{
    static const char *const right[] = {"localhost:1", "localhost:65535", "localhost:http-alt", "[::1]:4711", "::1:4711"};
    static const char *const wrong[] = {"localhost", "localhost:", ":4711", "", ":"};
    static const char *const ports[] = {"localhost:0", "localhost:65536", "localhost:-1", "localhost:99999999999999999999"};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        ck_assert(ok(PH_TCP, right[i], ""));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert(!ok(PH_TCP, wrong[i], "expected HOST:PORT"));
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
        ck_assert(!ok(PH_TCP, ports[i], "from 1 to 65535"));
}
END_TEST

START_TEST(a_unix_path_fits_into_an_address)
{
    char path[109];
    memset(path, 'x', sizeof path);
    path[107] = 0;
    ck_assert(ok(PH_UNIX, path, ""));
    path[107] = 'x';
    path[108] = 0;
    ck_assert(!ok(PH_UNIX, path, "1 to 107 bytes"));
    ck_assert(!ok(PH_UNIX, "", "1 to 107 bytes"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link");
    TCase *tc = runner_case(suite, "link");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_address_that_does_not_answer_leaves_time_for_the_next);
    tcase_add_test(tc, the_deadline_is_that_of_all_addresses);
    tcase_add_test(tc, addresses_are_written_as_HOST_and_PORT);
    tcase_add_test(tc, a_unix_path_fits_into_an_address);
    return runner_main(suite);
}
