/* SPDX-License-Identifier: MIT */
/*
 * buf - a byte string that grows up to a bound. Zero-initialise with a `max`; the first append
 * allocates. Not for the voice path.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *p;
	size_t len, cap;
	size_t max; /* most bytes it may hold */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);

/* Copies. ERR_LIMIT over `max`, ERR_NOMEM; on error nothing is changed. */
int buf_append(struct buf *b, const void *p, size_t len);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first `n` bytes, n <= len. */
void buf_consume(struct buf *b, size_t n);
