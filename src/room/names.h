/* SPDX-License-Identifier: MIT */
/* names - of rooms and people: UTF-8 without control characters, trimmed. Pure functions. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at `s`; 0: not UTF-8 (over-long forms and surrogates included) or the end. */
size_t utf8_char(const char *s);
bool utf8_ok(const char *s);

/* Trims blanks into `out` (`cap` bytes with the NUL). ERR_RANGE: empty, over-long, control characters, not UTF-8. */
int name_clean(const char *s, char *out, size_t cap);
/* The same for a person: over-long is cut at a character, empty is fine. */
int name_clean_person(const char *s, char *out, size_t cap);

/* `pattern` may hold '*' for any run of characters. */
bool name_matches(const char *pattern, const char *name);
