/* SPDX-License-Identifier: MIT */
/*
 * arrivals - when the datagrams of one talker come, against the media time in them. Single-threaded; time is an
 * argument; no allocation.
 */
#pragma once
#include "audio/trend.h"
#include "base/time.h"

#include <stdbool.h>

#define SAME_BURST_MS 2 /* datagrams of one frame come within this */

struct arrivals {
	bool any;             /* last_at is known */
	bool has_transit;
	nsec last_at;
	double burst_ms;      /* media in the datagrams that came together last */
	double frame_ms;      /* the shortest of such bursts lately: one frame of the talker's; 0: none is complete yet */
	double shortest_ms, shortest_before_ms; /* of the bursts counted in n_bursts, and of those before; 0: none */
	unsigned n_bursts;
	double media_ms;      /* of everything in this talkspurt */
	double transit_ms;    /* last arrival against media time; if has_transit */
	double jitter_ms;     /* RFC 3550 6.4.1 */
	struct trend trend;   /* of the transits in this talkspurt */
};

static inline double ms_between(nsec then, nsec now)
{
	return now > then ? (double)(now - then) * 1e-6 : 0;
}

/* A new talkspurt; and the same without a last datagram. Measurements stay. */
void arrivals_begin_spurt(struct arrivals *a);
void arrivals_clear(struct arrivals *a);

/* Since the last datagram; INFINITY: there was none. */
double arrivals_gap_ms(const struct arrivals *a, nsec now);
/* A datagram of `ms` arrived, arrivals_gap_ms() after the last. `skipped_ms`: media known to be missing before it. */
void arrivals_add(struct arrivals *a, double ms, double skipped_ms, double gap_ms, nsec now);
