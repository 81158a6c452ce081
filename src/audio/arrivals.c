/* SPDX-License-Identifier: MIT */
#include "audio/arrivals.h"

#include <math.h>

#define BURSTS 64 /* the shortest of 64 to 128 is a frame: unevenness only makes them longer */

void arrivals_begin_spurt(struct arrivals *a)
{
	a->has_transit = false;
	a->burst_ms = 0;
	a->media_ms = 0;
	trend_clear(&a->trend);
}

void arrivals_clear(struct arrivals *a)
{
	a->any = a->has_transit = false;
	a->burst_ms = 0;
}

double arrivals_gap_ms(const struct arrivals *a, nsec now)
{
	return a->any ? ms_between(a->last_at, now) : INFINITY;
}

static double shorter(double a, double b)
{
	return a <= 0 || (b > 0 && b < a) ? b : a;
}

static void note_burst(struct arrivals *a)
{
	if (a->burst_ms <= 0)
		return;
	a->shortest_ms = shorter(a->shortest_ms, a->burst_ms);
	a->frame_ms = shorter(a->shortest_ms, a->shortest_before_ms);
	if (++a->n_bursts < BURSTS)
		return;
	a->shortest_before_ms = a->shortest_ms;
	a->shortest_ms = 0;
	a->n_bursts = 0;
}

/* The first datagram of a burst: the one before is complete now. */
static void end_burst(struct arrivals *a, nsec now)
{
	double transit = (double)now * 1e-6 - a->media_ms;

	note_burst(a);
	a->burst_ms = 0;
	if (a->has_transit)
		a->jitter_ms += (fabs(transit - a->transit_ms) - a->jitter_ms) / 16;
	a->transit_ms = transit;
	a->has_transit = true;
	trend_add(&a->trend, transit, now);
}

void arrivals_add(struct arrivals *a, double ms, double skipped_ms, double gap_ms, nsec now)
{
	a->media_ms += skipped_ms;
	if (gap_ms > SAME_BURST_MS)
		end_burst(a, now);
	a->burst_ms += ms;
	a->media_ms += ms;
	a->last_at = now;
	a->any = true;
}
