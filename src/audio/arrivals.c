/* SPDX-License-Identifier: MIT */
#include "audio/arrivals.h"

#include <math.h>

void arrivals_begin_spurt(struct arrivals *a)
{
	a->has_transit = false;
	a->burst_ms = 0;
	a->media_ms = 0;
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

/* The first datagram of a burst: the one before is complete now. */
static void end_burst(struct arrivals *a, nsec now)
{
	double transit = (double)now * 1e-6 - a->media_ms;

	if (a->burst_ms > 0)
		a->burst_mean_ms += a->burst_mean_ms > 0 ? (a->burst_ms - a->burst_mean_ms) / 32 : a->burst_ms;
	a->burst_ms = 0;
	if (a->has_transit)
		a->jitter_ms += (fabs(transit - a->transit_ms) - a->jitter_ms) / 16;
	a->transit_ms = transit;
	a->has_transit = true;
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
