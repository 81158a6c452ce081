/* SPDX-License-Identifier: MIT */
#include "session/lines.h"

#include <string.h>

void lines_init(struct lines *l, size_t max)
{
	*l = (struct lines){0};
	buf_init(&l->line, max);
}

void lines_fini(struct lines *l)
{
	buf_fini(&l->line);
}

/* Bytes before the next line feed, all of them if there is none. */
static size_t until_line_feed(const uint8_t *p, size_t len, bool *found)
{
	const uint8_t *lf = memchr(p, '\n', len);

	*found = lf != NULL;
	return lf ? (size_t)(lf - p) : len;
}

enum lines_event lines_read(struct lines *l, const uint8_t **p, size_t *len, const char **line, size_t *line_len)
{
	while (*len > 0) {
		bool ends;
		size_t n = until_line_feed(*p, *len, &ends);

		if (!l->skipping && buf_append(&l->line, *p, n)) {
			l->line.len = 0;
			l->skipping = true;
			return LINES_TOO_LONG;
		}
		*p += n + ends;
		*len -= n + ends;
		if (!ends)
			break;
		bool whole = !l->skipping;

		*line = (const char *)l->line.p;
		*line_len = l->line.len;
		l->line.len = 0;
		l->skipping = false;
		if (whole)
			return LINES_LINE;
	}
	return LINES_MORE;
}
