/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the order of a conversation: hello, tags, which frame answers what. Called by the commands and the ports. */
#include "host/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/child.h"
#include "out.h"
#include "proto.h"
#include "term/term.h"

#define UNSENT_MAX (1u << 20) /* bytes, above which a post waits for the host to take some */

static int64_t reply_deadline(const struct ph_session *s)
{
    return ph_now_ms() + s->cli->timeout_ms;
}

enum ph_exit ph_result_exit(enum ph_result r)
{
    static const enum ph_exit of[] = {
        [PH_RESULT_OK] = PH_EXIT_OK,         [PH_RESULT_ERROR] = PH_EXIT_FAILED,
        [PH_RESULT_TIMEOUT] = PH_EXIT_FAILED, [PH_RESULT_LOST] = PH_EXIT_NO_CONNECTION,
        [PH_RESULT_INTERRUPTED] = PH_EXIT_FAILED, [PH_RESULT_INPUT] = PH_EXIT_OK,
    };
    return of[r];
}

/* The node's name may come back in another encoding of atoms; the numbers behind it are the same. */
bool ph_session_is_self(const struct ph_session *s, struct ph_slice pid)
{
    char node[1024];
    size_t len;
    struct ph_cur c = {pid.p + 1, pid.p + pid.len};
    if (pid.p[0] != s->self.buf[0] || ph_etf_atom(&c, node, sizeof node, &len) < 0 || strcmp(node, PH_CTL_NODE) != 0)
        return false;
    size_t rest = (size_t)(c.end - c.p);
    return rest <= s->self.len && memcmp(c.p, s->self.buf + s->self.len - rest, rest) == 0;
}

/* ---- building and sending ---- */

void ph_session_begin(struct ph_session *s, const char *name, uint32_t arity)
{
    ph_wbuf_reset(&s->out);
    ph_w_version(&s->out);
    ph_w_tuple(&s->out, arity);
    ph_w_atom(&s->out, name);
}

void ph_session_begin_tagged(struct ph_session *s, const char *name, uint32_t arity)
{
    ph_session_begin(s, name, arity);
    ph_w_uint(&s->out, ++s->tag);
}

void ph_session_put(struct ph_session *s, const struct ph_wbuf *term)
{
    ph_w_raw(&s->out, term->buf, term->len);
    s->out.failed |= term->failed;
}

void ph_session_put_self(struct ph_session *s)
{
    ph_session_put(s, &s->self);
}

static enum ph_result queue(struct ph_session *s)
{
    if (ph_wbuf_total(&s->out) > PH_MAX_FRAME_DEFAULT) {
        ph_complain("this request is larger than a frame can be");
        return PH_RESULT_TIMEOUT;
    }
    if (ph_link_send(s->link, &s->out) == 0)
        return PH_RESULT_OK;
    ph_complain("there is no memory for this request");
    return PH_RESULT_TIMEOUT;
}

/* ---- what comes from the host ---- */

static bool open_frame(struct ph_slice frame, struct ph_event *e)
{
    char name[1024];
    size_t len;
    struct ph_cur c = {frame.p, frame.p + frame.len}, check;
    if (ph_etf_version(&c) < 0)
        return false;
    e->whole = (struct ph_slice){c.p, frame.len - 1};
    check = c;
    bool passed = ph_etf_skip(&check, PH_ETF_DEPTH_MAX) == 0;
    if (passed ? check.p != check.end : !ph_etf_is_deeper(c, PH_ETF_DEPTH_MAX))
        return false; /* of what is deeper whoever would show it says so */
    if (ph_etf_tuple(&c, &e->arity) < 0 || ph_etf_atom(&c, name, sizeof name, &len) < 0 || len >= sizeof e->name)
        return false;
    memcpy(e->name, name, len + 1);
    e->args = c;
    return true;
}

/* goodbye and fault: a reason and a text for people. */
static void complain_about(const char *what, const struct ph_event *e)
{
    char reason[1024] = "?", *text = NULL;
    size_t len;
    struct ph_cur c = e->args;
    ph_etf_atom(&c, reason, sizeof reason, &len);
    ph_etf_text(&c, true, &text, &len);
    ph_complain("%s: %s%s%s", what, reason, text ? ": " : "", text ? text : "");
    free(text);
}

