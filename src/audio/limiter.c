/* SPDX-License-Identifier: MIT */
/*
 * The block is cut into pieces of about a millisecond. Each has a gain that just fits its peak;
 * at the border of two pieces the lower of both holds, and in between the gain is a straight
 * line, so it is never above what either piece allows. Only the first piece of a block
 * cannot be foreseen: there the gain falls sample by sample.
 */
#include "audio/limiter.h"

#include "audio/simd.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

void limiter_init(struct limiter *l, uint32_t rate_hz)
{
	*l = (struct limiter){.gain = 1, .rate_hz = rate_hz};
}

/* Without their sign, floats have the same order as their bits read as integers, and the greatest integer is
 * found in lanes. NaN, which has the greatest bits of all, counts as zero. */
AUDIO_WIDE static float peak_of(const float *x, size_t n)
{
	const int32_t infinite = 0x7f800000;
	int32_t peak = 0;

	for (size_t i = 0; i < n; i++) {
		int32_t bits;

		memcpy(&bits, &x[i], sizeof bits);
		bits &= 0x7fffffff;
		bits = bits <= infinite ? bits : 0;
		peak = bits > peak ? bits : peak;
	}
	float f;

	memcpy(&f, &peak, sizeof f);
	return f;
}

static float gain_for(float peak)
{
	return peak > LIMITER_CEILING ? LIMITER_CEILING / peak : 1;
}

/* The gain after `n` samples in which nothing was too loud. */
static float recover(struct limiter *l, size_t n)
{
	if (l->hold >= n) {
		l->hold -= (uint32_t)n;
		return l->gain;
	}
	float samples = (float)LIMITER_RELEASE_MS * (float)l->rate_hz / 1000;
	float g = l->gain + (1 - l->gain) * ((float)(n - l->hold) / samples);

	l->hold = 0;
	return g > 0.9999f ? 1 : g;
}

/* From l->gain to `to` on a straight line; where that is still too loud the gain falls at once, and the line goes on
 * from there. */
static void ramp(struct limiter *l, float *x, size_t n, float to, float peak)
{
	float g = l->gain, step = (to - g) / (float)n;

	l->gain = to;
	if (peak * (g > to ? g : to) <= LIMITER_CEILING) {
		for (size_t i = 0; i < n; i++)
			x[i] *= g + step * (float)(i + 1);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		float fits = gain_for(fabsf(x[i]));

		g += step;
		if (fits < g) {
			g = fits;
			step = (to - g) / (float)(n - i);
		}
		x[i] *= g;
	}
}

static bool passes(const struct limiter *l, const float *x, size_t n)
{
	return l->gain == 1 && peak_of(x, n) <= LIMITER_CEILING;
}

static void limit(struct limiter *l, float *x, size_t n)
{
	size_t piece = l->rate_hz / 1000 + 1;
	float peak = peak_of(x, n < piece ? n : piece);

	for (size_t at = 0, len; at < n; at += len) {
		len = n - at < piece ? n - at : piece;
		size_t ahead = n - at - len < piece ? n - at - len : piece;
		float next_peak = peak_of(x + at + len, ahead);
		float here = gain_for(peak), next = gain_for(next_peak), fits = here < next ? here : next;
		float to = recover(l, len);

		if (fits <= to) {
			to = fits;
			l->hold = LIMITER_HOLD_MS * l->rate_hz / 1000;
		}
		ramp(l, x + at, len, to, peak);
		peak = next_peak;
	}
}

void limiter_run(struct limiter *l, float *x, size_t n)
{
	if (!passes(l, x, n))
		limit(l, x, n);
}

const float *limiter_pass(struct limiter *l, const float *x, float *copy, size_t n)
{
	if (passes(l, x, n))
		return x;
	if (copy != x)
		memcpy(copy, x, n * sizeof *copy);
	limit(l, copy, n);
	return copy;
}
