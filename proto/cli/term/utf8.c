/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the reading and writing of single UTF-8 code points. Called by the term reader, lexer and printers. */
#include "term/utf8.h"

bool ph_code_point_ok(uint32_t code)
{
    return code <= PH_CODE_POINT_MAX && (code < 0xd800 || code > 0xdfff);
}

bool ph_code_point_printable(uint32_t code)
{
    if (code < 32)
        return (code >= '\b' && code <= '\r') || code == 27;
    if (code >= 127 && code < 160)
        return false;
    return ph_code_point_ok(code) && code != 0xfffe && code != 0xffff;
}

static size_t sequence_length(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

size_t ph_utf8_get(const char *p, const char *end, uint32_t *code)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (p >= end)
        return 0;
    uint8_t first = (uint8_t)*p;
    size_t n = sequence_length(first);
    if (n == 0 || (size_t)(end - p) < n)
        return 0;
    uint32_t c = n == 1 ? first : first & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        uint8_t b = (uint8_t)p[i];
        if ((b & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (b & 0x3f);
    }
    if (c < smallest[n] || !ph_code_point_ok(c))
        return 0;
    *code = c;
    return n;
}

size_t ph_utf8_put(char out[4], uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)((0xf00u >> n & 0xff) | code);
    return n;
}
