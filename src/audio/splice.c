/* SPDX-License-Identifier: MIT */
#include "audio/splice.h"

#include "audio/fade.h"
#include "audio/simd.h"

#include <math.h>

#define NOTHING 1e-9f

AUDIO_INLINE float likeness(const float *a, const float *b, size_t n)
{
	lanes ab = {0}, bb = {0};

	for (size_t i = 0; i + LANES <= n; i += LANES) {
		lanes x = lanes_load(a + i), y = lanes_load(b + i);

		ab += x * y;
		bb += y * y;
	}
	return lanes_sum(ab) / sqrtf(lanes_sum(bb) + NOTHING);
}

AUDIO_INLINE size_t best_of(const float *a, ptrdiff_t dir, size_t low, size_t high, size_t step, size_t n)
{
	size_t best = low;
	float most = -1e30f;

	for (size_t lag = low; lag <= high; lag += step) {
		float v = likeness(a, a + dir * (ptrdiff_t)lag, n);

		if (v > most) {
			most = v;
			best = lag;
		}
	}
	return best;
}

AUDIO_FMA size_t splice_lag(const float *a, ptrdiff_t dir, size_t low, size_t high, size_t n)
{
	size_t step = n / 100 + 1, best = best_of(a, dir, low, high, step, n);

	if (step == 1)
		return best;
	size_t from = best > low + step ? best - step + 1 : low, to = best + step < high ? best + step - 1 : high;

	return best_of(a, dir, from, to, 1, n);
}

struct splice_match splice_compare(const float *a, const float *b, size_t n)
{
	float ab = 0, aa = NOTHING / 2, bb = NOTHING / 2;

	for (size_t i = 0; i < n; i++) {
		ab += a[i] * b[i];
		aa += a[i] * a[i];
		bb += b[i] * b[i];
	}
	float mean = sqrtf(aa * bb), half = (aa + bb) / 2;

	return (struct splice_match){.alike = ab / half, .even = mean / half, .shape = ab / mean};
}

void splice_cut(float *x, size_t lag, size_t fade)
{
	float *to = x + lag, shape = fmaxf(splice_compare(x, to, fade).shape, 0);

	for (size_t i = 0; i < fade; i++) {
		float w = fade_rising(i, fade), v = 1 - w, power = w * w + v * v + 2 * w * v * shape;

		to[i] = (w * to[i] + v * x[i]) / sqrtf(power);
	}
}
