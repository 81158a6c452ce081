/* SPDX-License-Identifier: MIT */
/*
 * trend - whether a talker's clock runs faster or slower than ours, by the transits of its frames: arrival less media time.
 * Of each period only the least counts, which unevenness hardly touches; a line through the least of several tells the clock
 * from a network that changed once. Periods grow with what is known, so that a second tells 300 ppm on an even network and
 * a minute 10 ppm on an uneven one. Single-threaded; time is an argument; no allocation.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>

enum { TREND_PERIODS = 8 };

struct trend {
	unsigned n;       /* complete periods */
	double len_s;     /* of a period; 0: nothing came yet */
	double begin_s;   /* of this one */
	double least_ms, least_s, most_ms; /* in this one */
	struct {
		double ms, s; /* least transit, and when */
	} periods[TREND_PERIODS];
	double uneven_ms; /* most less least transit within a period, smoothed */
	double ppm;       /* of the talker's clock, positive: fast; 0: no drift is to be seen */
	bool losing;      /* media time falls behind as no clock does: frames without numbers are lost */
};

void trend_clear(struct trend *t);
/* An arrival. Any zero of the transits will do, if it is the same for all since trend_clear(). */
void trend_add(struct trend *t, double transit_ms, nsec now);
