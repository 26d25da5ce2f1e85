/* SPDX-License-Identifier: Apache-2.0 */
/* Integers of any size between digits and magnitudes (bytes, least significant first, no leading zero byte at the top, as
 * the external format has them). Pure functions; the cost is quadratic in the size, so callers limit it. */
#ifndef PH_CLI_BIGNUM_H
#define PH_CLI_BIGNUM_H

#include <stddef.h>
#include <stdint.h>

#define PH_BIG_MAX_DIGITS 100000u      /* what the reader takes */
#define PH_BIG_MAX_DECIMAL_BYTES 41600u /* a magnitude over this is printed in base 16, in linear time */

/* Digits 0-9 a-z A-Z, all less than base (2..36), '_' passed over. A new magnitude, *len may be 0; NULL without memory. */
uint8_t *ph_big_from_digits(const char *digits, size_t n, unsigned base, size_t *len);

/* A new NUL-terminated text: decimal, or "16#..." for a long one. NULL without memory. */
char *ph_big_to_text(const uint8_t *mag, size_t len);

#endif
