/* SPDX-License-Identifier: Apache-2.0 */
/* Reads terms that are already encoded; called by the term builder only. Compressed terms are 131, 80, the size of the
 * uncompressed term (4 bytes), and its bytes as zlib makes them. */
#include "term/ext.h"

#include <limits.h>
#include <zlib.h>

#include "etf.h"
#include "term/canon.h"

#define COMPRESSED 80
#define COMPRESSED_HEAD 5u
#define MAX_INFLATED (128u << 20)
#define STEP (256u << 10) /* output room asked for at once: a false claim of size costs no more than this */

/* One call of inflate with room for n bytes at the end of w. Returns what zlib does. */
static int inflate_step(struct ph_wbuf *w, z_stream *z, size_t n)
{
    uint8_t *out = ph_w_reserve(w, n);

    if (out == NULL)
        return Z_MEM_ERROR;
    z->next_out = out;
    z->avail_out = (uInt)n;
    int rc = inflate(z, Z_NO_FLUSH);
    w->len += n - z->avail_out;
    return rc;
}

/* Exactly `size` bytes must come out, as the VM demands. One more than is missing is asked for, so that the
 * end of the stream is seen, and bytes too many are. */
static int inflate_all(struct ph_wbuf *w, z_stream *z, size_t size)
{
    size_t end = w->len + size;
    int rc = Z_OK;

    while (rc == Z_OK && w->len <= end) {
        size_t missing = end + 1 - w->len;
        rc = inflate_step(w, z, missing < STEP ? missing : STEP);
    }
    return rc == Z_STREAM_END && w->len == end ? 0 : -1;
}

/* p: behind the tag. */
static int append_inflated(struct ph_wbuf *w, const uint8_t *p, size_t len)
{
    if (len < COMPRESSED_HEAD - 1)
        return -1;
    size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    size_t in = len - (COMPRESSED_HEAD - 1);
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)(p + 4), .avail_in = in > UINT_MAX ? UINT_MAX : (uInt)in};

    if (size > MAX_INFLATED || inflateInit(&z) != Z_OK)
        return -1;
    int rc = inflate_all(w, &z, size);
    inflateEnd(&z);
    return rc;
}

static int append_compressed(struct ph_wbuf *w, const uint8_t *p, size_t len)
{
    size_t from = w->len;

    if (append_inflated(w, p, len))
        return -1;
    struct ph_cur c = {w->buf + from, w->buf + w->len};
    if (ph_canon_skip(&c))
        return -1;
    w->len = (size_t)(c.p - w->buf);
    return 0;
}

static bool is_compressed(const struct ph_cur *c)
{
    return c->p < c->end && c->p[0] == COMPRESSED;
}

int ph_ext_check(const void *p, size_t len)
{
    struct ph_cur c = {p, (const uint8_t *)p + len};
    struct ph_wbuf inflated;

    if (ph_etf_version(&c))
        return -1;
    if (!is_compressed(&c))
        return ph_canon_skip(&c);
    ph_wbuf_init(&inflated, NULL);
    int rc = append_compressed(&inflated, c.p + 1, (size_t)(c.end - c.p - 1));
    ph_wbuf_free(&inflated);
    return rc;
}

int ph_ext_append(struct ph_wbuf *w, const void *p, size_t len)
{
    struct ph_cur c = {p, (const uint8_t *)p + len};

    if (ph_etf_version(&c))
        return -1;
    if (is_compressed(&c))
        return append_compressed(w, c.p + 1, (size_t)(c.end - c.p - 1));
    const uint8_t *term = c.p;
    if (ph_canon_skip(&c))
        return -1;
    ph_w_raw(w, term, (size_t)(c.p - term));
    return w->failed ? -1 : 0;
}
