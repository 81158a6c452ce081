/* SPDX-License-Identifier: MIT */
#include "audio/conceal.h"

#include "audio/fade.h"
#include "audio/splice.h"

#include <string.h>

#define FULL_MS 10 /* concealment at full level */

static float gain_at(const struct concealment *c, const struct playout *p, size_t at)
{
	size_t full = c->quiet ? 0 : playout_samples(p, FULL_MS);
	size_t end = playout_samples(p, c->quiet ? SPLICE_FADE_MS : CONCEAL_MS);

	if (at <= full)
		return 1;
	return at >= end ? 0 : 1 - fade_rising(at - full, end - full);
}

/* The jump between the end of the period and its beginning is faded out over the first repetition. */
void conceal_start(struct concealment *c, const struct playout *p, bool quiet)
{
	size_t match = playout_samples(p, SPLICE_MATCH_MS);
	const float *end = p->x + p->rd;

	c->lag = splice_lag(end - match, -1, playout_samples(p, SPLICE_LAG_MIN_MS), playout_samples(p, SPLICE_LAG_MAX_MS), match);
	c->step = end[-1] - end[-1 - (ptrdiff_t)c->lag];
	c->n_done = 0;
	c->quiet = quiet;
}

/* The rest of the jump `at` samples after the sound ran out. */
static float step_at(const struct concealment *c, const struct playout *p, size_t at)
{
	size_t fade = playout_samples(p, SPLICE_FADE_MS);

	return at < fade ? c->step * (1 - fade_rising(at, fade)) : 0;
}

void conceal_run(struct concealment *c, struct playout *p, float *out, size_t n)
{
	playout_make_room(p, n);
	float *x = p->x + p->rd;

	memmove(x + n, x, playout_level(p) * sizeof *x);
	for (size_t i = 0; i < n; i++, c->n_done++) {
		x[i] = x[(ptrdiff_t)i - (ptrdiff_t)c->lag] + step_at(c, p, c->n_done);
		out[i] = x[i] * gain_at(c, p, c->n_done);
	}
	p->rd += n;
	p->wr += n;
}

void conceal_return(const struct concealment *c, const struct playout *p, float *out, size_t n)
{
	size_t fade = playout_samples(p, SPLICE_FADE_MS) < n ? playout_samples(p, SPLICE_FADE_MS) : n;
	const float *past = p->x + p->rd - c->lag;
	float gain = gain_at(c, p, c->n_done);

	for (size_t i = 0; i < fade; i++) {
		float w = fade_rising(i, fade);

		out[i] *= w;
		if (gain > 0)
			out[i] += (1 - w) * gain * (past[i % c->lag] + step_at(c, p, c->n_done + i));
	}
}
