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

enum ph_result ph_driver_load(struct ph_session *s, struct ph_text path, struct ph_text name, struct ph_slice *value)
{
    ph_session_begin_tagged(s, "load", 7);
    ph_session_put_self(s);
    ph_driver_put_ref(s);
    ph_w_binary(&s->out, path.p, path.len);
    ph_w_binary(&s->out, name.p, name.len);
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
