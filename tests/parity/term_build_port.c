/* SPDX-License-Identifier: Apache-2.0 */
/* A port program around the term builder, for term_parity.escript: what tests/drivers/term_probe_drv.c is to the VM. Frames with
 * {packet,4}:
 *
 *   in   Operation:8 PidLen:16 Pid PortLen:16 Port Spec    Pid, Port: encoded, without version; Spec: as in term_spec.h
 *   out  Result:32 References:32 [131 Term]
 *
 * Operation 4 sends to a process that is gone: the specification is checked and not built. Leaves with status 2 if a frame is
 * malformed, 3 if a failed build has left something behind. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../drivers/term_spec.h"
#include "base/bin.h"
#include "term/build.h"
#include "term/words.h"

static struct ph_slice port_term; /* of the frame at hand */

static ErlDrvTermData make_atom(char *name)
{
    return ph_atom_latin1(name, strlen(name));
}

static ErlDrvBinary *make_binary(ErlDrvSizeT size)
{
    return ph_bin_new(size);
}

static void release_binary(ErlDrvBinary *b)
{
    ph_bin_unref(b);
}

static ErlDrvSInt binary_refc(ErlDrvBinary *b)
{
    return ph_bin_refc(b);
}

static void write_port(struct ph_wbuf *w, ErlDrvTermData port)
{
    (void)port;
    ph_w_raw(w, port_term.p, port_term.len);
}

static void write_number(size_t v)
{
    unsigned char b[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v};
    fwrite(b, 1, sizeof b, stdout);
}

static void write_answer(const struct ph_wbuf *w, int result, long refs)
{
    size_t at = 0;

    write_number(8 + (result == 1 ? ph_wbuf_total(w) : 0));
    write_number((size_t)result);
    write_number((size_t)refs);
    for (size_t i = 0; result == 1 && i < w->nrefs; at = w->refs[i++].at) {
        fwrite(w->buf + at, 1, w->refs[i].at - at, stdout);
        fwrite(w->refs[i].p, 1, w->refs[i].len, stdout);
    }
    if (result == 1)
        fwrite(w->buf + at, 1, w->len - at, stdout);
    fflush(stdout);
}

static struct ph_slice take_counted(struct ph_cur *c)
{
    size_t len = c->end - c->p < 2 ? SIZE_MAX : (size_t)ts_number(c->p, 2);
    if (len > (size_t)(c->end - c->p) - 2)
        exit(2);
    struct ph_slice s = {c->p + 2, len};
    c->p += 2 + len;
    return s;
}

static int build(struct ph_wbuf *w, const struct term_spec *s)
{
    size_t len = w->len;

    if (ph_build(w, s->words, s->n, write_port) == 0)
        return 1;
    if (w->len != len || w->nrefs != 0 || w->ref_bytes != 0 || w->failed)
        exit(3);
    return -1;
}

static void answer(struct ph_cur c, struct ph_wbuf *w)
{
    uint8_t operation = *c.p++;
    struct ph_slice pid = take_counted(&c);
    struct ts_env env = {.atom = make_atom, .binary = make_binary, .release = release_binary};
    struct term_spec s;
    int result;

    port_term = take_counted(&c);
    env.port = ph_port_word(1);
    if (ph_pid_word(pid, NULL, &env.caller) || ph_pid_word(pid, NULL, &env.connected) || ts_read(&s, &env, c.p, (size_t)(c.end - c.p)))
        exit(2);
    ph_w_version(w);
    result = ph_build_check(s.words, s.n);
    if (result == 0 && operation != 4)
        result = build(w, &s);
    write_answer(w, result, ts_extra_refs(&s, binary_refc));
    ph_wbuf_reset(w);
    ts_free(&s, &env);
}

int main(void)
{
    struct ph_wbuf w;
    unsigned char head[4];

    ph_wbuf_init(&w, ph_bin_unref);
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        size_t len = (size_t)ts_number(head, 4);
        unsigned char *frame = malloc(len + 1);
        if (frame == NULL || len == 0 || fread(frame, 1, len, stdin) != len)
            return 2;
        answer((struct ph_cur){frame, frame + len}, &w);
        free(frame);
    }
    ph_wbuf_free(&w);
    return 0;
}
