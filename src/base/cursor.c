/* SPDX-License-Identifier: MIT */
#include "base/cursor.h"

const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || (size_t)(c->end - c->p) < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return p;
}

uint64_t cursor_le(struct cursor *c, size_t n)
{
	const uint8_t *p = cursor_bytes(c, n);
	uint64_t v = 0;

	if (!p)
		return 0;
	while (n > 0)
		v = v << 8 | p[--n];
	return v;
}

uint64_t cursor_be(struct cursor *c, size_t n)
{
	const uint8_t *p = cursor_bytes(c, n);
	uint64_t v = 0;

	for (size_t i = 0; p && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

uint64_t cursor_varint(struct cursor *c)
{
	if (cursor_left(c) == 0) {
		c->bad = true;
		return 0;
	}
	size_t n = (size_t)1 << (c->p[0] >> 6);
	uint64_t v = cursor_be(c, n);

	return v & (UINT64_MAX >> (66 - 8 * n)); /* without the two length bits */
}

size_t varint_len(uint64_t v)
{
	if (v < 1u << 6)
		return 1;
	if (v < 1u << 14)
		return 2;
	if (v < 1u << 30)
		return 4;
	return v < (uint64_t)1 << 62 ? 8 : 0;
}

uint8_t *varint_put(uint8_t *p, uint64_t v)
{
	size_t n = varint_len(v);
	static const uint8_t prefix[] = {[1] = 0x00, [2] = 0x40, [4] = 0x80, [8] = 0xc0};

	for (size_t i = n; i > 0; i--) {
		p[i - 1] = (uint8_t)v;
		v >>= 8;
	}
	p[0] |= prefix[n];
	return p + n;
}
