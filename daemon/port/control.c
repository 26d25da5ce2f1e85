/* SPDX-License-Identifier: Apache-2.0 */
/* port_control and port_call: the driver answers in a buffer of ours, its own, or a driver binary. In the port's lock. */
#include "base/bin.h"
#include "base/mem.h"
#include "check/memory.h"
#include "peer/reply.h"
#include "port/callback.h"
#include "port/flat.h"
#include "port/misuse.h"
#include "port/op.h"
#include "term/canon.h"

#define CONTROL_BUFFER 64
#define CALL_BUFFER 255

#define VERSION_BYTE 131

/* Binary mode with a buffer of the driver's: an ErlDrvBinary, of which one reference is ours now. The length returned does not matter. */
static void write_driver_binary(struct ph_wbuf *w, ErlDrvBinary *b)
{
    size_t size = (size_t)b->orig_size;
    if (size > PH_OP_INLINE) {
        ph_w_binary_ref(w, b->orig_bytes, size, b);
        return;
    }
    ph_w_binary(w, b->orig_bytes, size);
    ph_bin_unref(b);
}

/* driver_alloc'd: the same allocator. */
static void free_answer(char *p)
{
    if (ph_checking())
        ph_block_free(p);
    else
        ph_free(p);
}

static void write_control_result(struct ph_wbuf *w, const struct ph_port *p, char *own, char *given, size_t n)
{
    bool binary = (p->control_flags & PORT_CONTROL_FLAG_BINARY) != 0;
    if (!given)
        ph_w_nil(w);
    else if (binary && given != own)
        write_driver_binary(w, (ErlDrvBinary *)(void *)given);
    else if (binary)
        ph_w_binary(w, given, n);
    else
        ph_w_string(w, given, n);
    if (!binary && given != own)
        free_answer(given);
}

/* The answer's length, or -1: it is none. */
static ErlDrvSSizeT control_checked(struct ph_op *op, const struct ph_flat *flat, char *own, char **buf)
{
    struct ph_port *p = op->port;
    ph_answer_guard(own + CONTROL_BUFFER);
    ErlDrvSSizeT n = ph_callback_control(p, op->caller, op->number, flat->p, flat->len, buf, CONTROL_BUFFER);
    struct ph_answer a = {.callback = "control", .own = own, .size = CONTROL_BUFFER, .given = *buf, .n = (size_t)n};
    a.binary = *buf != own && (p->control_flags & PORT_CONTROL_FLAG_BINARY) != 0;
    return n < 0 || ph_answer_is_good(p, &a) ? n : -1;
}

void ph_op_control(struct ph_op *op)
{
    struct ph_port *p = op->port;
    struct ph_flat flat;
    char own[CONTROL_BUFFER + PH_ANSWER_GUARD] __attribute__((aligned(16))), *buf = own;
    int bad = p->driver->entry.control ? ph_flat_get(&flat, op->data) : -1;
    if (bad) {
        ph_callback_refused(p, "control", p->driver->entry.control != NULL);
        ph_reply_error_atom(p->peer, op->tag, bad == -2 ? "enomem" : "badarg");
        return;
    }
    ErlDrvSSizeT n = ph_checking() ? control_checked(op, &flat, own, &buf)
                                   : ph_callback_control(p, op->caller, op->number, flat.p, flat.len, &buf, CONTROL_BUFFER);
    ph_flat_free(&flat);
    if (n < 0) {
        ph_reply_error_atom(p->peer, op->tag, "badarg");
        return;
    }
    struct ph_wbuf *w = ph_reply_ok(op->tag);
    write_control_result(w, p, own, buf, (size_t)n);
    ph_peer_commit(p->peer, w);
}

/* The term a call returned: {buf, n} without the version byte and what follows the term, or -1: the VM could not decode it. */
static int result_term(const char *buf, ErlDrvSSizeT n, struct ph_slice *term)
{
    struct ph_cur c = {(const uint8_t *)buf, (const uint8_t *)buf + n};
    return ph_etf_version(&c) || ph_canon_raw(&c, term) ? -1 : 0;
}

static bool is_call_good(struct ph_port *p, char *own, char *given, size_t n, unsigned flags)
{
    struct ph_answer a = {.callback = "call", .own = own, .size = CALL_BUFFER, .given = given, .n = n, .kept = (flags & DRIVER_CALL_KEEP_BUFFER) != 0};
    struct ph_slice term;
    if (!ph_answer_is_good(p, &a))
        return false;
    if (given && result_term(given, (ErlDrvSSizeT)n, &term))
        ph_port_violation(p, PH_VIOLATION_BAD_ANSWER, "call", "the answer of %zu bytes is no term in the external format", n);
    return true;
}

void ph_op_call(struct ph_op *op)
{
    struct ph_port *p = op->port;
    char own[CALL_BUFFER + PH_ANSWER_GUARD] __attribute__((aligned(16))), *buf = own;
    unsigned flags = 0;
    if (!p->driver->entry.call) {
        ph_callback_refused(p, "call", false);
        ph_reply_error_atom(p->peer, op->tag, "badarg");
        return;
    }
    /* The byte in front of the data is the op's own (see op.h). */
    char *in = (char *)(uintptr_t)(op->data.p - 1);
    *in = (char)VERSION_BYTE;
    if (ph_checking())
        ph_answer_guard(own + CALL_BUFFER);
    ErlDrvSSizeT n = ph_callback_call(p, op->caller, op->number, in, op->data.len + 1, &buf, CALL_BUFFER, &flags);
    struct ph_slice term;
    if (ph_checking() && n > 0 && !is_call_good(p, own, buf, (size_t)n, flags)) {
        ph_reply_error_atom(p->peer, op->tag, "badarg");
        return;
    }
    if (n <= 0 || !buf || (buf == own && n > CALL_BUFFER) || result_term(buf, n, &term)) {
        ph_reply_error_atom(p->peer, op->tag, "badarg");
    } else {
        struct ph_wbuf *w = ph_reply_ok(op->tag);
        ph_w_raw(w, term.p, term.len);
        ph_peer_commit(p->peer, w);
    }
    if (buf != own && n > 0 && !(flags & DRIVER_CALL_KEEP_BUFFER))
        free_answer(buf);
}
