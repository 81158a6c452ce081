/* SPDX-License-Identifier: MIT */
/*
 * marks - the places in its speech that a worker wants to hear of when they have been played. Each is a position in samples
 * and some bytes of the worker's, which it is sent back. They are added in order. One thread; allocates as they are added, up to a
 * bound; no clock.
 */
#pragma once
#include "base/buf.h"

enum { MARK_MAX = 4096 }; /* bytes of one */

struct marks {
	struct buf buf; /* each: u64 position, u16 length, the bytes, a NUL */
	size_t n, max;
};

/* At most `max` may wait, of `max_bytes` in all, a few for each mark included. */
void marks_init(struct marks *m, size_t max, size_t max_bytes);
void marks_fini(struct marks *m);
/* Copies. ERR_LIMIT: one too many, or too long; ERR_NOMEM. */
int marks_add(struct marks *m, uint64_t at, const void *p, size_t len);
/* The first, if it lies at or before `played`, with a NUL after its last byte; else NULL. Valid until the next call but this. */
const char *marks_due(const struct marks *m, uint64_t played, size_t *len);
/* Removes the first, if there is one. */
void marks_pop(struct marks *m);
void marks_clear(struct marks *m);
