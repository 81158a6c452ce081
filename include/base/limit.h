/* SPDX-License-Identifier: MIT */
/*
 * limit - a rate limit: a bucket that holds `burst` worth of units and fills at a steady rate. All zero is a full one.
 * Any thread that owns it; no allocation; time is an argument.
 *
 * Kept is one moment only, that at which the bucket is full again (the generic cell rate algorithm).
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>

/* How fast and how much; many limits may share one. */
struct rate {
	nsec cost;  /* time in which one unit comes back */
	nsec burst; /* time in which an empty bucket fills */
};

struct limit {
	nsec full_at;
};

/* `n` units in `time`, as many at once as come back in `burst`. n = 0: none at all. */
static inline struct rate rate_make(uint64_t n, nsec time, nsec burst)
{
	if (n == 0)
		return (struct rate){.cost = 1, .burst = 0};
	return (struct rate){.cost = time / n, .burst = burst};
}

static inline bool limit_is_full(const struct limit *l, nsec now)
{
	return l->full_at <= now;
}

/* Takes `n` units; false, and nothing taken, if they are not there. n * r->cost must fit 64 bits. */
static inline bool limit_take(struct limit *l, const struct rate *r, uint64_t n, nsec now)
{
	nsec full_at = (limit_is_full(l, now) ? now : l->full_at) + n * r->cost;

	if (full_at - now > r->burst)
		return false;
	l->full_at = full_at;
	return true;
}
