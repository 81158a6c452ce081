/* SPDX-License-Identifier: MIT */
/* utf8 - which bytes are UTF-8 (RFC 3629). Pure functions over NUL-terminated strings. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at `s`; 0: not UTF-8 (over-long forms and surrogates included) or the end. */
size_t utf8_char(const char *s);
bool utf8_ok(const char *s);
