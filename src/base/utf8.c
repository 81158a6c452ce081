/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

#include <stdint.h>

static size_t sequence_length(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2) /* a continuation, or an over-long form */
		return 0;
	if (lead < 0xe0)
		return 2;
	return lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}

size_t utf8_char(const char *s)
{
	const uint8_t *b = (const uint8_t *)s;
	size_t n = b[0] ? sequence_length(b[0]) : 0;

	for (size_t i = 1; i < n; i++)
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	if (n == 3 && ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f)))
		return 0; /* over-long; surrogate */
	if (n == 4 && ((b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f)))
		return 0; /* over-long; above U+10FFFF */
	return n;
}

bool utf8_ok(const char *s)
{
	for (size_t n; *s; s += n)
		if (!(n = utf8_char(s)))
			return false;
	return true;
}
