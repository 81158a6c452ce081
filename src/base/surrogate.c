/* SPDX-License-Identifier: MIT */
#include "base/surrogate.h"

#include "base/hex.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ESCAPE = 6 }; /* \uXXXX */

/* The unit that is escaped at `p`; -1: none is. */
static int32_t unit_at(const char *p, const char *end)
{
	int32_t unit = 0;

	if (end - p < ESCAPE || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < ESCAPE; i++) {
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

static bool is_first(int32_t unit)
{
	return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_second(int32_t unit)
{
	return unit >= 0xdc00 && unit < 0xe000;
}

/* The first escape of a half from `p` on; NULL: there is none. */
static const char *find_half(const char *p, const char *end)
{
	while ((p = memchr(p, '\\', (size_t)(end - p)))) {
		int32_t unit = unit_at(p, end);

		if (is_second(unit))
			return p;
		if (is_first(unit)) {
			if (!is_second(unit_at(p + ESCAPE, end)))
				return p;
			p += ESCAPE;
		}
		p += unit >= 0 ? ESCAPE : 2; /* with what is escaped, which may be a backslash */
		if (p >= end)
			return NULL;
	}
	return NULL;
}

const char *surrogate_mend(const char *json, size_t len, char **copy)
{
	const char *half = len > 0 ? find_half(json, json + len) : NULL;

	*copy = NULL;
	if (!half)
		return json;
	char *mended = malloc(len), *end = mended + len;

	if (!mended)
		return NULL;
	memcpy(mended, json, len);
	for (char *p = mended + (half - json); p; p = (char *)(uintptr_t)find_half(p, end))
		memcpy(p, "\\ufffd", ESCAPE);
	*copy = mended;
	return mended;
}
