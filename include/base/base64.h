/* SPDX-License-Identifier: MIT */
/* base64 - RFC 4648 section 4, with padding, nothing between the characters. Pure functions. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

static inline size_t base64_len(size_t n) { return (n + 2) / 3 * 4; }

/* Writes base64_len(n) characters, no NUL, and returns the end. */
char *base64_encode(char *restrict out, const void *restrict p, size_t n);

/* Returns the bytes written to `out`, which has room for len / 4 * 3; -1: not base64 (padding may be left out, unused bits
 * must be zero). `out` may be the text itself. */
ssize_t base64_decode(uint8_t *out, const char *text, size_t len);
