/* SPDX-License-Identifier: MIT */
#include "audio/trend.h"

#include <math.h>

#define FIRST_S 0.5
#define LONGEST_S 8.0
#define POINTS_MIN 4
#define SURE_MS 0.3         /* a line that leads less far is none, ... */
#define SURE_OF_NOISE 8     /* ... nor one that leads less far than this times what lies beside it, ... */
#define SURE_OF_UNEVEN 0.15 /* ... or this share of the unevenness, divided by the seconds of a period */
#define PPM_MAX 4000.0      /* no clock is so bad: ... */
#define LOSING_OF_NOISE 3   /* ... media is missing that was not counted, if its line leads further than this */

void trend_clear(struct trend *t)
{
	*t = (struct trend){.uneven_ms = t->uneven_ms};
}

static void begin_period(struct trend *t, double transit_ms, double s)
{
	t->begin_s = t->least_s = s;
	t->least_ms = t->most_ms = transit_ms;
}

/* Two periods become one, twice as long. */
static void merge(struct trend *t)
{
	for (unsigned i = 0; i < TREND_PERIODS / 2; i++) {
		unsigned a = 2 * i, less = t->periods[a].ms < t->periods[a + 1].ms ? a : a + 1;

		t->periods[i] = t->periods[less];
	}
	t->n = TREND_PERIODS / 2;
	t->len_s *= 2;
}

static void drop_first(struct trend *t)
{
	for (unsigned i = 1; i < t->n; i++)
		t->periods[i - 1] = t->periods[i];
	t->n--;
}

/* The line through all periods, if it means anything. */
static void fit(struct trend *t)
{
	double s0 = t->periods[0].s, ms0 = t->periods[0].ms, n = t->n, s = 0, m = 0, ss = 0, sm = 0, mm = 0;

	for (unsigned i = 0; i < t->n; i++) {
		double x = t->periods[i].s - s0, y = t->periods[i].ms - ms0;

		s += x;
		m += y;
		ss += x * x;
		sm += x * y;
		mm += y * y;
	}
	double var = ss - s * s / n, cov = sm - s * m / n, slope = cov / var, rest = mm - m * m / n - slope * cov;
	double noise = sqrt((rest > 0 ? rest : 0) / (n - 2)), far = fabs(slope) * (t->periods[t->n - 1].s - s0);
	bool sure = far > SURE_MS + SURE_OF_NOISE * noise + SURE_OF_UNEVEN * t->uneven_ms / t->len_s;

	t->ppm = sure && fabs(slope) * 1000 < PPM_MAX ? -slope * 1000 : 0;
	t->losing = slope * 1000 >= PPM_MAX && far > LOSING_OF_NOISE * noise;
}

static void end_period(struct trend *t)
{
	double uneven = t->most_ms - t->least_ms;

	if (t->n == TREND_PERIODS) {
		if (t->len_s < LONGEST_S)
			merge(t);
		else
			drop_first(t);
	}
	t->periods[t->n].ms = t->least_ms;
	t->periods[t->n++].s = t->least_s;
	t->uneven_ms += (uneven - t->uneven_ms) / 4;
	if (t->n >= POINTS_MIN)
		fit(t);
}

void trend_add(struct trend *t, double transit_ms, nsec now)
{
	double s = (double)now * 1e-9;

	if (t->len_s == 0) {
		t->len_s = FIRST_S;
		begin_period(t, transit_ms, s);
	} else if (s - t->begin_s >= t->len_s) {
		end_period(t);
		begin_period(t, transit_ms, s);
	} else if (transit_ms < t->least_ms) {
		t->least_ms = transit_ms;
		t->least_s = s;
	} else if (transit_ms > t->most_ms) {
		t->most_ms = transit_ms;
	}
}
