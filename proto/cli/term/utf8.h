/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, one code point at a time, strict: no overlong forms, surrogates, or values over 0x10ffff. Pure functions. */
#ifndef PH_CLI_UTF8_H
#define PH_CLI_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PH_CODE_POINT_MAX 0x10ffffu

/* The bytes taken by the code point at p (1..4) and its value, or 0 if there is no valid one before end. */
size_t ph_utf8_get(const char *p, const char *end, uint32_t *code);

/* Writes the code point (which must be ph_code_point_ok) and returns the bytes used, 1..4. */
size_t ph_utf8_put(char out[4], uint32_t code);

bool ph_code_point_ok(uint32_t code);

/* What the Erlang shell shows as a character of a string. */
bool ph_code_point_printable(uint32_t code);

#endif
