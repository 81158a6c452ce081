/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.max = b->max};
}

static int buf_reserve(struct buf *b, size_t extra)
{
	if (extra > b->max - b->len)
		return ERR_LIMIT;
	if (b->len + extra <= b->cap)
		return 0;
	size_t cap = b->cap ? b->cap : 256;

	while (cap < b->len + extra)
		cap *= 2;
	if (cap > b->max)
		cap = b->max;
	uint8_t *p = realloc(b->p, cap);

	if (!p)
		return ERR_NOMEM;
	b->p = p;
	b->cap = cap;
	return 0;
}

int buf_append(struct buf *b, const void *p, size_t len)
{
	int err = buf_reserve(b, len);

	if (err || len == 0)
		return err;
	memcpy(b->p + b->len, p, len);
	b->len += len;
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char small[256];

	va_start(ap, fmt);
	int n = vsnprintf(small, sizeof small, fmt, ap);

	va_end(ap);
	if (n < 0)
		return ERR_RANGE;
	if ((size_t)n < sizeof small)
		return buf_append(b, small, (size_t)n);

	char *big = malloc((size_t)n + 1);

	if (!big)
		return ERR_NOMEM;
	va_start(ap, fmt);
	vsnprintf(big, (size_t)n + 1, fmt, ap);
	va_end(ap);
	int err = buf_append(b, big, (size_t)n);

	free(big);
	return err;
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	b->len -= n;
	if (b->len)
		memmove(b->p, b->p + n, b->len);
}
