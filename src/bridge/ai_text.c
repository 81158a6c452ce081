/* SPDX-License-Identifier: MIT */
#include "bridge/ai_text.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

size_t ai_text_fit(const char *text, size_t len)
{
	size_t at = 0;

	for (size_t n; text[at] && (n = utf8_char(text + at)) && at + n <= len; at += n)
		;
	return at;
}

void ai_partial_clear(struct ai_partial *p)
{
	p->item[0] = p->text[0] = '\0';
	p->len = 0;
}

const char *ai_partial_of(const struct ai_partial *p, const char *item)
{
	return strcmp(item, p->item) == 0 ? p->text : "";
}

bool ai_partial_add(struct ai_partial *p, const char *item, const char *delta)
{
	if (strcmp(p->item, item) != 0) {
		snprintf(p->item, sizeof p->item, "%s", item);
		p->len = 0;
	}
	size_t n = ai_text_fit(delta, sizeof p->text - 1 - p->len);

	memcpy(p->text + p->len, delta, n);
	p->len += n;
	p->text[p->len] = '\0';
	return n > 0;
}
