/* SPDX-License-Identifier: MIT */
#include "room/names.h"

#include "base/err.h"
#include "room/room.h"

#include <stdint.h>
#include <string.h>

static bool is_control(const char *s)
{
	uint8_t a = (uint8_t)s[0], b = (uint8_t)s[1];

	return a < 0x20 || a == 0x7f || (a == 0xc2 && b < 0xa0); /* C0, DEL, C1 */
}

/* What stands between the blanks at both ends; -1 if it is not clean. */
static int trim(const char **s, size_t *len)
{
	const char *at = *s + strspn(*s, " "), *end = at;

	*s = at;
	for (size_t n; *at; at += n) {
		n = utf8_char(at);
		if (!n || is_control(at))
			return ERR_RANGE;
		if (*at != ' ')
			end = at + n;
	}
	*len = (size_t)(end - *s);
	return 0;
}

static void copy(char *out, const char *s, size_t len)
{
	memcpy(out, s, len);
	out[len] = 0;
}

int name_clean(const char *s, char *out, size_t cap)
{
	size_t len;

	if (trim(&s, &len) || len == 0 || len >= cap)
		return ERR_RANGE;
	copy(out, s, len);
	return 0;
}

int name_clean_person(const char *s, char *out, size_t cap)
{
	size_t len, fits = 0;

	if (trim(&s, &len))
		return ERR_RANGE;
	while (fits < len && fits + utf8_char(s + fits) < cap)
		fits += utf8_char(s + fits);
	while (fits > 0 && s[fits - 1] == ' ')
		fits--;
	copy(out, s, fits);
	return 0;
}

bool participant_name_ok(const char *name)
{
	char clean[PARTICIPANT_NAME_MAX + 1];

	return !name || !name_clean_person(name, clean, sizeof clean);
}

/* Remembers the last star only: a later one can do all that an earlier one could. */
bool name_matches(const char *pattern, const char *name)
{
	const char *star = NULL, *resume = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = pattern++;
			resume = name;
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star + 1;
			name = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == 0;
}
