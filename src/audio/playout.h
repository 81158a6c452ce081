/* SPDX-License-Identifier: MIT */
/*
 * playout - the samples that a jitter buffer stores, in one piece of memory that is moved down when its end is reached:
 *
 *     x | played (for concealment) | rd ... stored ... wr | free
 *
 * Single-threaded, no clock; the memory is its owner's.
 */
#pragma once
#include "audio/splice.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

enum { PLAYED_MS = SPLICE_LAG_MAX_MS + SPLICE_MATCH_MS + 1 }; /* kept of what was played */

struct playout {
	uint32_t rate_hz;
	size_t cap, rd, wr;
	float *x; /* NULL: no frame came yet; most people in a room only listen */
};

static inline size_t playout_samples(const struct playout *p, double ms)
{
	return (size_t)(ms * p->rate_hz / 1000);
}

static inline double playout_ms(const struct playout *p, size_t n)
{
	return 1000.0 * (double)n / p->rate_hz;
}

static inline size_t playout_level(const struct playout *p)
{
	return p->wr - p->rd;
}

/* Moves everything down when fewer than `n` samples are free behind wr. */
static inline void playout_make_room(struct playout *p, size_t n)
{
	if (p->cap - p->wr >= n)
		return;
	size_t drop = p->rd - playout_samples(p, PLAYED_MS);

	memmove(p->x, p->x + drop, (p->wr - drop) * sizeof *p->x);
	p->rd -= drop;
	p->wr -= drop;
	assert(p->cap - p->wr >= n);
}
