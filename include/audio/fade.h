/* SPDX-License-Identifier: MIT */
/*
 * fade - the one shape in which sound begins, ends and passes into other sound: the first half of a cosine, nearly, without
 * corners, which would be heard. Pure arithmetic.
 */
#pragma once
#include <stddef.h>

/* From 0 at t = 0 to 1 at t = 1. */
static inline float fade_curve(float t)
{
	return t * t * (3 - 2 * t);
}

/* The weight of the new sound at sample i of n. */
static inline float fade_rising(size_t i, size_t n)
{
	return fade_curve((float)(i + 1) / (float)(n + 1));
}

/* The first, or the last, samples of a sound. */
static inline void fade_in(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] *= fade_rising(i, n);
}

static inline void fade_out(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[n - 1 - i] *= fade_rising(i, n);
}
