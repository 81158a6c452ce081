/* SPDX-License-Identifier: MIT */
/*
 * cursor - reads a byte string without ever leaving it. The first read past the end sets
 * `bad` and every later read gives zero, so a parser reads all its fields and checks once.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *p; /* next byte; borrowed */
	const uint8_t *end;
	bool bad;
};

static inline struct cursor cursor_of(const void *p, size_t len)
{
	const uint8_t *b = p;
	struct cursor c = {b, b ? b + len : b, false};
	return c;
}

static inline size_t cursor_left(const struct cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->p);
}

/* Skips `n` bytes and returns where they began, NULL (and bad) if there are fewer. */
const uint8_t *cursor_bytes(struct cursor *c, size_t n);

uint64_t cursor_le(struct cursor *c, size_t n); /* n = 1..8, little endian */
uint64_t cursor_be(struct cursor *c, size_t n); /* n = 1..8, big endian */
uint64_t cursor_varint(struct cursor *c);       /* RFC 9000 section 16 */

/* Bytes that the QUIC varint of `v` takes (1, 2, 4 or 8); 0 if v is 2^62 or more. */
size_t varint_len(uint64_t v);
/* Writes it and returns the end. `v` < 2^62; there must be room for varint_len(v). */
uint8_t *varint_put(uint8_t *p, uint64_t v);