/* Whoever is to be monitored and is not there has ended. We ourselves live as long as the session. */
static void answer_monitor(struct ph_session *s, const struct ph_event *e)
{
    struct ph_cur c = e->args;
    struct ph_slice id, pid;
    struct ph_wbuf out;
    if (ph_etf_raw(&c, &id) < 0 || ph_etf_pid(&c, &pid) < 0 || ph_session_is_self(s, pid) ||
        (s->lives && s->lives(s->arg, pid)))
        return;
    ph_wbuf_init(&out, NULL);
    ph_w_version(&out);
    ph_w_tuple(&out, 3);
    ph_w_atom(&out, "down");
    ph_w_raw(&out, id.p, id.len);
    ph_w_atom(&out, "noproc");
    ph_link_send(s->link, &out);
    ph_wbuf_free(&out);
}

/* ---- ports ---- */

#define GRANTS 8 /* at first: so many may be created before we hear of it */
#define GRANTED 1000000000u /* ids of ports that drivers create are above, those of others below */
#define CREATED "created_"

void ph_session_created_name(uint64_t id, char *name, size_t cap)
{
    snprintf(name, cap, CREATED "%llu", (unsigned long long)(id - GRANTED));
}

bool ph_session_is_created_name(struct ph_text name)
{
    size_t n = strlen(CREATED);
    if (name.len <= n || memcmp(name.p, CREATED, n) != 0)
        return false;
    for (size_t i = n; i < name.len; i++)
        if (name.p[i] < '0' || name.p[i] > '9')
            return false;
    return true;
}

static void grant(struct ph_session *s, unsigned n)
{
    char name[32];
    struct ph_wbuf out;
    ph_wbuf_init(&out, NULL);
    ph_w_version(&out);
    ph_w_tuple(&out, 2);
    ph_w_atom(&out, "grant");
    ph_w_list(&out, n);
    while (n-- > 0) {
        uint64_t id = GRANTED + ++s->granted;
        ph_session_created_name(id, name, sizeof name);
        ph_w_tuple(&out, 2);
        ph_w_uint(&out, id);
        ph_w_atom(&out, name);
    }
    ph_w_nil(&out);
    ph_link_send(s->link, &out);
    ph_wbuf_free(&out);
}

uint64_t ph_session_port_id(struct ph_session *s)
{
    if (s->granted == 0)
        grant(s, GRANTS);
    return ++s->opened;
}

/* ---- events ---- */

static void handle_event(struct ph_session *s, const struct ph_event *e)
{
    if (strcmp(e->name, "goodbye") == 0) {
        complain_about("the host says goodbye", e);
        return;
    }
    if (strcmp(e->name, "fault") == 0) {
        s->faulted = true;
        complain_about("the host did not understand a request", e);
        return;
    }
    if (strcmp(e->name, "monitor") == 0)
        answer_monitor(s, e);
    if (strcmp(e->name, "created") == 0)
        grant(s, 1);
    if (s->on_event)
        s->on_event(s->arg, e);
}

/* Whether the frame answers the last tagged request. A late reply to an earlier one, given up after its time, is dropped. */
static bool is_reply(const struct ph_session *s, const struct ph_event *e, enum ph_result *result, struct ph_slice *value)
{
    bool ok = strcmp(e->name, "ok") == 0;
    uint64_t tag;
    struct ph_cur c = e->args;
    if ((!ok && strcmp(e->name, "error") != 0) || e->arity != 3)
        return false;
    if (ph_etf_uint64(&c, &tag) < 0 || tag != s->tag || !value)
        return false;
    *value = (struct ph_slice){c.p, (size_t)(c.end - c.p)};
    *result = ok ? PH_RESULT_OK : PH_RESULT_ERROR;
    return true;
}

static bool is_any_reply(const struct ph_event *e)
{
    return strcmp(e->name, "ok") == 0 || strcmp(e->name, "error") == 0;
}

/* Waits for one frame. OK: it is in e. */
static enum ph_result next_frame(struct ph_session *s, struct ph_wait_for *w, struct ph_event *e)
{
    struct ph_slice frame;
    switch (ph_link_wait(s->link, w, &frame)) {
    case PH_WAIT_FRAME:
        if (open_frame(frame, e))
            return PH_RESULT_OK;
        ph_complain("the host sent what is no term of this protocol");
        return PH_RESULT_LOST;
    case PH_WAIT_INPUT:
        return PH_RESULT_INPUT;
    case PH_WAIT_TIMEOUT:
        return PH_RESULT_TIMEOUT;
    case PH_WAIT_INTERRUPTED:
        return PH_RESULT_INTERRUPTED;
    default:
        return PH_RESULT_LOST;
    }
}

