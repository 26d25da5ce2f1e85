/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the requests that load and unload drivers. Called by the commands and by ports.c. */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

#include "out.h"

/* The tag makes it different. */
void ph_driver_put_ref(struct ph_session *s)
{
    char text[40];
    struct ph_term_error err;
    int len = snprintf(text, sizeof text, "#Ref<0.0.0.%lu>", (unsigned long)(s->tag & 0x3ffff));
    ph_term_read(text, (size_t)len, PH_TERM_LIMITS, &s->out, &err);
}

static void begin_load(struct ph_session *s, struct ph_text path, struct ph_text name)
{
    ph_session_begin_tagged(s, "load", 7);
    ph_session_put_self(s);
    ph_driver_put_ref(s);
    ph_w_binary(&s->out, path.p, path.len);
    ph_w_binary(&s->out, name.p, name.len);
}

enum ph_result ph_driver_load(struct ph_session *s, struct ph_text path, struct ph_text name, struct ph_slice *value)
{
    begin_load(s, path, name);
    ph_w_nil(&s->out);
    return ph_session_ask(s, value);
}

enum ph_result ph_driver_unload(struct ph_session *s, struct ph_text name, struct ph_slice *value)
{
    ph_session_begin_tagged(s, "unload", 6);
    ph_session_put_self(s);
    ph_driver_put_ref(s);
    ph_w_binary(&s->out, name.p, name.len);
    ph_w_nil(&s->out);
    return ph_session_ask(s, value);
}

/* ---- reload ---- */

struct reload {
    struct ph_session_tap tap; /* first */
    struct ph_text name;
    struct ph_wbuf *what; /* of the message that says how it ended; empty until it has come */
    bool loaded;
};

/* {send, Self, {'UP' | 'DOWN', Ref, driver, Name, What}} */
static void on_event(struct ph_session_tap *tap, const struct ph_event *e)
{
    struct reload *r = (struct reload *)tap;
    struct ph_cur c = e->args;
    struct ph_slice skipped, what;
    uint32_t arity;
    char *name = NULL;
    size_t len;
    bool up = false, about_us = strcmp(e->name, "send") == 0 && ph_etf_raw(&c, &skipped) == 0 && ph_etf_tuple(&c, &arity) == 0 && arity == 5;
    about_us = about_us && ((up = ph_etf_is_atom(&c, "UP") == 0) || ph_etf_is_atom(&c, "DOWN") == 0);
    about_us = about_us && ph_etf_raw(&c, &skipped) == 0 && ph_etf_is_atom(&c, "driver") == 0 && ph_etf_text(&c, true, &name, &len) == 0 &&
               len == r->name.len && memcmp(name, r->name.p, len) == 0;
    if (about_us && ph_etf_raw(&c, &what) == 0) {
        r->loaded = up;
        ph_w_raw(r->what, what.p, what.len);
    } else {
        ph_session_pass_on(tap, e);
    }
    free(name);
}

static bool has_come(void *arg)
{
    return ((struct reload *)arg)->what->len > 0;
}

/* {reload, pending_driver}: it is enough that the ports are closed, there may be other users. */
static enum ph_result ask_reload(struct ph_session *s, struct ph_text path, struct ph_text name, struct ph_slice *value)
{
    static const char *const options[] = {"reload", "monitor"};
    begin_load(s, path, name);
    ph_w_list(&s->out, 2);
    for (size_t i = 0; i < 2; i++) {
        ph_w_tuple(&s->out, 2);
        ph_w_atom(&s->out, options[i]);
        ph_w_atom(&s->out, "pending_driver");
    }
    ph_w_nil(&s->out);
    return ph_session_ask(s, value);
}

static bool is_reason(enum ph_result r, struct ph_slice value, const char *reason)
{
    struct ph_cur c = {value.p, value.p + value.len};
    return r == PH_RESULT_ERROR && ph_etf_is_atom(&c, reason) == 0;
}

/* Pending is {pending_driver, Ref}; anything else has been done at once. */
static bool is_pending(struct ph_slice value)
{
    struct ph_cur c = {value.p, value.p + value.len};
    uint32_t arity;
    return ph_etf_tuple(&c, &arity) == 0;
}

static enum ph_result await_reload(struct ph_session *s, struct reload *r)
{
    enum ph_result result = ph_session_listen(s, ph_now_ms() + s->cli->timeout_ms, -1, has_come, r);
    if (result != PH_RESULT_OK)
        return result;
    if (!has_come(r)) {
        ph_complain("reload: the driver still has ports after %g seconds", s->cli->timeout_ms / 1000.0);
        return PH_RESULT_TIMEOUT;
    }
    return r->loaded ? PH_RESULT_OK : PH_RESULT_ERROR;
}

enum ph_result ph_driver_reload(struct ph_session *s, struct ph_text path, struct ph_text name, struct ph_wbuf *value)
{
    struct ph_slice reply = {0};
    struct reload r = {.tap.on_event = on_event, .name = name, .what = value};
    ph_session_tap(s, &r.tap);
    enum ph_result result = ask_reload(s, path, name, &reply);
    if (is_reason(result, reply, "not_loaded_by_this_process")) { /* only users may: become one */
        result = ph_driver_load(s, path, name, &reply);
        if (result == PH_RESULT_OK)
            result = ask_reload(s, path, name, &reply);
    }
    if (result == PH_RESULT_OK && is_pending(reply))
        result = await_reload(s, &r);
    else
        ph_w_raw(value, reply.p, reply.len);
    ph_session_untap(&r.tap);
    return result;
}

void ph_driver_explain(struct ph_session *s, const char *what, struct ph_slice reason)
{
    struct ph_slice value;
    char *text = NULL;
    size_t len;
    ph_out_failure(what, reason);
    ph_session_begin_tagged(s, "format_error", 3);
    ph_w_raw(&s->out, reason.p, reason.len);
    if (ph_session_ask(s, &value) != PH_RESULT_OK)
        return;
    struct ph_cur c = {value.p, value.p + value.len};
    if (ph_etf_text(&c, false, &text, &len) == 0)
        ph_complain("%s: %s", what, text);
    free(text);
}
