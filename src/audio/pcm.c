/* SPDX-License-Identifier: MIT */
#include "audio/pcm.h"

#include "audio/simd.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 64 }; /* samples on the stack between two loops */

/* On a little-endian machine the bytes are the samples. */
AUDIO_WIDE void pcm_to_float(float *restrict out, const uint8_t *restrict pcm, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t bits;

		memcpy(&bits, pcm + 2 * i, sizeof bits);
		out[i] = (float)(int16_t)le16toh(bits) * (1.0f / 32768);
	}
}

void pcm_from_bytes(int16_t *restrict out, const uint8_t *restrict pcm, size_t n)
{
	memcpy(out, pcm, n * sizeof *out);
	for (size_t i = 0; i < n; i++)
		out[i] = (int16_t)le16toh((uint16_t)out[i]);
}

AUDIO_WIDE void pcm_from_i16(float *restrict out, const int16_t *restrict pcm, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float)pcm[i] * (1.0f / 32768);
}

/*
 * Adding 1.5 * 2^23 leaves the nearest integer (ties to even) in the low bits of the float: the
 * loop stays free of calls to lrintf, which no compiler vectorises without SSE4. The clamp is
 * written so that it catches NaN, and is a loop of its own: together with the rest gcc makes a branch
 * of it and vectorises nothing, which is five times slower.
 */
AUDIO_INLINE void round_block(uint8_t *restrict out, const float *restrict x, size_t n)
{
	float v[BLOCK];

	for (size_t i = 0; i < n; i++)
		v[i] = x[i] * 32768.0f > -32768.0f ? x[i] * 32768.0f : -32768.0f;
	for (size_t i = 0; i < n; i++) {
		union {
			float f;
			int32_t i;
		} u = {(v[i] < 32767.0f ? v[i] : 32767.0f) + 12582912.0f};
		uint16_t bits = htole16((uint16_t)u.i);

		memcpy(out + 2 * i, &bits, sizeof bits);
	}
}

AUDIO_WIDE void pcm_from_float(uint8_t *restrict out, const float *restrict x, size_t n)
{
	for (; n >= BLOCK; n -= BLOCK, x += BLOCK, out += 2 * BLOCK)
		round_block(out, x, BLOCK);
	round_block(out, x, n);
}

void pcm_to_i16(int16_t *restrict out, const float *restrict x, size_t n)
{
	pcm_from_float((uint8_t *)out, x, n);
	for (size_t i = 0; i < n; i++)
		out[i] = (int16_t)le16toh((uint16_t)out[i]);
}

AUDIO_WIDE float pcm_mean_square(const float *x, size_t n)
{
	lanes many = {0};
	float sum = 0;
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		many += lanes_load(x + i) * lanes_load(x + i);
	for (; i < n; i++)
		sum += x[i] * x[i];
	return (sum + lanes_sum(many)) / (float)n;
}