enum ph_result ph_session_ask(struct ph_session *s, struct ph_slice *value)
{
    struct ph_event e;
    struct ph_wait_for w = {.deadline = reply_deadline(s), .other_fd = -1};
    enum ph_result r = queue(s), result = PH_RESULT_OK;
    while (r == PH_RESULT_OK) {
        r = next_frame(s, &w, &e);
        if (r == PH_RESULT_TIMEOUT)
            ph_complain("no reply within %g seconds", s->cli->timeout_ms / 1000.0);
        if (r != PH_RESULT_OK)
            break;
        if (is_reply(s, &e, &result, value))
            return result;
        if (!is_any_reply(&e))
            handle_event(s, &e);
    }
    return r;
}

static enum ph_result listen_for(struct ph_session *s, struct ph_wait_for *w, bool (*enough)(void *arg), void *arg)
{
    struct ph_event e;
    for (;;) {
        if (enough && enough(arg))
            return PH_RESULT_OK;
        enum ph_result r = next_frame(s, w, &e);
        if (r == PH_RESULT_TIMEOUT)
            return PH_RESULT_OK;
        if (r != PH_RESULT_OK)
            return r;
        if (!is_any_reply(&e))
            handle_event(s, &e);
    }
}

/* What nobody reads is not waited for. */
static bool nobody_reads(void *arg)
{
    (void)arg;
    return ph_out_failed();
}

enum ph_result ph_session_listen(struct ph_session *s, int64_t deadline, int other_fd, bool (*enough)(void *arg), void *arg)
{
    struct ph_wait_for w = {.deadline = deadline, .other_fd = other_fd};
    return listen_for(s, &w, enough ? enough : nobody_reads, arg);
}

enum ph_result ph_session_post(struct ph_session *s)
{
    struct ph_wait_for w = {.deadline = reply_deadline(s), .other_fd = -1, .until_room = true, .room = UNSENT_MAX};
    enum ph_result r = queue(s);
    if (r != PH_RESULT_OK || ph_link_unsent(s->link) <= UNSENT_MAX)
        return r;
    r = listen_for(s, &w, NULL, NULL);
    if (r == PH_RESULT_INPUT)
        return PH_RESULT_OK;
    if (r != PH_RESULT_OK)
        return r;
    ph_complain("the host takes nothing more within %g seconds", s->cli->timeout_ms / 1000.0);
    return PH_RESULT_TIMEOUT;
}

/* ---- taps ---- */

static void on_tapped(void *arg, const struct ph_event *e)
{
    struct ph_session_tap *tap = arg;
    tap->on_event(tap, e);
}

void ph_session_tap(struct ph_session *s, struct ph_session_tap *tap)
{
    tap->session = s;
    tap->below = s->on_event;
    tap->below_arg = s->arg;
    s->on_event = on_tapped;
    s->arg = tap;
}

void ph_session_untap(struct ph_session_tap *tap)
{
    tap->session->on_event = tap->below;
    tap->session->arg = tap->below_arg;
}

void ph_session_pass_on(const struct ph_session_tap *tap, const struct ph_event *e)
{
    if (tap->below)
        tap->below(tap->below_arg, e);
}

/* ---- hello ---- */

/* The cursor gets before the value of that key in the host's hello. */
static bool hello_item(const struct ph_session *s, const char *key, struct ph_cur *c)
{
    uint32_t pairs = 0;
    *c = (struct ph_cur){s->hello.buf, s->hello.buf + s->hello.len};
    ph_etf_map(c, &pairs);
    for (; pairs > 0; pairs--) {
        if (ph_etf_is_atom(c, key) == 0)
            return true;
        ph_etf_skip(c, PH_MAX_DEPTH);
        ph_etf_skip(c, PH_MAX_DEPTH);
    }
    return false;
}

uint64_t ph_session_connection(const struct ph_session *s)
{
    struct ph_cur c;
    uint64_t number = 0;
    return hello_item(s, "connection", &c) && ph_etf_uint64(&c, &number) == 0 ? number : 0;
}

static void make_self(struct ph_session *s)
{
    char text[32];
    struct ph_term_error err;
    int len = snprintf(text, sizeof text, "<0.%ld.0>", (long)getpid());
    ph_wbuf_init(&s->self, NULL);
    ph_term_read(text, (size_t)len, PH_TERM_LIMITS, &s->self, &err);
}

static enum ph_result say_hello(struct ph_session *s)
{
    ph_session_begin(s, "hello", 3);
    ph_w_int(&s->out, PH_PROTO_VERSION);
    ph_w_map(&s->out, s->cli->cookie ? 3 : 2);
    if (s->cli->cookie) {
        ph_w_atom(&s->out, "auth");
        ph_w_binary(&s->out, s->client_nonce, PH_NONCE);
    }
    ph_w_atom(&s->out, "self");
    ph_session_put_self(s);
    ph_w_atom(&s->out, "name");
    ph_w_binary(&s->out, "porthostctl", strlen("porthostctl"));
    return queue(s);
}

