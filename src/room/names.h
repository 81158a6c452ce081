/* SPDX-License-Identifier: MIT */
/* names - of rooms and people: UTF-8 without control characters, trimmed. Pure functions. */
#pragma once
#include "base/utf8.h"

#include <stdbool.h>
#include <stddef.h>

/* Trims blanks into `out` (`cap` bytes with the NUL). ERR_RANGE: empty, over-long, control characters, not UTF-8. */
int name_clean(const char *s, char *out, size_t cap);
/* The same for a person: over-long is cut at a character, empty is fine. */
int name_clean_person(const char *s, char *out, size_t cap);

/* `pattern` may hold '*' for any run of characters. */
bool name_matches(const char *pattern, const char *name);
