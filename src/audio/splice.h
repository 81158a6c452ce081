/* SPDX-License-Identifier: MIT */
/*
 * splice - finds where sound resembles itself, and leaves out the samples in between. Arithmetic on the caller's
 * samples: no state, no memory, no clock.
 */
#pragma once
#include <stddef.h>

#define SPLICE_LAG_MIN_MS 5  /* periods of a voice: 200 .. */
#define SPLICE_LAG_MAX_MS 17 /* .. 59 Hz */
#define SPLICE_MATCH_MS 6    /* compared to find one */
#define SPLICE_FADE_MS 5

/* The lag in [low, high] at which a + dir * lag is most like a over `n` samples (8 or more), whatever the level. At high
 * rates every third lag is tried first, then all neighbours of the best. */
size_t splice_lag(const float *a, ptrdiff_t dir, size_t low, size_t high, size_t n);

/* All from -1 or 0 to 1. */
struct splice_match {
	float alike;  /* 1 less their difference, as a share of their energy: 0 for noise, 1 for the same */
	float even;   /* 1: as loud as each other; 0.8: one twice as loud */
	float shape;  /* correlation, whatever the level */
};
struct splice_match splice_compare(const float *a, const float *b, size_t n);

/* Removes x[0..lag): cross-fades from x to x + lag within `fade` samples, and leaves the result at x + lag. The level is
 * kept whether the two are alike or have nothing in common. */
void splice_cut(float *x, size_t lag, size_t fade);
