/* SPDX-License-Identifier: MIT */
/*
 * stall - for how long the other end of a stream has taken nothing of what waits for it. All zero is a new one.
 * Any thread that owns it; no allocation; time is an argument.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>

#define STALL_STEP nsec_from_s(5)

struct stall {
	bool waits;
	uint64_t taken;
	nsec seen, stalled;
};

/* To be asked more often than every STALL_STEP: that much counts at most between two, since where more lies between them we
 * ourselves stood still. `waits`: something waits; `taken`: bytes taken since the beginning. */
static inline nsec stall_ask(struct stall *s, bool waits, uint64_t taken, nsec now)
{
	nsec step = now - s->seen < STALL_STEP ? now - s->seen : STALL_STEP;

	s->stalled = waits && s->waits && taken == s->taken ? s->stalled + step : 0;
	s->waits = waits;
	s->taken = taken;
	s->seen = now;
	return s->stalled;
}
