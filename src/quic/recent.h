/* SPDX-License-Identifier: MIT */
/*
 * recent - about how many of something there were within a second: those of the second that runs, and of the one before it the
 * share that is still near enough. All zero is none. Time is an argument.
 */
#pragma once
#include "base/time.h"

struct recent {
	nsec began; /* the second that runs */
	uint32_t now, before;
};

static inline void recent_turn(struct recent *r, nsec now)
{
	nsec passed = nsec_since(r->began, now), second = nsec_from_s(1);

	if (passed < second)
		return;
	r->before = passed < 2 * second ? r->now : 0;
	r->now = 0;
	r->began = passed < 2 * second ? r->began + second : now;
}

static inline void recent_add(struct recent *r, nsec now)
{
	recent_turn(r, now);
	r->now++;
}

static inline uint32_t recent_count(const struct recent *r, nsec now)
{
	struct recent at = *r;

	recent_turn(&at, now);
	nsec left = nsec_from_s(1) - nsec_since(at.began, now);

	return at.now + (uint32_t)(at.before * left / nsec_from_s(1));
}
