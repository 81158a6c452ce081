/* SPDX-License-Identifier: MIT */
#include "audio/pcm.h"

void pcm_to_float(float *restrict out, const uint8_t *restrict pcm, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float)(int16_t)(uint16_t)(pcm[2 * i] | pcm[2 * i + 1] << 8) * (1.0f / 32768);
}

void pcm_from_i16(float *restrict out, const int16_t *restrict pcm, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float)pcm[i] * (1.0f / 32768);
}

/* Adding 1.5 * 2^23 leaves the nearest integer (ties to even) in the low bits of the float: the
 * loop stays free of calls to lrintf, which no compiler vectorises without SSE4. The clamp is
 * written so that NaN falls into it. */
static inline int16_t round_sample(float x)
{
	float v = x * 32768.0f;
	union {
		float f;
		int32_t i;
	} u;

	v = v > -32768.0f ? v : -32768.0f;
	v = v < 32767.0f ? v : 32767.0f;
	u.f = v + 12582912.0f;
	return (int16_t)u.i;
}

void pcm_from_float(uint8_t *restrict out, const float *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v = (uint16_t)round_sample(x[i]);

		out[2 * i] = (uint8_t)v;
		out[2 * i + 1] = (uint8_t)(v >> 8);
	}
}

void pcm_to_i16(int16_t *restrict out, const float *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = round_sample(x[i]);
}
