/* SPDX-License-Identifier: MIT */
#include "config/suggest.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 48 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Letters to change, add, drop or swap with the neighbour (Damerau and Levenshtein's count, no letter touched twice). */
static unsigned distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned d[3][WORD_MAX + 1];

	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *now = d[i % 3], *last = d[(i + 2) % 3], *before = d[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
	}
	return d[n % 3][m];
}

/* How far a name may be off: a third of it. */
static unsigned tolerance(const char *name)
{
	return (unsigned)(strlen(name) + 2) / 3;
}

static const struct option_row *nearest(const struct section *s, const char *key, unsigned *best)
{
	const struct option_row *found = NULL, *f;

	for (size_t i = 0; (f = schema_row(s, i)); i++) {
		unsigned d = distance(key, f->key);

		if (d < *best) {
			*best = d;
			found = f;
		}
	}
	return found;
}

/* The first that goes on where `key` ends: "cert", or "api_key", of which there are two. */
static const struct option_row *longer(const struct section *s, const char *key)
{
	const struct option_row *f;
	size_t n = strlen(key);

	for (size_t i = 0; n >= 3 && (f = schema_row(s, i)); i++)
		if (strncmp(key, f->key, n) == 0)
			return f;
	return NULL;
}

/* Its own section first, then wherever else there is exactly that key, then no more than a hint. */
const char *suggest_key(const struct section *s, const char *key, char out[SUGGEST_MAX])
{
	unsigned best = tolerance(key) + 1;
	const struct option_row *f = nearest(s, key, &best);

	for (size_t i = 0; i < schema_sections && best > 1; i++) {
		if (&schema[i] == s || !schema_field(&schema[i], key))
			continue;
		snprintf(out, SUGGEST_MAX, ", did you mean %s.%s?", schema_label(&schema[i]), key);
		return out;
	}
	if (best > 1 && longer(s, key))
		f = longer(s, key);
	if (f)
		snprintf(out, SUGGEST_MAX, ", did you mean %s.%s?", schema_label(s), f->key);
	else
		snprintf(out, SUGGEST_MAX, "; mynahd --print-config shows all keys");
	return out;
}

/* A key that stands above all sections, or almost one. */
static bool suggest_inside(const char *name, unsigned best, char out[SUGGEST_MAX])
{
	bool found = false;

	for (size_t i = 0; i < schema_sections; i++) {
		const struct option_row *f = nearest(&schema[i], name, &best);

		if (f)
			snprintf(out, SUGGEST_MAX, ", did you mean %s.%s?", schema_label(&schema[i]), f->key);
		found = found || f;
	}
	return found;
}

const char *suggest_section(const char *name, char out[SUGGEST_MAX])
{
	unsigned best = tolerance(name) + 1;
	const struct section *found = NULL;

	for (size_t i = 0; i < schema_sections; i++) {
		unsigned d = distance(name, schema[i].name);

		if (d < best) {
			best = d;
			found = &schema[i];
		}
	}
	if (suggest_inside(name, best, out))
		return out;
	if (distance(name, schema_tool.name) <= 1)
		snprintf(out, SUGGEST_MAX, ", did you mean [[%s]]?", schema_label(&schema_tool));
	else if (found)
		snprintf(out, SUGGEST_MAX, ", did you mean %s%s%s?", found->kind == SECTION_ROOMS ? "[[" : "[", schema_label(found),
			found->kind == SECTION_ROOMS ? "]]" : "]");
	else
		snprintf(out, SUGGEST_MAX, "; mynahd --print-config shows all of them");
	return out;
}
