/* SPDX-License-Identifier: MIT */
/*
 * lines - cuts a stream of bytes at its line feeds. A line over the limit is reported once and skipped to its end.
 * Memory for one line is taken with the first byte and kept. No clock, no socket.
 */
#pragma once
#include "base/buf.h"

#include <stdbool.h>

struct lines {
	struct buf line; /* what came of the one under way */
	bool skipping;   /* it is over the limit */
};

enum lines_event {
	LINES_MORE,     /* all bytes are used up */
	LINES_LINE,     /* a whole line, without its line feed */
	LINES_TOO_LONG, /* the line under way is over the limit (or memory was refused): what is left of it is skipped */
};

void lines_init(struct lines *l, size_t max);
void lines_fini(struct lines *l);
/* Uses up bytes from *p, *len until there is something to report: call it until LINES_MORE. *line is borrowed until the
 * next call; it is not NUL-terminated and may be empty (*line_len 0). */
enum lines_event lines_read(struct lines *l, const uint8_t **p, size_t *len, const char **line, size_t *line_len);
