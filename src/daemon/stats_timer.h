/* SPDX-License-Identifier: MIT */
/*
 * stats_timer - when statistics that clients asked for are due. Reports leave at multiples of 50 ms only, so that the list of
 * clients is walked seldom. One thread; allocates nothing; time is an argument.
 */
#pragma once
#include "base/list.h"
#include "base/time.h"

#include <stdint.h>

struct stats_timer {
	struct list all; /* of struct stats_wish */
	nsec due;        /* at the latest; NSEC_NONE: never */
};

/* A member of what the statistics are sent to. */
struct stats_wish {
	struct list node;
	uint32_t every_ms;
	nsec next;
};

void stats_timer_init(struct stats_timer *t);
void stats_wish_init(struct stats_wish *w);
/* From `now` on `w` is due each `every_ms`; 0: no more. May be called from inside stats_timer_run(), for the wish that is due. */
void stats_timer_set(struct stats_timer *t, struct stats_wish *w, uint32_t every_ms, nsec now);
/* Calls `send` for each that is due; it may set that wish anew, not free it. When the thread was stuck, what was missed is not made up for. */
void stats_timer_run(struct stats_timer *t, nsec now, void (*send)(struct stats_wish *w, nsec now));
