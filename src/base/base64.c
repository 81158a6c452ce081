/* SPDX-License-Identifier: MIT */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(char *restrict out, const void *restrict p, size_t n)
{
	const uint8_t *b = p;

	for (; n >= 3; n -= 3, b += 3) {
		uint32_t v = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];

		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		*out++ = alphabet[v >> 6 & 63];
		*out++ = alphabet[v & 63];
	}
	if (n == 0)
		return out;
	uint32_t v = (uint32_t)b[0] << 16 | (n == 2 ? (uint32_t)b[1] << 8 : 0);

	*out++ = alphabet[v >> 18];
	*out++ = alphabet[v >> 12 & 63];
	*out++ = n == 2 ? alphabet[v >> 6 & 63] : '=';
	*out++ = '=';
	return out;
}

/* The value of each character plus one; 0: not one of the alphabet. */
static const uint8_t values[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, ['+'] = 63, ['/'] = 64,
};

/* `n` = 1..4 characters as 6 bits each, UINT32_MAX: one of them is none. */
static uint32_t group(const uint8_t *t, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t bits = values[t[i]];

		if (bits == 0)
			return UINT32_MAX;
		v = v << 6 | (bits - 1);
	}
	return v;
}

ssize_t base64_decode(uint8_t *out, const char *text, size_t len)
{
	const uint8_t *t = (const uint8_t *)text;
	const uint8_t *start = out;

	if (len % 4 == 0 && len > 0)
		len -= text[len - 1] != '=' ? 0 : text[len - 2] != '=' ? 1 : 2;
	for (; len >= 4; len -= 4, t += 4) {
		uint32_t v = group(t, 4);

		if (v == UINT32_MAX)
			return -1;
		*out++ = (uint8_t)(v >> 16);
		*out++ = (uint8_t)(v >> 8);
		*out++ = (uint8_t)v;
	}
	if (len == 0)
		return out - start;
	uint32_t v = len == 1 ? UINT32_MAX : group(t, len);
	unsigned spare = len == 2 ? 4 : 2;

	if (v == UINT32_MAX || v & ((1u << spare) - 1))
		return -1;
	v >>= spare;
	if (len == 3)
		*out++ = (uint8_t)(v >> 8);
	*out++ = (uint8_t)v;
	return out - start;
}
