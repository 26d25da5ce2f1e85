/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the conversion of big integers between digits and bytes. Called by the term reader and the printers. */
#include "term/bignum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 1000000000u /* nine decimal digits, the largest power of ten in 32 bits */

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return (unsigned)((c | 0x20) - 'a' + 10);
}

/* limbs = limbs * factor + add; returns the new number of limbs. There is room for one more. */
static size_t multiply_add(uint32_t *limbs, size_t n, uint32_t factor, uint32_t add)
{
    uint64_t carry = add;
    for (size_t i = 0; i < n; i++) {
        carry += (uint64_t)limbs[i] * factor;
        limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry)
        limbs[n++] = (uint32_t)carry;
    return n;
}

static uint8_t *limbs_to_bytes(const uint32_t *limbs, size_t n, size_t *len)
{
    uint8_t *out = malloc(n * 4 + 1);
    if (!out)
        return NULL;
    for (size_t i = 0; i < n * 4; i++)
        out[i] = (uint8_t)(limbs[i / 4] >> (i % 4 * 8));
    size_t used = n * 4;
    while (used > 0 && out[used - 1] == 0)
        used--;
    *len = used;
    return out;
}

uint8_t *ph_big_from_digits(const char *digits, size_t n, unsigned base, size_t *len)
{
    /* A digit of base 36 has less than 6 bits, so n digits fit n/5 limbs and one. */
    uint32_t *limbs = calloc(n / 5 + 2, sizeof *limbs);
    if (!limbs)
        return NULL;
    size_t used = 0;
    uint32_t factor = 1, sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (digits[i] == '_')
            continue;
        sum = sum * base + digit_value(digits[i]);
        factor *= base;
        if (factor > UINT32_MAX / base) {
            used = multiply_add(limbs, used, factor, sum);
            factor = 1;
            sum = 0;
        }
    }
    if (factor > 1)
        used = multiply_add(limbs, used, factor, sum);
    uint8_t *out = limbs_to_bytes(limbs, used, len);
    free(limbs);
    return out;
}

static char *hex_text(const uint8_t *mag, size_t len)
{
    char *text = malloc(len * 2 + 4);
    if (!text)
        return NULL;
    char *p = text + sprintf(text, "16#%X", mag[len - 1]);
    for (size_t i = len - 1; i > 0; i--)
        p += sprintf(p, "%02X", mag[i - 1]);
    return text;
}

static uint32_t divide_by_chunk(uint32_t *limbs, size_t n)
{
    uint64_t rest = 0;
    for (size_t i = n; i > 0; i--) {
        rest = rest << 32 | limbs[i - 1];
        limbs[i - 1] = (uint32_t)(rest / CHUNK);
        rest %= CHUNK;
    }
    return (uint32_t)rest;
}

/* Takes the number apart from its low end into chunks, then writes them from the high end. */
static char *decimal_text(uint32_t *limbs, size_t n)
{
    size_t room = n * 32 / 29 + 2, count = 0;
    uint32_t *chunks = malloc(room * sizeof *chunks);
    char *text = chunks ? malloc(room * 9 + 2) : NULL;
    if (text) {
        do {
            chunks[count++] = divide_by_chunk(limbs, n);
            while (n > 0 && limbs[n - 1] == 0)
                n--;
        } while (n > 0);
        char *p = text + sprintf(text, "%u", chunks[count - 1]);
        for (size_t i = count - 1; i > 0; i--)
            p += sprintf(p, "%09u", chunks[i - 1]);
    }
    free(chunks);
    return text;
}

char *ph_big_to_text(const uint8_t *mag, size_t len)
{
    while (len > 0 && mag[len - 1] == 0)
        len--;
    if (len > PH_BIG_MAX_DECIMAL_BYTES)
        return hex_text(mag, len);
    size_t n = (len + 3) / 4;
    uint32_t *limbs = calloc(n + 1, sizeof *limbs);
    if (!limbs)
        return NULL;
    for (size_t i = 0; i < len; i++)
        limbs[i / 4] |= (uint32_t)mag[i] << (i % 4 * 8);
    char *text = decimal_text(limbs, n);
    free(limbs);
    return text;
}
