/* SPDX-License-Identifier: MIT */
/*
 * mixer - sums once and subtracts: every talker hears mix_minus(sum, own) and everyone
 * else hears the sum. Float rounding leaves a trace of 2^-24 of the sum (-120 dB under ten full-scale
 * talkers), far under one 16-bit step. Levels are not touched here: that is the limiter's work.
 * Pure functions.
 */
#pragma once
#include <stddef.h>

void mix_clear(float *sum, size_t n);

void mix_add(float *restrict sum, const float *restrict x, size_t n);

/* out = sum - own: what this talker hears. */
void mix_minus(float *restrict out, const float *restrict sum, const float *restrict own, size_t n);
