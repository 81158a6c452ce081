/* SPDX-License-Identifier: MIT */
/*
 * pcm - 16-bit little-endian bytes to samples, to float and back; 1.0 is 32768. Every 16-bit sample
 * survives the round trip exactly. Pure functions.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* `pcm` may be unaligned; reads 2 * n bytes. */
void pcm_to_float(float *restrict out, const uint8_t *restrict pcm, size_t n);
/* `pcm` may be unaligned; reads 2 * n bytes. */
void pcm_from_bytes(int16_t *restrict out, const uint8_t *restrict pcm, size_t n);
void pcm_from_i16(float *restrict out, const int16_t *restrict pcm, size_t n);

/* Rounds to nearest and saturates; NaN becomes an arbitrary sample. Writes 2 * n bytes. */
void pcm_from_float(uint8_t *restrict out, const float *restrict x, size_t n);
void pcm_to_i16(int16_t *restrict out, const float *restrict x, size_t n);

/* The power of `n` > 0 samples. */
float pcm_mean_square(const float *x, size_t n);