static bool take_hello(struct ph_session *s, const struct ph_event *e)
{
    struct ph_cur c = e->args;
    struct ph_slice map;
    int64_t version;
    if (e->arity != 3 || ph_etf_int64(&c, &version) < 0 || version != PH_PROTO_VERSION || ph_etf_raw(&c, &map) < 0)
        return false;
    ph_w_raw(&s->hello, map.p, map.len);
    return true;
}

/* Without a cookie there is nothing that the host would have to prove. */
static bool host_proves(const struct ph_session *s)
{
    struct ph_cur c;
    struct ph_slice shown;
    return !s->cli->cookie || (hello_item(s, "auth", &c) && ph_etf_binary(&c, &shown) == 0 && shown.len == PH_PROOF &&
                               ph_auth_is_proof(s->cli->cookie, PH_AUTH_HOST, s->client_nonce, s->host_nonce, shown.p));
}

static bool take_challenge(struct ph_session *s, const struct ph_event *e)
{
    struct ph_cur c = e->args;
    struct ph_slice nonce;
    uint8_t proof[PH_PROOF];
    if (!s->cli->cookie || e->arity != 2 || ph_etf_binary(&c, &nonce) < 0 || nonce.len != PH_NONCE)
        return false;
    memcpy(s->host_nonce, nonce.p, PH_NONCE);
    ph_auth_proof(s->cli->cookie, PH_AUTH_CLIENT, s->client_nonce, s->host_nonce, proof);
    ph_session_begin(s, "auth", 2);
    ph_w_binary(&s->out, proof, sizeof proof);
    return queue(s) == PH_RESULT_OK;
}

static enum ph_result await_frame(struct ph_session *s, int64_t deadline, struct ph_event *e)
{
    struct ph_wait_for w = {.deadline = deadline, .other_fd = -1};
    enum ph_result r = next_frame(s, &w, e);
    if (r == PH_RESULT_TIMEOUT)
        ph_complain("the host does not answer within %g seconds", s->cli->timeout_ms / 1000.0);
    return r;
}

static enum ph_result await_hello(struct ph_session *s, int64_t deadline)
{
    struct ph_event e;
    enum ph_result r = await_frame(s, deadline, &e);
    if (r == PH_RESULT_OK && strcmp(e.name, "challenge") == 0 && take_challenge(s, &e))
        r = await_frame(s, deadline, &e);
    if (r != PH_RESULT_OK)
        return r;
    if (strcmp(e.name, "hello") == 0 && take_hello(s, &e)) {
        if (host_proves(s))
            return PH_RESULT_OK;
        ph_complain("the host does not prove that it knows the cookie");
        return PH_RESULT_LOST;
    }
    if (strcmp(e.name, "goodbye") == 0)
        complain_about("the host says goodbye", &e);
    else
        ph_complain("the host does not say hello as this protocol has it");
    return PH_RESULT_LOST;
}

enum ph_exit ph_session_open(struct ph_session *s, const struct ph_cli *cli)
{
    char why[512] = "";
    int64_t deadline = ph_now_ms() + cli->timeout_ms;
    *s = (struct ph_session){.cli = cli};
    if (cli->cookie && ph_auth_nonce(s->client_nonce)) {
        ph_complain("the system gives no random bytes");
        return PH_EXIT_NO_CONNECTION;
    }
    s->link = ph_link_open(cli, deadline, why, sizeof why);
    if (!s->link) {
        ph_complain("%s", why);
        return PH_EXIT_NO_CONNECTION;
    }
    ph_wbuf_init(&s->out, NULL);
    ph_wbuf_init(&s->hello, NULL);
    make_self(s);
    enum ph_result r = say_hello(s);
    if (r == PH_RESULT_OK)
        r = await_hello(s, deadline);
    if (r == PH_RESULT_OK)
        return PH_EXIT_OK;
    ph_session_close(s);
    return PH_EXIT_NO_CONNECTION;
}

void ph_session_close(struct ph_session *s)
{
    char why[512];
    ph_session_end(s, PH_CHILD_GRACE_MS, why, sizeof why);
    if (why[0])
        ph_complain("%s", why);
}

void ph_session_end(struct ph_session *s, int grace_ms, char *why, size_t cap)
{
    ph_link_close(s->link, grace_ms, why, cap);
    ph_wbuf_free(&s->out);
    ph_wbuf_free(&s->self);
    ph_wbuf_free(&s->hello);
}
