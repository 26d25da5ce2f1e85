/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the end of what is sent (daemon/peer/sending.c): other threads commit frames while nothing may follow any more. The test's own thread is
 * the peer's reactor, which runs only at the end of a test: so nothing is written but where the test writes. */
#include <arpa/inet.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer/peer.h"
#include "runner.h"

#define COMMITTERS 3
#define ROUNDS 100
#define AT_ONCE 2000 /* frames of each committer, at most */

static struct ph_peer *peer;
static int here, there; /* a pair of sockets */
static atomic_bool through;
static pthread_t committers[COMMITTERS];

static void no_more(void *conn)
{
    (void)conn;
}

static void broken(void *conn, enum ph_fault fault, const char *why)
{
    (void)conn;
    (void)fault;
    ck_abort_msg("%s", why);
}

static void *commit_frames(void *p)
{
    for (int i = 0; i < AT_ONCE && !atomic_load(&through); i++) {
        struct ph_wbuf *w = ph_peer_begin();
        ph_w_atom(w, "event");
        ph_peer_commit(peer, w);
    }
    return p;
}

static void begin(void)
{
    const struct ph_peer_owner owner = {.drained = no_more, .broken = broken};
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    here = pair[0];
    there = pair[1];
    peer = ph_peer_new(ph_reactor_first(), here, 1, &owner);
    ck_assert_ptr_nonnull(peer);
    atomic_store(&through, false);
    for (int i = 0; i < COMMITTERS; i++) {
        ck_assert_int_eq(pthread_create(&committers[i], NULL, commit_frames, NULL), 0);
    }
    while (ph_peer_unsent(peer) == 0) {
        sched_yield();
    }
}

static void join(void)
{
    atomic_store(&through, true);
    for (int i = 0; i < COMMITTERS; i++) {
        pthread_join(committers[i], NULL);
    }
}

static void end(void)
{
    ph_peer_close(peer);
    ph_peer_unref(peer);
    close(here);
    close(there);
}

static void stop(struct ph_task *task)
{
    (void)task;
    ph_reactors_stop();
}

static void each_round(void (*test)(void))
{
    static struct ph_task last = {.run = stop};
    evthread_use_pthreads();
    ck_assert_int_eq(ph_reactors_start(1, 0), 0);
    for (int i = 0; i < ROUNDS; i++) {
        begin();
        test();
        end();
    }
    ph_reactor_post(ph_reactor_first(), &last);
    ph_reactor_main();
    ph_reactors_join();
}

static void drop(void)
{
    ph_peer_drop_output(peer);
    join();
    ck_assert_uint_eq(ph_peer_unsent(peer), 0);
}

START_TEST(what_is_dropped_stays_empty)
{
    each_round(drop);
}
END_TEST

/* How often the bytes say goodbye, and whether that is in the last frame. */
static void check_frames(const char *p, size_t len)
{
    size_t goodbyes = 0, frame = 0;
    for (size_t at = 0; at < len; at += frame) {
        uint32_t size;
        ck_assert_uint_ge(len - at, sizeof size);
        memcpy(&size, p + at, sizeof size);
        frame = sizeof size + ntohl(size);
        ck_assert_uint_le(frame, len - at);
        goodbyes += memmem(p + at, frame, "goodbye", 7) != NULL;
        ck_assert_msg(goodbyes == 0 || at + frame == len, "%zu bytes follow goodbye", len - at - frame);
    }
    ck_assert_uint_eq(goodbyes, 1);
}

static void say_goodbye(void)
{
    static char bytes[COMMITTERS * AT_ONCE * 16 + 256];
    size_t len = 0;
    ssize_t n = 0;
    ph_peer_say_goodbye(peer, PH_FAULT_SHUTDOWN, NULL);
    join();
    bool done = false;
    while (!done || n > 0) {
        done = ph_peer_flush(peer);
        n = read(there, bytes + len, sizeof bytes - len);
        len += n > 0 ? (size_t)n : 0;
    }
    check_frames(bytes, len);
}

START_TEST(nothing_follows_goodbye)
{
    each_round(say_goodbye);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("sending");
    TCase *tc = runner_case(s, "end");
    tcase_add_test(tc, what_is_dropped_stays_empty);
    tcase_add_test(tc, nothing_follows_goodbye);
    return s;
}

int main(void)
{
    return runner_main(suite());
}
